//! The command line: `gateway serve | health | check`.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use gateway::app::Gateway;
use gateway::clock::Clock;
use gateway::config::{self, Config};
use gateway::lifecycle::{StopSignals, Stopped};
use gateway::limits;
use gateway::telemetry::logging;
use gateway::version;

/// Exit status for a configuration that cannot be used (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;
/// Exit status of a stop that left work behind (`EX_TEMPFAIL` of sysexits.h).
const EXIT_CUT: u8 = 75;
/// Exit status after a second signal: what shells report for a process that SIGTERM ended.
const EXIT_ABORTED: u8 = 143;
/// How long `gateway health` waits. Below the health check's own timeout.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a stop waits for blocking calls after all else is over.
const BLOCKING_TIMEOUT: Duration = Duration::from_secs(1);

/// One URL that gives every MCP client its user's Google Workspace.
#[derive(Debug, Parser)]
#[command(name = "gateway", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C. Settings come from the environment: docs/reference/configuration.md
    Serve,
    /// Ask the gateway on this machine for its health; exit 0 when it answers 200
    Health,
    /// Check the configuration without serving; print the effective timeouts
    Check,
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(self) -> ExitCode {
        match self.command {
            Command::Serve => with_config(|config| match serve(config) {
                Ok(code) => code,
                Err(error) => fail(&*error, 1),
            }),
            Command::Check => with_config(|config| {
                for timeout in config.timeouts() {
                    let limit = timeout
                        .ms
                        .map_or_else(|| "none".to_owned(), |ms| format!("{ms} ms"));
                    let _ = writeln!(io::stdout(), "{:<40} {limit:<12} {}", timeout.name, timeout.rule);
                }
                say(&format!(
                    "the configuration is good; clients use {}/mcp\n",
                    config.server.origin()
                ));
                ExitCode::SUCCESS
            }),
            Command::Health => with_config(|config| match health(&config) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error, 1),
            }),
        }
    }
}

fn with_config(run: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match config::env::load() {
        Ok(config) => {
            for warning in &config.warnings {
                say(&format!("warning: {warning}\n"));
            }
            run(config)
        }
        Err(errors) => {
            say(&format!("{errors}\n"));
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

fn serve(mut config: Config) -> Result<ExitCode, Box<dyn Error>> {
    logging::init(&config.log_level, config.log_format)?;
    fit_open_files(&mut config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        announce(&config);
        let signals = StopSignals::listen()?;
        let gateway = Gateway::start(config, &Clock::system())?;
        tracing::info!(address = %gateway.address()?, "listening");
        Ok(gateway.run(signals).await)
    });
    match served {
        Ok(Stopped::Aborted) => runtime.shutdown_background(),
        _ => end(runtime),
    }
    served.map(exit_code)
}

/// Makes room for `MAX_CONNECTIONS`, or lowers it to what there is room for.
fn fit_open_files(config: &mut Config) {
    let open_files = limits::raise_open_files();
    let wanted = config.server.max_connections;
    let granted = limits::connections_within(open_files, wanted);
    if granted < wanted {
        tracing::warn!(
            open_files,
            max_connections = wanted,
            granted,
            "`MAX_CONNECTIONS` is `{wanted}`, but this process may have `{}` open files: it takes `{granted}` \
             connections; raise the hard limit of open files (`ulimit -Hn`, `ulimits` of a container)",
            open_files.unwrap_or_default(),
        );
        config.server.max_connections = granted;
    }
}

/// How a stop is told to whoever started the process: docs/reference/exit-codes.md.
fn exit_code(stopped: Stopped) -> ExitCode {
    match stopped {
        Stopped::Clean | Stopped::Hurried => ExitCode::SUCCESS,
        Stopped::Cut => ExitCode::from(EXIT_CUT),
        Stopped::Aborted => ExitCode::from(EXIT_ABORTED),
    }
}

/// Ends the runtime. Dropping it would wait for every blocking call, and a name lookup that nobody answers takes
/// longer than a stop may; what the store still writes has its time.
fn end(runtime: Runtime) {
    runtime.shutdown_timeout(BLOCKING_TIMEOUT);
}

/// The first log lines: what runs, and every timeout that is in force.
fn announce(config: &Config) {
    tracing::info!(
        version = version::VERSION,
        git_sha = version::GIT_SHA,
        rmcp_version = version::RMCP_VERSION,
        public_url = %config.server.origin(),
        "starting"
    );
    for timeout in config.timeouts() {
        tracing::info!(
            name = timeout.name,
            ms = timeout.ms,
            rule = timeout.rule,
            "timeout"
        );
    }
}

/// Asks `/health` over a plain socket: the image has no shell and no curl.
fn health(config: &Config) -> io::Result<()> {
    let host = match config.server.host {
        host if !host.is_unspecified() => host,
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let address = SocketAddr::new(host, config.server.port);
    let mut socket = TcpStream::connect_timeout(&address, HEALTH_TIMEOUT)?;
    socket.set_read_timeout(Some(HEALTH_TIMEOUT))?;
    socket.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.take(64 << 10).read_to_string(&mut answer)?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(io::Error::other(format!("`{address}` answered `{status}`")))
}

fn fail(error: &dyn Error, code: u8) -> ExitCode {
    let mut text = format!("error: {error}\n");
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}caused by: {cause}\n");
        source = cause.source();
    }
    say(&text);
    ExitCode::from(code)
}

fn say(text: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_blocking_call_that_hangs_does_not_hold_up_the_exit() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let (hang_up, hanging) = mpsc::channel::<()>();
        runtime.spawn_blocking(move || hanging.recv());
        let (ended, end_seen) = mpsc::channel();
        std::thread::spawn(move || {
            end(runtime);
            ended.send(())
        });
        end_seen.recv_timeout(3 * BLOCKING_TIMEOUT).unwrap();
        drop(hang_up);
    }
}
