//! What a machine needs to have before anything here can run: Rust, Node and npm.

use std::fs;

use anyhow::Context as _;
use xshell::{Shell, cmd};

use crate::environment;
use crate::problem::Problem;
use crate::workspace::Workspace;

/// The oldest Node that the Google emulator and the test clients run on.
const NODE_MAJOR: u32 = 20;

const GET_RUST: &str =
    "install Rust with rustup (https://rustup.rs); it then follows `rust-toolchain.toml` by itself";
const GET_NODE: &str =
    "install Node.js 20 or newer with npm (https://nodejs.org, or a version manager such as fnm)";

/// Checks everything at once, so that one visit to a package manager is enough.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let pinned = fs::read_to_string(workspace.root().join("rust-toolchain.toml"))?;
    let pinned = channel(&pinned).context("`rust-toolchain.toml` names no channel")?;
    let sh = Shell::new()?;
    sh.change_dir(workspace.root());
    let version = |tool| {
        cmd!(sh, "{tool} --version")
            .quiet()
            .ignore_stderr()
            .read()
            .unwrap_or_default()
    };
    let complaints = [
        rust_complaint(pinned, "rustc", &version("rustc")),
        rust_complaint(pinned, "cargo", &version("cargo")),
        node_complaint(&version("node")),
        environment::find_program("npm")
            .is_none()
            .then(|| ("`npm` is missing".to_owned(), GET_NODE)),
    ];
    let complaints: Vec<_> = complaints.into_iter().flatten().collect();
    if complaints.is_empty() {
        return Ok(());
    }
    let what: Vec<_> = complaints.iter().map(|(what, _)| what.as_str()).collect();
    let mut hints: Vec<_> = complaints.iter().map(|(_, hint)| *hint).collect();
    hints.dedup();
    Err(Problem::new(what.join("; "), hints.join("\n      ")).into())
}

/// The channel that `rust-toolchain.toml` pins.
fn channel(toml: &str) -> Option<&str> {
    let value = toml.lines().find_map(|line| line.strip_prefix("channel"))?;
    value.split('"').nth(1)
}

/// `version` is what `tool --version` prints, such as `rustc 1.95.0 (59807616e 2026-04-14)`.
fn rust_complaint(pinned: &str, tool: &str, version: &str) -> Option<(String, &'static str)> {
    match version.split_whitespace().nth(1) {
        None => Some((format!("`{tool}` is missing"), GET_RUST)),
        Some(found) if found == pinned => None,
        Some(found) => Some((
            format!("`{tool}` is {found}, this repository is built with {pinned}"),
            GET_RUST,
        )),
    }
}

/// `version` is what `node --version` prints, such as `v20.20.2`.
fn node_complaint(version: &str) -> Option<(String, &'static str)> {
    let version = version.trim();
    let major = version
        .strip_prefix('v')
        .and_then(|v| v.split('.').next())
        .and_then(|v| v.parse::<u32>().ok());
    match major {
        None => Some(("`node` is missing".to_owned(), GET_NODE)),
        Some(major) if major >= NODE_MAJOR => None,
        Some(_) => Some((format!("`node` is {version}, too old"), GET_NODE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_channel_is_read() {
        assert_eq!(
            channel("[toolchain]\nchannel = \"1.95.0\"\nprofile = \"minimal\"\n"),
            Some("1.95.0")
        );
        assert_eq!(channel("[toolchain]\n"), None);
    }

    #[test]
    fn another_compiler_than_the_pinned_one_is_named() {
        assert_eq!(
            rust_complaint("1.95.0", "rustc", "rustc 1.95.0 (59807616e 2026-04-14)"),
            None
        );
        let (what, _) = rust_complaint("1.95.0", "rustc", "rustc 1.88.0 (6b00bc388 2025-06-23)").unwrap();
        assert_eq!(what, "`rustc` is 1.88.0, this repository is built with 1.95.0");
        assert_eq!(
            rust_complaint("1.95.0", "cargo", "").unwrap().0,
            "`cargo` is missing"
        );
    }

    #[test]
    fn node_must_be_there_and_new_enough() {
        assert_eq!(node_complaint("v20.20.2\n"), None);
        assert_eq!(node_complaint("v24.0.0"), None);
        assert_eq!(
            node_complaint("v18.19.1").unwrap().0,
            "`node` is v18.19.1, too old"
        );
        assert_eq!(node_complaint("").unwrap().0, "`node` is missing");
    }
}
