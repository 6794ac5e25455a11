//! The image as production runs it, with real services around it: it must be healthy and offer its tools.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::engine::Engine;
use crate::cluster::services::Services;
use crate::interrupt::Interrupt;
use crate::login::{self, Place};
use crate::problem::Problem;
use crate::process::Process;
use crate::ui::{self, Mark};
use crate::verify::TOOLS;
use crate::workspace::Workspace;
use crate::{http, process};

/// The program that asks for the tools, relative to the checkout.
const PROBE: &str = "xtask/probe/probe.mjs";
/// A second is usual.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// A container that is removed at the end, whatever happens.
struct Container<'a> {
    engine: &'a Engine,
    name: String,
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.engine.remove(&self.name);
    }
}

/// Starts `image`, logs somebody in, and lists the tools in both eras.
pub(crate) fn boot(
    engine: &Engine,
    image: &str,
    directory: &Path,
    workspace: &Workspace,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let start = Instant::now();
    ui::step(
        Mark::Run,
        format_args!("starting the image with {}", engine.name()),
    );
    let port = http::free_port()?;
    let origin = format!("http://127.0.0.1:{port}");
    let services = Services::start(
        workspace,
        directory,
        &format!("{origin}/auth/callback"),
        interrupt,
    )?;
    let variables = directory.join("environment");
    write_variables(&variables, &services, &origin, port)?;
    let container = Container {
        engine,
        name: format!("mcp-gateway-image-{}", std::process::id()),
    };
    let log = directory.join("container.log");
    let mut command = engine.run(&container.name, image, &variables)?;
    let mut running = Process::start("the image", &mut command, &log)?;
    running.wait_ready(READY_LIMIT, interrupt, || {
        Ok(http::status(port, "/health")
            .is_ok_and(|status| status == 200)
            .then_some(()))
    })?;
    engine
        .inside(&container.name, &variables, &["/gateway", "health"])
        .context("the image's own health check says no")?;
    let user = services
        .accounts
        .users
        .first()
        .context("the emulator has no users")?;
    let place = Place {
        url: &origin,
        authority: None,
        names: &[],
    };
    let token = login::token(workspace, place, &user.email).map_err(|error| with_log(&error, &log))?;
    let seen = probe(workspace, &origin, &token)?;
    for era in ["modern tools", "legacy tools"] {
        complete(&seen, era).map_err(|error| with_log(&error, &log))?;
    }
    ui::step(
        Mark::Ok,
        format_args!(
            "the image is healthy and lists its tools after {}",
            ui::seconds(start.elapsed())
        ),
    );
    Ok(())
}

/// Secrets of emulators are none, but a habit is a habit: only the owner reads them.
fn write_variables(path: &Path, services: &Services, origin: &str, port: u16) -> anyhow::Result<()> {
    let mut variables = services.variables();
    variables.extend([
        ("PUBLIC_URL", origin.to_owned()),
        (
            "SESSION_SECRET",
            "only for the time of this one start, by nobody else".to_owned(),
        ),
        ("HOST", "127.0.0.1".to_owned()),
        ("PORT", port.to_string()),
        ("PEER_HOST", "127.0.0.1".to_owned()),
        ("PEER_PORT", http::free_port()?.to_string()),
        ("DRAIN_GRACE", "0".to_owned()),
    ]);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    for (name, value) in variables {
        writeln!(file, "{name}={value}")?;
    }
    Ok(())
}

fn probe(workspace: &Workspace, origin: &str, token: &str) -> anyhow::Result<Value> {
    let output = Command::new("node")
        .arg(workspace.root().join(PROBE))
        .arg(json!({ "url": origin, "connections": 2 }).to_string())
        .env("VERIFY_TOKEN", token)
        .stdin(Stdio::null())
        .output()
        .context("`node` does not start")?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!(
            "the probe broke: {}",
            said.trim().lines().next_back().unwrap_or_default()
        )
    })
}

/// It is an error when a tool is missing.
fn complete(seen: &Value, era: &str) -> anyhow::Result<()> {
    let names = seen
        .pointer(&format!("/{era}/value/names"))
        .and_then(Value::as_array);
    let names = names.with_context(|| {
        let said = seen.get(era).map(Value::to_string).unwrap_or_default();
        format!("`{era}` gets no answer: {said}")
    })?;
    let missing: Vec<_> = TOOLS
        .iter()
        .filter(|tool| !names.iter().any(|name| name == *tool))
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what = format!("the image does not offer `{}` ({era})", missing.join(" "));
    Err(Problem::new(what, "start it by `cargo xtask dev` and look").into())
}

fn with_log(error: &anyhow::Error, log: &Path) -> anyhow::Error {
    Problem::new(format!("{error:#}"), "this is what the image said")
        .with_detail(process::tail(log))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_not_offered_is_named() {
        let mut seen = json!({ "modern tools": { "value": { "names": TOOLS } } });
        assert!(complete(&seen, "modern tools").is_ok());
        seen["modern tools"]["value"]["names"][12] = json!("other");
        let error = complete(&seen, "modern tools").unwrap_err();
        assert!(error.to_string().contains("`whoami`"), "{error}");
        let silent = json!({ "legacy tools": { "error": "status 401: no" } });
        let error = complete(&silent, "legacy tools").unwrap_err();
        assert!(error.to_string().contains("status 401"), "{error}");
    }
}
