//! Tells the binary which commit and which rmcp it is made of.

use std::path::Path;
use std::process::Command;

/// Digits of a commit that are shown.
const SHA_DIGITS: usize = 12;

fn main() {
    tell("rerun-if-changed=build.rs");
    tell("rerun-if-changed=../Cargo.lock");
    tell("rerun-if-env-changed=GATEWAY_GIT_SHA");
    let lock = std::fs::read_to_string("../Cargo.lock").unwrap_or_default();
    let rmcp = locked_version(&lock, "rmcp").unwrap_or("unknown");
    tell(&format!("rustc-env=GATEWAY_RMCP_VERSION={rmcp}"));
    let sha = given_commit()
        .or_else(checked_out_commit)
        .unwrap_or_else(|| "unknown".to_owned());
    tell(&format!("rustc-env=GATEWAY_GIT_SHA={sha}"));
}

fn tell(instruction: &str) {
    println!("cargo::{instruction}");
}

/// The commit that a container build passes in, where there is no checkout.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment of the build, not that of the gateway"
)]
fn given_commit() -> Option<String> {
    let given = std::env::var("GATEWAY_GIT_SHA").ok()?;
    let sha: String = given.trim().chars().take(SHA_DIGITS).collect();
    (!sha.is_empty() && sha.bytes().all(|b| b.is_ascii_hexdigit())).then_some(sha)
}

/// The commit of the checkout around this crate; built again when another one is checked out.
fn checked_out_commit() -> Option<String> {
    let sha = git(&["rev-parse", "HEAD"])?;
    // The log of HEAD changes with every commit and every switch of branches.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            tell(&format!("rerun-if-changed={path}"));
        }
    }
    Some(sha.chars().take(SHA_DIGITS).collect())
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The version of a package in the text of a lock file.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}
