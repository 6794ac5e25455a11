//! The static binary: what it is made of, and the build itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;
use xshell::{Shell, cmd};

use crate::environment;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::process;
use crate::ui::{self, Mark};
use crate::workspace::Workspace;

/// What of the checkout the binary is made of.
const SOURCES: [&str; 4] = ["gateway", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"];
/// Digits of a commit that are shown, as in the binary itself.
const SHA_DIGITS: usize = 12;
/// The program header that names a dynamic loader (ELF: `PT_INTERP`).
const INTERPRETER: u32 = 3;

/// Which state of the sources this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// The whole commit.
    pub(crate) sha: String,
    /// When it was made: RFC 3339, in UTC.
    pub(crate) time: String,
    /// Whether the sources differ from it.
    pub(crate) changed: bool,
}

impl Commit {
    /// Asks git about the checkout.
    pub(crate) fn of(workspace: &Workspace) -> anyhow::Result<Self> {
        let sh = Shell::new()?;
        sh.change_dir(workspace.root());
        sh.set_var("TZ", "UTC");
        let format = "--date=format-local:%Y-%m-%dT%H:%M:%SZ";
        let head = cmd!(sh, "git show --no-patch {format} --format=%H/%cd HEAD")
            .quiet()
            .read()
            .context("git does not know which commit this is")?;
        let (sha, time) = head
            .split_once('/')
            .context("git does not say when HEAD was made")?;
        let changed = cmd!(sh, "git status --porcelain -- {SOURCES...}")
            .quiet()
            .read()?;
        Ok(Self {
            sha: sha.to_owned(),
            time: time.to_owned(),
            changed: !changed.is_empty(),
        })
    }

    /// As people say it.
    pub(crate) fn short(&self) -> &str {
        self.sha.get(..SHA_DIGITS).unwrap_or(&self.sha)
    }
}

/// The machine that the image is for: this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// As cargo says it.
    pub(crate) triple: &'static str,
    /// As image registries say it.
    pub(crate) architecture: &'static str,
}

impl Platform {
    /// It is an error on systems that cannot make such a binary.
    pub(crate) fn of_this_machine() -> anyhow::Result<Self> {
        let (triple, architecture) = match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => ("x86_64-unknown-linux-gnu", "amd64"),
            ("linux", "aarch64") => ("aarch64-unknown-linux-gnu", "arm64"),
            (system, architecture) => {
                let what = format!("images cannot be built on `{system}` `{architecture}`");
                return Err(Problem::new(what, "build it on Linux, or let the pipeline build it").into());
            }
        };
        Ok(Self { triple, architecture })
    }
}

/// Builds the production binary: without the embedded engine, linked into one file that needs no other.
pub(crate) fn gateway(
    workspace: &Workspace,
    platform: Platform,
    commit: &Commit,
    interrupt: &Interrupt,
) -> anyhow::Result<PathBuf> {
    let start = Instant::now();
    let mut command = Command::new("cargo");
    command
        .args(["build", "--release", "--locked", "--target", platform.triple])
        .args([
            "--package",
            "gateway",
            "--bin",
            "gateway",
            "--no-default-features",
        ])
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\u{1f}"))
        .env("GATEWAY_GIT_SHA", &commit.sha)
        .current_dir(workspace.root());
    process::run_visible("cargo build", &mut command, interrupt)?;
    let binary = workspace
        .target()
        .join(platform.triple)
        .join("release")
        .join("gateway");
    let bytes = fs::read(&binary).with_context(|| format!("`{}` cannot be read", binary.display()))?;
    check(&bytes, workspace.root())?;
    ui::step(
        Mark::Ok,
        format_args!("static gateway built in {}", ui::seconds(start.elapsed())),
    );
    Ok(binary)
}

/// Static, and without the place where this machine keeps its crates: else two machines build two binaries.
fn flags() -> anyhow::Result<Vec<String>> {
    let home = environment::var("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| environment::var("HOME").map(|home| Path::new(&home).join(".cargo")));
    let home = home.context("neither `CARGO_HOME` nor `HOME` is set")?;
    Ok(vec![
        "-Ctarget-feature=+crt-static".to_owned(),
        format!("--remap-path-prefix={}=/cargo", home.display()),
    ])
}

/// It is an error when the binary would not start on an empty root, or says where it was built.
fn check(binary: &[u8], root: &Path) -> anyhow::Result<()> {
    let hint = "look at what a dependency's build script does; `cargo tree --edges build` lists them";
    if needs_loader(binary).context("the build is no 64-bit ELF program")? {
        return Err(Problem::new("the binary needs a dynamic loader, and the image has none", hint).into());
    }
    let root = root.as_os_str().as_encoded_bytes();
    if binary.windows(root.len()).any(|window| window == root) {
        let what = "the path of this checkout is in the binary, so another checkout builds another one";
        return Err(Problem::new(what, hint).into());
    }
    Ok(())
}

/// Whether a 64-bit little-endian ELF program names an interpreter; `None` when it is none.
fn needs_loader(binary: &[u8]) -> Option<bool> {
    const TABLE_AT: usize = 32;
    const ENTRY_SIZE_AT: usize = 54;
    const ENTRIES_AT: usize = 56;
    if binary.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let half = |at: usize| Some(u16::from_le_bytes(binary.get(at..at + 2)?.try_into().ok()?));
    let table = u64::from_le_bytes(binary.get(TABLE_AT..TABLE_AT + 8)?.try_into().ok()?);
    let table = usize::try_from(table).ok()?;
    let size = usize::from(half(ENTRY_SIZE_AT)?);
    for entry in 0..usize::from(half(ENTRIES_AT)?) {
        let at = table + entry * size;
        let kind = u32::from_le_bytes(binary.get(at..at + 4)?.try_into().ok()?);
        if kind == INTERPRETER {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_a_loader_is_told_from_one_that_does_not() {
        // The test itself is dynamic on glibc; without its interpreter entry it counts as static.
        let mut binary = fs::read("/proc/self/exe").unwrap();
        assert_eq!(needs_loader(&binary), Some(true));
        let table = usize::from(u16::from_le_bytes(binary[32..34].try_into().unwrap()));
        let entries = usize::from(u16::from_le_bytes(binary[56..58].try_into().unwrap()));
        for entry in 0..entries {
            let at = table + entry * 56;
            if binary[at] == 3 {
                binary[at] = 0;
            }
        }
        assert_eq!(needs_loader(&binary), Some(false));
        assert_eq!(needs_loader(b"#!/bin/sh"), None);
        assert_eq!(needs_loader(b"\x7fELF\x02\x01"), None);
    }

    #[test]
    fn a_binary_that_names_the_checkout_is_refused() {
        let mut binary = b"\x7fELF\x02\x01".to_vec();
        binary.resize(64, 0);
        assert!(check(&binary, Path::new("/checkout")).is_ok());
        binary.extend(b"panicked at /checkout/gateway/src");
        let error = check(&binary, Path::new("/checkout")).unwrap_err();
        assert!(error.to_string().contains("path of this checkout"), "{error}");
    }

    #[test]
    fn a_commit_is_shown_as_the_binary_shows_it() {
        let commit = Commit {
            sha: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            time: "2026-01-02T03:04:05Z".to_owned(),
            changed: false,
        };
        assert_eq!(commit.short(), "0123456789ab");
    }
}
