//! Programs from the system's packages, installed where that needs no question: as root on Debian and Ubuntu.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::process;
use crate::ui::{self, Mark};

/// Whether packages may be installed here.
pub(crate) fn may_install() -> bool {
    rustix::process::geteuid().is_root() && environment::find_program("apt-get").is_some()
}

/// Installs a package, with its output in `log`.
pub(crate) fn install(package: &str, log: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
    ui::step(Mark::Run, format_args!("apt-get install {package}"));
    for arguments in [
        &["update"][..],
        &["install", "--yes", "--no-install-recommends", package],
    ] {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        process::run("apt-get", &mut command, log, interrupt)?;
    }
    Ok(())
}

/// The path of `program`, which the package of the same name or `package` has; `what_for` completes "is needed for".
pub(crate) fn program(
    program: &str,
    package: &str,
    what_for: &str,
    log: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<PathBuf> {
    if let Some(path) = find(program) {
        return Ok(path);
    }
    if may_install() {
        install(package, log, interrupt)?;
    }
    find(program).ok_or_else(|| {
        Problem::new(
            format!("`{program}` is missing; it is needed for {what_for}"),
            format!("install it (Debian and Ubuntu: `apt-get install {package}`)"),
        )
        .into()
    })
}

/// In `PATH`, or where the system keeps what only administrators run.
fn find(program: &str) -> Option<PathBuf> {
    environment::find_program(program).or_else(|| {
        ["/usr/sbin", "/sbin"]
            .iter()
            .map(|directory| Path::new(directory).join(program))
            .find(|candidate| candidate.is_file())
    })
}
