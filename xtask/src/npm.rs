//! `npm ci`, when the lock file changed since the last time.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::interrupt::Interrupt;
use crate::process;
use crate::ui::{self, Mark};
use crate::workspace::Workspace;

/// A copy of the lock file that was installed. `npm ci` begins by deleting the directory, and the copy with it.
const STAMP: &str = "node_modules/.xtask-lock";

/// Installs the packages of `directory` (relative to the checkout).
pub(crate) fn install(workspace: &Workspace, directory: &str, interrupt: &Interrupt) -> anyhow::Result<()> {
    let path = workspace.root().join(directory);
    let lock = fs::read(path.join("package-lock.json"))
        .with_context(|| format!("`{directory}/package-lock.json` cannot be read"))?;
    if is_installed(&path, &lock) {
        return Ok(());
    }
    ui::step(Mark::Run, format_args!("npm ci in {directory}"));
    let mut command = Command::new("npm");
    command.args(["ci", "--no-audit", "--no-fund"]).current_dir(&path);
    let log = workspace.log(&format!("npm-{}", directory.replace('/', "-")));
    process::run("npm ci", &mut command, &log, interrupt)?;
    fs::write(path.join(STAMP), lock)?;
    Ok(())
}

fn is_installed(directory: &Path, lock: &[u8]) -> bool {
    fs::read(directory.join(STAMP)).is_ok_and(|installed| installed == lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_again_when_the_lock_file_changes() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!is_installed(directory.path(), b"one"));
        fs::create_dir(directory.path().join("node_modules")).unwrap();
        fs::write(directory.path().join(STAMP), b"one").unwrap();
        assert!(is_installed(directory.path(), b"one"));
        assert!(!is_installed(directory.path(), b"two"));
    }
}
