//! Where things are in this repository.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use xshell::{Shell, cmd};

use crate::environment;

/// The checkout and its build directory.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Asks cargo. `CARGO_MANIFEST_DIR` is that of this run, so one binary serves every checkout that shares a
    /// build directory.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let member = environment::var("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = member
            .parent()
            .context("xtask has no parent directory")?
            .to_owned();
        let sh = Shell::new()?;
        sh.change_dir(&root);
        let json = cmd!(
            sh,
            "cargo metadata --no-deps --format-version 1 --locked --offline"
        )
        .quiet()
        .read()
        .context("cargo does not understand this workspace")?;
        let metadata: Metadata = serde_json::from_str(&json).context("cargo metadata is not as expected")?;
        Ok(Self {
            root,
            target: metadata.target_directory,
        })
    }

    /// The top of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's build directory.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Where the output of what xtask runs is kept.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(format!("{name}.log"))
    }

    /// The debug build of the gateway.
    pub(crate) fn gateway_binary(&self) -> PathBuf {
        self.target.join("debug").join("gateway")
    }

    /// The debug build of xtask, which tests start clusters with.
    pub(crate) fn xtask_binary(&self) -> PathBuf {
        self.target.join("debug").join("xtask")
    }

    /// The build of the gateway that clusters and soaks run: quick, with what only debug builds have.
    pub(crate) fn rig_binary(&self) -> PathBuf {
        self.target.join("rig").join("gateway")
    }

    /// `path` as people write it: relative to the checkout where it is inside.
    pub(crate) fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

#[derive(serde::Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}
