//! HAProxy in the part of the Application Load Balancer: its configuration, rendered from the ALB's attributes, and
//! what is said to it while it runs.
//!
//! Where the two differ: HAProxy answers 503 when a target does not take a connection, the ALB 502; and with no healthy
//! target HAProxy answers 503, where the ALB tries them all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::attributes::Attributes;

/// Targets at one time, those that drain included.
pub(crate) const SLOTS: usize = 32;

/// How long HAProxy may take to answer a command.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where the load balancer finds and leaves things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// Where plain HTTP is redirected to it.
    pub(crate) redirect: Option<SocketAddr>,
    /// The only host that is served, where a rule says so.
    pub(crate) host: Option<String>,
    /// Certificate and key in one PEM file.
    pub(crate) certificate: PathBuf,
    /// The socket for commands.
    pub(crate) socket: PathBuf,
}

/// The configuration file.
pub(crate) fn render(attributes: &Attributes, places: &Places) -> String {
    let Places {
        listen,
        redirect,
        host,
        certificate,
        socket,
    } = places;
    let others = host.as_ref().map_or_else(String::new, |host| {
        format!("  http-request return status 503 unless {{ hdr(host),host_only -i {host} }}\n")
    });
    let redirect = redirect.map_or_else(String::new, |address| {
        format!("\nfrontend plain\n  bind {address}\n  http-request redirect scheme https code 301\n")
    });
    let idle = attributes.idle_timeout.as_millis();
    let health = &attributes.health;
    let mut text = format!(
        "# Written by `cargo xtask cluster` at every start.
global
  log stdout format raw daemon
  stats socket \"{socket}\" mode 600 level admin

defaults
  mode http
  log global
  option dontlognull
  option http-no-delay
  timeout connect 10s
  # One idle timeout for both sides, as the ALB has it: between requests as well as within one.
  timeout client {idle}ms
  timeout server {idle}ms
  timeout http-keep-alive {idle}ms
  timeout http-request 60s
  # A request that fails is the client's to repeat.
  retries 0

frontend public
  bind {listen} ssl crt \"{certificate}\" alpn h2,http/1.1
  option forwardfor
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Port %[dst_port]
  log-format '{LOG_FORMAT}'
{others}  default_backend tasks
{redirect}
backend tasks
  balance roundrobin
  http-reuse always
  option httpchk
  http-check send meth GET uri {path} ver HTTP/1.1 hdr Host target hdr User-Agent ELB-HealthChecker/2.0
  http-check expect status 200
  timeout check {check}ms
",
        socket = socket.display(),
        certificate = certificate.display(),
        path = health.path,
        check = health.timeout.as_millis(),
    );
    if let Some(duration) = attributes.stickiness {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  cookie AWSALB insert nocache dynamic attr \"Max-Age={}\"\n  dynamic-cookie-key cluster",
            duration.as_secs().max(1)
        );
    }
    // Idle connections to a task are kept for as long as the ALB keeps them: its next request may use one at any moment.
    let _ = writeln!(
        text,
        "  default-server check inter {inter}ms rise {rise} fall {fall} init-addr none pool-purge-delay {idle}ms\n  \
         server-template task 1-{SLOTS} 127.0.0.1:9 disabled",
        inter = health.interval.as_millis(),
        rise = health.healthy,
        fall = health.unhealthy,
    );
    text
}

/// One JSON object per request. The status is what the client got; `ended` is HAProxy's word for how it ended.
const LOG_FORMAT: &str =
    r#"{"ms":%Ts%ms,"method":%{+Q}HM,"path":%{+Q}HPO,"status":%ST,"slot":%{+Q}s,"tookMs":%Ta,"ended":"%ts"}"#;

/// Commands for a load balancer that has just started.
pub(crate) fn begin(attributes: &Attributes) -> Vec<String> {
    // A server whose address changes gets a cookie of its own only when told to.
    let sticky = attributes
        .stickiness
        .map(|_| "enable dynamic-cookie backend tasks".to_owned());
    sticky.into_iter().collect()
}

/// The name of a slot in the configuration.
fn server(slot: usize) -> String {
    format!("tasks/task{slot}")
}

/// Commands that make `address` a target in `slot`. `healthy`: it counts as healthy at once; else it has to pass its
/// checks first, and gets no request before.
pub(crate) fn register(slot: usize, address: SocketAddr, healthy: bool) -> Vec<String> {
    let server = server(slot);
    let mut commands = vec![
        format!(
            "set server {server} addr {} port {}",
            address.ip(),
            address.port()
        ),
        // A server that leaves maintenance counts as up until a check fails; without weight it gets nothing meanwhile.
        format!("set server {server} weight 0"),
        format!("set server {server} state ready"),
    ];
    if !healthy {
        commands.push(format!("set server {server} health down"));
    }
    commands.push(format!("set server {server} weight 100%"));
    commands
}

/// Commands that end a target's share of new requests, also of clients that stick to it. Open ones go on.
pub(crate) fn deregister(slot: usize) -> Vec<String> {
    vec![format!("set server {} state maint", server(slot))]
}

/// Commands that cut what is still open to a target.
pub(crate) fn close_connections(slot: usize) -> Vec<String> {
    vec![format!("shutdown sessions server {}", server(slot))]
}

/// What HAProxy knows about a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// Whether it gets requests as far as its checks go.
    pub(crate) up: bool,
    /// Requests and streams in progress.
    pub(crate) open: u64,
}

/// What HAProxy has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    /// By slot.
    pub(crate) targets: BTreeMap<usize, Target>,
    /// Requests answered.
    pub(crate) requests: u64,
    /// Of these with a status of 500 and above, from a target or from HAProxy itself.
    pub(crate) server_errors: u64,
    /// Connections that a target refused or did not take.
    pub(crate) connection_errors: u64,
    /// Answers that broke off.
    pub(crate) response_errors: u64,
}

/// Reads the answer to `show stat`.
fn statistics(csv: &str) -> anyhow::Result<Statistics> {
    let mut lines = csv.lines().filter(|line| !line.is_empty());
    let header = lines.next().context("`show stat` printed nothing")?;
    let names: Vec<&str> = header.trim_start_matches("# ").split(',').collect();
    let mut statistics = Statistics::default();
    for line in lines {
        let row: BTreeMap<&str, &str> = names.iter().copied().zip(line.split(',')).collect();
        let number = |name: &str| {
            let value = row.get(name).and_then(|value| value.parse::<u64>().ok());
            value.unwrap_or_default()
        };
        let name = row.get("svname").copied().unwrap_or_default();
        match (row.get("pxname").copied(), name) {
            (Some("public"), "FRONTEND") => {
                statistics.requests = number("req_tot");
                statistics.server_errors = number("hrsp_5xx");
            }
            (Some("tasks"), "BACKEND") => {
                statistics.connection_errors = number("econ");
                statistics.response_errors = number("eresp");
            }
            (Some("tasks"), name) => {
                let Some(slot) = name.strip_prefix("task").and_then(|slot| slot.parse().ok()) else {
                    continue;
                };
                let up = row.get("status").is_some_and(|status| status.starts_with("UP"));
                let open = number("scur");
                statistics.targets.insert(slot, Target { up, open });
            }
            _ => {}
        }
    }
    Ok(statistics)
}

/// The command socket of a running HAProxy.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    socket: PathBuf,
}

impl Runtime {
    /// The socket may not be there yet.
    pub(crate) fn at(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Says `commands`, one after the other. HAProxy answers with words only where it refuses or reports.
    pub(crate) fn say(&self, commands: &[String]) -> anyhow::Result<()> {
        for command in commands {
            let answer = self.ask(command)?;
            let answer = answer.trim();
            if !answer.is_empty() && !is_report(answer) {
                bail!("HAProxy refuses `{command}`: {answer}");
            }
        }
        Ok(())
    }

    /// What it has counted.
    pub(crate) fn statistics(&self) -> anyhow::Result<Statistics> {
        statistics(&self.ask("show stat")?)
    }

    /// Whether it is process `id` that answers. One that takes over is not heard before the old one has let go.
    pub(crate) fn is_of(&self, id: u32) -> bool {
        self.ask("show info")
            .is_ok_and(|info| info.lines().any(|line| line == format!("Pid: {id}")))
    }

    fn ask(&self, command: &str) -> anyhow::Result<String> {
        let mut stream = UnixStream::connect(&self.socket).context("HAProxy's socket does not answer")?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// `set server addr` says what it changed, or that nothing changed.
fn is_report(answer: &str) -> bool {
    answer.contains("changed from")
        || answer.contains("no need to change")
        || answer.contains("nothing changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            listen: "127.0.0.1:8443".parse().unwrap(),
            redirect: None,
            host: None,
            certificate: "/state/tls/server.pem".into(),
            socket: "/state/haproxy.sock".into(),
        }
    }

    fn has(config: &str, line: &str) -> bool {
        config.lines().any(|found| found.trim() == line)
    }

    #[test]
    fn the_attributes_of_production_become_haproxys() {
        let config = render(&Attributes::production(), &places());
        for line in [
            "timeout client 300000ms",
            "timeout server 300000ms",
            "timeout http-keep-alive 300000ms",
            "timeout check 10000ms",
            "retries 0",
            "balance roundrobin",
            "http-reuse always",
            r#"bind 127.0.0.1:8443 ssl crt "/state/tls/server.pem" alpn h2,http/1.1"#,
            "default-server check inter 15000ms rise 2 fall 3 init-addr none pool-purge-delay 300000ms",
            "http-check send meth GET uri /health ver HTTP/1.1 hdr Host target hdr User-Agent ELB-HealthChecker/2.0",
        ] {
            assert!(has(&config, line), "`{line}` in:\n{config}");
        }
        assert!(!config.contains("cookie"), "{config}");
        assert!(
            !config.contains("proto h2"),
            "targets are spoken to in HTTP/1.1:\n{config}"
        );
    }

    #[test]
    fn the_scale_reaches_every_interval_and_stickiness_is_a_cookie() {
        let mut attributes = Attributes::production();
        attributes.stickiness = Some(Duration::from_hours(1));
        let config = render(&attributes.scaled("0.05".parse().unwrap()), &places());
        for line in [
            "timeout client 15000ms",
            "timeout http-keep-alive 15000ms",
            "default-server check inter 750ms rise 2 fall 3 init-addr none pool-purge-delay 15000ms",
            r#"cookie AWSALB insert nocache dynamic attr "Max-Age=180""#,
        ] {
            assert!(has(&config, line), "`{line}` in:\n{config}");
        }
    }

    #[test]
    fn plain_http_is_redirected_and_other_hosts_are_not_served_where_that_is_deployed() {
        let mut places = places();
        let alone = render(&Attributes::production(), &places);
        assert!(!alone.contains("redirect") && !alone.contains("503"), "{alone}");
        places.redirect = Some("10.66.0.1:80".parse().unwrap());
        places.host = Some("mcp.example.com".to_owned());
        let config = render(&Attributes::production(), &places);
        for line in [
            "bind 10.66.0.1:80",
            "http-request redirect scheme https code 301",
            "http-request return status 503 unless { hdr(host),host_only -i mcp.example.com }",
        ] {
            assert!(has(&config, line), "`{line}` in:\n{config}");
        }
    }

    #[test]
    fn a_new_target_gets_nothing_before_its_checks_pass() {
        let address = "127.0.0.13:3000".parse().unwrap();
        let commands = register(3, address, false);
        let at = |what: &str| {
            commands
                .iter()
                .position(|command| command.ends_with(what))
                .unwrap()
        };
        assert!(at("weight 0") < at("state ready"));
        assert!(at("state ready") < at("health down"));
        assert!(at("health down") < at("weight 100%"));
        assert_eq!(commands[0], "set server tasks/task3 addr 127.0.0.13 port 3000");
        assert!(
            !register(3, address, true)
                .iter()
                .any(|command| command.ends_with("health down"))
        );
    }

    #[test]
    fn statistics_are_read_by_the_names_of_their_columns() {
        let csv = "# pxname,svname,scur,hrsp_5xx,req_tot,status,econ,eresp,\n\
            public,FRONTEND,4,2,100,OPEN,,,\n\
            tasks,task1,3,0,,UP,0,0,\n\
            tasks,task2,0,0,,DOWN 1/2,0,0,\n\
            tasks,task3,1,0,,MAINT,0,0,\n\
            tasks,task4,0,0,,UP 2/3,0,0,\n\
            tasks,BACKEND,4,2,,UP,5,6,\n";
        let statistics = statistics(csv).unwrap();
        assert_eq!((statistics.requests, statistics.server_errors), (100, 2));
        assert_eq!((statistics.connection_errors, statistics.response_errors), (5, 6));
        assert_eq!(statistics.targets[&1], Target { up: true, open: 3 });
        assert_eq!(statistics.targets[&2], Target { up: false, open: 0 });
        assert_eq!(statistics.targets[&3], Target { up: false, open: 1 });
        assert!(statistics.targets[&4].up);
    }

    #[test]
    fn a_process_that_has_not_taken_over_yet_is_told_from_the_one_that_answers() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("haproxy.sock");
        let runtime = Runtime::at(&socket);
        assert!(!runtime.is_of(70), "nobody answers");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let old = std::thread::spawn(move || {
            for _ in 0..2 {
                let mut stream = listener.accept().unwrap().0;
                let mut command = [0; 10];
                stream.read_exact(&mut command).unwrap();
                assert_eq!(&command, b"show info\n");
                stream
                    .write_all(b"Name: HAProxy\nNbthread: 2\nPid: 70\nProcess_num: 1\n")
                    .unwrap();
            }
        });
        assert!(runtime.is_of(70));
        assert!(!runtime.is_of(7));
        old.join().unwrap();
    }
}
