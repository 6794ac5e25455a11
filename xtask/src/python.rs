//! Python tools, each in a virtual environment of its own under `target/tools`, pinned by a requirements file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::apt;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::process;
use crate::ui::{self, Mark};
use crate::workspace::Workspace;

/// Installs `xtask/requirements/<tool>.txt` when it changed since the last time, and returns the interpreter.
pub(crate) fn install(workspace: &Workspace, tool: &str, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
    let requirements = workspace
        .root()
        .join("xtask/requirements")
        .join(format!("{tool}.txt"));
    let pins = fs::read(&requirements)
        .with_context(|| format!("`{}` cannot be read", workspace.shown(&requirements)))?;
    let venv = workspace.target().join("tools").join(tool);
    let python = venv.join("bin/python");
    let stamp = venv.join("xtask-requirements.txt");
    if fs::read(&stamp).is_ok_and(|installed| installed == pins) {
        return Ok(python);
    }
    ui::step(Mark::Run, format_args!("pip install {tool}"));
    if venv.exists() {
        fs::remove_dir_all(&venv)?;
    }
    let log = workspace.log(&format!("pip-{tool}"));
    create_venv(&venv, &log, interrupt)?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--requirement",
    ]);
    process::run("pip install", pip.arg(&requirements), &log, interrupt)?;
    fs::write(stamp, pins)?;
    Ok(python)
}

/// Creates the environment; as root on Debian it first installs what is missing for that.
fn create_venv(venv: &Path, log: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
    let create = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]).arg(venv);
        process::run("python3 -m venv", &mut command, log, interrupt)
    };
    let Err(error) = create() else {
        return Ok(());
    };
    interrupt.check()?;
    if !apt::may_install() {
        let hint = "install Python 3 with `venv` (Debian and Ubuntu: `apt-get install python3-venv`)";
        return Err(error.context(Problem::new("python3 cannot make a virtual environment", hint)));
    }
    apt::install("python3-venv", log, interrupt)?;
    create()
}
