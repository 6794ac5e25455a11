//! moto, a KMS with real cryptography, as a running child.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::interrupt::Interrupt;
use crate::process::Process;
use crate::workspace::Workspace;
use crate::{http, python};

const READY_LIMIT: Duration = Duration::from_mins(1);

/// Installs it if need be, starts it on a free loopback port and waits until it serves. It keeps nothing.
pub(crate) fn start(
    workspace: &Workspace,
    log: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<(Process, u16)> {
    let python = python::install(workspace, "moto", interrupt)?;
    let port = http::free_port()?;
    let mut command = Command::new(python);
    command
        .args(["-m", "moto.server", "--host", "127.0.0.1", "--port"])
        .arg(port.to_string());
    let mut process = Process::start("moto", &mut command, log)?;
    process.wait_ready(READY_LIMIT, interrupt, || {
        Ok(http::status(port, "/moto-api/").is_ok().then_some(()))
    })?;
    Ok((process, port))
}
