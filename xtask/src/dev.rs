//! `cargo xtask dev`: the gateway and a Google emulator on this machine, ready for an MCP client.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::emulator::{self, Ready};
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::process::{self, Process};
use crate::ui::{self, Mark};
use crate::workspace::Workspace;
use crate::{Outcome, http, links, machine};

/// The Workspace domain whose people may log in.
const DOMAIN: &str = "example.com";
const READY_LIMIT: Duration = Duration::from_secs(30);
const WATCH: Duration = Duration::from_millis(100);

/// Run the gateway here, with a Google emulator to log in to.
///
/// Builds what is needed, starts both, prints how to connect an MCP client, and stops everything on Ctrl-C.
/// State and logs are kept in `.dev`; delete it to start over.
#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    /// Port of the gateway, on loopback
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Show the gateway's log here as well
    #[arg(short, long)]
    verbose: bool,
    /// When ready, print one line of JSON on stdout instead of the summary
    #[arg(long)]
    json: bool,
}

impl Dev {
    /// Runs until somebody asks it to stop, or one of the two children ends.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let served = self.serve(workspace, interrupt);
        // Ctrl-C is the way to end it, at any moment.
        if interrupt.is_raised() {
            ui::step(Mark::Ok, "stopped");
            return Ok(Outcome::Done);
        }
        served.map(|()| Outcome::Done)
    }

    fn serve(&self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<()> {
        let start = Instant::now();
        machine::check(workspace)?;
        self.check_port()?;
        let directory = workspace.root().join(".dev");
        fs::create_dir_all(&directory)?;
        let origin = format!("http://127.0.0.1:{}", self.port);

        let emulator_log = directory.join("emulator.log");
        let redirect_uri = format!("{origin}/auth/callback");
        let (emulator, built) = std::thread::scope(|scope| {
            let emulator =
                scope.spawn(|| emulator::start(workspace, &redirect_uri, &emulator_log, interrupt));
            let built = build(workspace, interrupt);
            let emulator = emulator
                .join()
                .map_err(|_| anyhow::anyhow!("the emulator's thread panicked"));
            (emulator, built)
        });
        built?;
        let (mut emulator, google) = emulator??;

        let log = directory.join("gateway.log");
        let mut command = self.gateway(workspace, &directory, &origin, &google)?;
        let mut gateway = Process::start("gateway", &mut command, &log)?;
        let shown_to = if self.verbose { Some(log.clone()) } else { None };
        let _follower = shown_to.map(|log| std::thread::spawn(move || follow(&log)));
        gateway.wait_ready(READY_LIMIT, interrupt, || {
            Ok(http::status(self.port, "/health")
                .is_ok_and(|status| status == 200)
                .then_some(()))
        })?;
        ui::step(
            Mark::Ok,
            format_args!(
                "gateway at {origin}, ready after {}",
                ui::seconds(start.elapsed())
            ),
        );

        if self.json {
            ui::data(json!({
                "ready": true, "url": format!("{origin}/mcp"), "emulator": google.url, "users": google.users, "log": log,
            }));
        } else {
            summary(workspace, &origin, &google, &log);
        }
        while !interrupt.is_raised() {
            gateway.expect_running()?;
            emulator.expect_running()?;
            std::thread::sleep(WATCH);
        }
        ui::step(Mark::Run, "stopping");
        emulator.ask_to_stop();
        gateway.stop();
        emulator.stop();
        Ok(())
    }

    fn check_port(&self) -> anyhow::Result<()> {
        if http::is_free(self.port) {
            return Ok(());
        }
        let other = self.port.checked_add(100).unwrap_or(3000);
        Err(Problem::new(
            format!("port `{}` is in use", self.port),
            format!("stop what listens there, or take another port: `cargo xtask dev --port {other}`"),
        )
        .into())
    }

    fn gateway(
        &self,
        workspace: &Workspace,
        directory: &Path,
        origin: &str,
        google: &Ready,
    ) -> anyhow::Result<Command> {
        let mut command = Command::new(workspace.gateway_binary());
        command
            .arg("serve")
            .current_dir(workspace.root())
            .env("HOST", "127.0.0.1")
            .env("PORT", self.port.to_string())
            .env("PUBLIC_URL", origin)
            .env("DATA_DIR", directory.join("data"))
            .env("SESSION_SECRET", secret(&directory.join("session-secret"))?)
            .env("GOOGLE_CLIENT_ID", &google.client_id)
            .env("GOOGLE_CLIENT_SECRET", &google.client_secret)
            .env("GOOGLE_ISSUER", &google.url)
            .env("GOOGLE_API_BASE_URL", &google.url)
            .env("ALLOWED_DOMAIN", DOMAIN)
            .env("LOG_FORMAT", "text")
            // No load balancer has to notice the stop first.
            .env("DRAIN_GRACE", "0");
        Ok(command)
    }
}

fn build(workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut command = Command::new("cargo");
    command
        .args(["build", "--locked", "--package", "gateway"])
        .current_dir(workspace.root());
    process::run_visible("cargo build", &mut command, interrupt)?;
    ui::step(
        Mark::Ok,
        format_args!("gateway built in {}", ui::seconds(start.elapsed())),
    );
    Ok(())
}

/// The secret of this checkout: made once, so that logins survive a restart. Only its owner can read it.
pub(crate) fn secret(path: &Path) -> anyhow::Result<String> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(mut file) => {
            let mut bytes = [0; 32];
            fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
            file.write_all(URL_SAFE_NO_PAD.encode(bytes).as_bytes())?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    Ok(fs::read_to_string(path)?)
}

/// How to connect, who can log in, where the log is.
fn summary(workspace: &Workspace, origin: &str, google: &Ready, log: &Path) {
    let url = format!("{origin}/mcp");
    let (ours, others): (Vec<_>, Vec<_>) = google.users.iter().partition(|user| user.domain == DOMAIN);
    let emails = |users: &[&emulator::User]| {
        users
            .iter()
            .map(|u| u.email.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    ui::data(format_args!("\n  MCP URL      {url}"));
    ui::data(format_args!("  Web page     {origin}/"));
    ui::data(format_args!("\n  Cursor       {}", links::cursor(&url)));
    ui::data(format_args!("  VS Code      {}", links::vs_code(&url)));
    ui::data(format_args!("  Claude Code  {}", links::claude_code(&url)));
    ui::data(format_args!("\n  Log in as    {} (no password)", emails(&ours)));
    ui::data(format_args!(
        "  Turned away  {} (not in {DOMAIN})",
        emails(&others)
    ));
    ui::data(format_args!("\n  Log          {}", workspace.shown(log)));
    ui::data("  Stop         Ctrl-C\n");
}

/// Shows a log as it grows, for as long as this process lives.
fn follow(log: &Path) -> io::Result<()> {
    let mut file = fs::File::open(log)?;
    let mut pending = Vec::new();
    loop {
        file.read_to_end(&mut pending)?;
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            ui::say(String::from_utf8_lossy(&line).trim_end());
        }
        std::thread::sleep(WATCH);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_secret_is_made_once_and_readable_by_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("session-secret");
        let made = secret(&path).unwrap();
        assert_eq!(made.len(), 43);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(secret(&path).unwrap(), made);
        let other = secret(&directory.path().join("other")).unwrap();
        assert_ne!(other, made);
    }

    #[test]
    fn a_busy_port_is_an_error_that_names_another() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let dev = Dev {
            port,
            verbose: false,
            json: false,
        };
        let error = dev.check_port().unwrap_err();
        assert_eq!(error.to_string(), format!("port `{port}` is in use"));
        assert!(error.downcast_ref::<Problem>().unwrap().hint().contains("--port"));
    }
}
