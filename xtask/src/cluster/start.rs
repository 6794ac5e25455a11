//! Brings a cluster up, stays with it, and takes it down.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::control::{self, Cluster as _};
use super::events::millis;
use super::fleet::{Fleet, Parts};
use super::haproxy::{self, Places, Runtime};
use super::partition::{Partition, Wire};
use super::plan::{Part, Verb};
use super::services::{DOMAIN, Services};
use super::task::{Recipe, file_name};
use super::tls::{self, Tls};
use super::{Options, picture};
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::process::{self, Process};
use crate::ui::{self, Mark};
use crate::workspace::Workspace;
use crate::{Outcome, apt, dev, http, machine};

/// The control socket, in the directory of the cluster.
pub(crate) const CONTROL: &str = "control.sock";

/// The path that people paste.
const MCP: &str = "/mcp";
/// Ports of every task where the load balancer has a port of its own choice.
const TASK_PORTS: (u16, u16) = (3000, 3001);
const READY_LIMIT: Duration = Duration::from_secs(10);
/// How often processes and targets are looked at.
const WATCH: Duration = Duration::from_millis(50);

/// Runs until somebody asks it to stop, or a part that nobody may harm ends.
pub(crate) fn run(
    options: &Options,
    json: bool,
    directory: &Path,
    workspace: &Workspace,
    interrupt: &Interrupt,
) -> anyhow::Result<Outcome> {
    let served = serve(options, json, directory, workspace, interrupt);
    // Ctrl-C and `down` are the ways to end it, at any moment.
    if interrupt.is_raised() {
        ui::step(Mark::Ok, "stopped");
        return Ok(Outcome::Done);
    }
    served.map(|()| Outcome::Done)
}

fn serve(
    options: &Options,
    json: bool,
    directory: &Path,
    workspace: &Workspace,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let start = Instant::now();
    machine::check(workspace)?;
    let socket = directory.join(CONTROL);
    control::check_path(&socket)?;
    if control::ask(&socket, "GET", "/status").is_ok() {
        let hint = "stop it with `cargo xtask cluster down`, or give this one a `--name` and `--port 0`";
        return Err(Problem::new("a cluster runs here already", hint).into());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    forget_logs(directory)?;
    let ports = Ports::choose(options)?;
    let origin = format!("https://127.0.0.1:{}", ports.public);

    let redirect_uri = format!("{origin}/auth/callback");
    let (parts, built) = std::thread::scope(|scope| {
        let services = scope.spawn(|| Services::start(workspace, directory, &redirect_uri, interrupt));
        let balancer = scope.spawn(|| start_balancer(options, ports.public, directory, interrupt));
        let built = build(options, workspace, interrupt);
        ((services.join(), balancer.join()), built)
    });
    let panicked = |_| anyhow::anyhow!("a thread of the start panicked");
    let gateway = built?;
    let mut services = parts.0.map_err(panicked)??;
    let (mut balancer, tls) = parts.1.map_err(panicked)??;

    let recipe = Recipe {
        gateway,
        environment: environment(options, &origin, directory, &services)?,
        port: ports.task,
        peer_port: ports.peer,
        directory: directory.to_owned(),
    };
    let fleet = Fleet::new(Parts {
        attributes: options.attributes(),
        recipe,
        services: wires(&services),
        load_balancer: Runtime::at(&directory.join("haproxy.sock")),
        partition: Partition::new(ports.public, directory.join("nft.log")),
        interrupt: interrupt.clone(),
        replace: options.replace,
    });
    let facts = facts(options, &origin, &tls, &services);
    let running = Arc::new(Running {
        fleet: fleet.clone(),
        facts,
    });
    fleet.begin(options.tasks)?;
    fleet.look()?;
    control::serve(&socket, Arc::<Running>::clone(&running))?;
    announce(&running, json, start.elapsed());
    let mut shown = 0;
    let watched = watch(
        &fleet,
        json,
        &mut shown,
        (&mut services, &mut balancer),
        interrupt,
    );
    ui::step(Mark::Run, "stopping");
    let _ = fs::remove_file(&socket);
    balancer.ask_to_stop();
    // Before the services, which a task may need for its last words.
    fleet.end();
    show(&fleet, json, &mut shown);
    services.ask_to_stop();
    watched
}

/// Removes the logs of an earlier run, so that none of its tasks is taken for one of this run.
fn forget_logs(directory: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Shows what happens until the end, from event number `shown` on.
fn watch(
    fleet: &Fleet,
    json: bool,
    shown: &mut u64,
    (services, balancer): (&mut Services, &mut Process),
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    while !interrupt.is_raised() {
        balancer.expect_running()?;
        services.expect_running()?;
        fleet.look()?;
        show(fleet, json, shown);
        std::thread::sleep(WATCH);
    }
    Ok(())
}

/// Shows the events after number `shown`.
fn show(fleet: &Fleet, json: bool, shown: &mut u64) {
    let (lines, last) = fleet.events().after(*shown, Duration::ZERO);
    *shown = last;
    for line in lines {
        if json {
            ui::data(line);
        } else {
            ui::say(picture::event(&line));
        }
    }
}

fn announce(running: &Running, json: bool, took: Duration) {
    let mut status = running.status();
    ui::step(Mark::Ok, format_args!("ready after {}", ui::seconds(took)));
    if json {
        if let Some(object) = status.as_object_mut() {
            object.insert("ready".to_owned(), Value::Bool(true));
        }
        ui::data(status);
    } else {
        ui::data(picture::draw(&status));
    }
}

/// The ports of load balancer and tasks.
#[derive(Clone, Copy, Debug)]
struct Ports {
    public: u16,
    task: u16,
    peer: u16,
}

impl Ports {
    fn choose(options: &Options) -> anyhow::Result<Self> {
        if options.port == 0 {
            return Ok(Self {
                public: http::free_port()?,
                task: http::free_port()?,
                peer: http::free_port()?,
            });
        }
        let (task, peer) = TASK_PORTS;
        let first = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 11), task));
        for (address, busy) in [
            (
                SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)),
                "the load balancer's address",
            ),
            (first, "the first task's address"),
        ] {
            if let Err(error) = TcpListener::bind(address) {
                return Err(Problem::new(
                    format!("{busy} `{address}` cannot be used: {error}"),
                    "take free ports: `cargo xtask cluster --port 0`; macOS first needs `ifconfig lo0 alias ADDRESS`",
                )
                .into());
            }
        }
        Ok(Self {
            public: options.port,
            task,
            peer,
        })
    }
}

/// The gateway that was named, or a fresh build.
fn build(options: &Options, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
    if let Some(path) = &options.gateway {
        return Ok(fs::canonicalize(path)?);
    }
    let start = Instant::now();
    let mut command = Command::new("cargo");
    command
        .args(["build", "--locked", "--package", "gateway", "--profile", "rig"])
        .current_dir(workspace.root());
    process::run_visible("cargo build", &mut command, interrupt)?;
    ui::step(
        Mark::Ok,
        format_args!("gateway built in {}", ui::seconds(start.elapsed())),
    );
    Ok(workspace.rig_binary())
}

fn start_balancer(
    options: &Options,
    port: u16,
    directory: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<(Process, Tls)> {
    let setup = directory.join("setup.log");
    let tls = tls::provide(
        &directory.join("tls"),
        tls::LOOPBACK,
        &directory.join("openssl.log"),
        interrupt,
    )?;
    let program = apt::program("haproxy", "haproxy", "the load balancer", &setup, interrupt)?;
    let places = Places {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        redirect: None,
        host: None,
        certificate: tls.server.clone(),
        socket: directory.join("haproxy.sock"),
    };
    let config = directory.join("haproxy.cfg");
    fs::write(&config, haproxy::render(&options.attributes(), &places))?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&config);
    let mut process = Process::start("haproxy", &mut command, &directory.join("haproxy.log"))?;
    let runtime = Runtime::at(&places.socket);
    process.wait_ready(READY_LIMIT, interrupt, || Ok(runtime.statistics().ok()))?;
    ui::step(
        Mark::Ok,
        format_args!("load balancer at https://127.0.0.1:{port}"),
    );
    Ok((process, tls))
}

/// What every task finds in its environment, and nothing else: no credentials of the person who runs this.
fn environment(
    options: &Options,
    origin: &str,
    directory: &Path,
    services: &Services,
) -> anyhow::Result<Vec<(String, String)>> {
    let scale = options.time_scale.to_string();
    let secret = dev::secret(&directory.join("session-secret"))?;
    let mut environment = services.variables();
    environment.extend([
        ("PUBLIC_URL", origin.to_owned()),
        ("SESSION_SECRET", secret),
        ("LOG_LEVEL", "info".to_owned()),
    ]);
    if !options.time_scale.is_real() {
        environment.push(("TIME_SCALE", scale));
    }
    if options.test_tools {
        environment.push(("TEST_TOOLS", "1".to_owned()));
    }
    let own = environment
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    // What is named on the command line comes last and wins.
    Ok(own.chain(options.environment.iter().cloned()).collect())
}

fn wires(services: &Services) -> BTreeMap<String, Wire> {
    [
        (Part::Store, &services.store),
        (Part::Kms, &services.kms),
        (Part::Google, &services.google),
    ]
    .into_iter()
    .map(|(part, service)| {
        let addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, service.port))];
        (
            part.to_string(),
            Wire {
                addresses,
                group: None,
            },
        )
    })
    .collect()
}

/// What of the status never changes.
fn facts(options: &Options, origin: &str, tls: &Tls, services: &Services) -> Value {
    let attributes = options.attributes();
    json!({
        "url": format!("{origin}{MCP}"),
        "origin": origin,
        "authority": tls.authority,
        "users": services.accounts.users,
        "domain": DOMAIN,
        "google": services.accounts.url,
        "kmsKeyArn": services.key_arn,
        "timeScale": options.time_scale.factor(),
        "attributes": {
            "idleTimeoutMs": millis(attributes.idle_timeout),
            "deregistrationDelayMs": millis(attributes.deregistration_delay),
            "healthPath": attributes.health.path,
            "healthIntervalMs": millis(attributes.health.interval),
            "stickiness": if attributes.stickiness.is_some() { "cookie" } else { "none" },
            "stopTimeoutMs": millis(attributes.service.stop_timeout),
        },
        "services": {
            "store": { "url": services.store.url() },
            "kms": { "url": services.kms.url() },
            "google": { "url": services.google.url() },
        },
    })
}

/// A cluster as the control socket sees it.
#[derive(Debug)]
struct Running {
    fleet: Fleet,
    facts: Value,
}

impl control::Cluster for Running {
    fn status(&self) -> Value {
        let mut status = self.facts.clone();
        let state = self.fleet.state();
        let recipe = &self.fleet.0.recipe;
        let tasks: Vec<_> = state
            .members
            .iter()
            .map(|(number, member)| {
                json!({
                    "task": number,
                    "address": recipe.address(*number).to_string(),
                    "peer": recipe.peer_address(*number).to_string(),
                    "pid": member.process.id(),
                    "process": if member.end.is_some() { "ended" } else { "running" },
                    "target": member.health.word(),
                    "open": member.open,
                    "leaving": member.leaving,
                    "cut": state.partition.is_cut(Part::Task(*number)),
                    "log": file_name(&recipe.log(*number)),
                    "logPath": recipe.log(*number),
                })
            })
            .collect();
        for part in [Part::Store, Part::Kms, Part::Google] {
            if let Some(service) = status
                .pointer_mut(&format!("/services/{part}"))
                .and_then(Value::as_object_mut)
            {
                service.insert("cut".to_owned(), Value::Bool(state.partition.is_cut(part)));
            }
        }
        let ended: Vec<_> = state
            .ended
            .iter()
            .map(|(number, exit)| exit.json(*number))
            .collect();
        let counted = &state.statistics;
        if let Some(object) = status.as_object_mut() {
            object.insert("tasks".to_owned(), Value::Array(tasks));
            object.insert("ended".to_owned(), Value::Array(ended));
            let balancer = json!({
                "requests": counted.requests,
                "serverErrors": counted.server_errors,
                "connectionErrors": counted.connection_errors,
                "responseErrors": counted.response_errors,
            });
            object.insert("loadBalancer".to_owned(), balancer);
        }
        status
    }

    fn events(&self, since: u64, limit: Duration) -> (Vec<String>, u64) {
        self.fleet.events().after(since, limit)
    }

    fn perform(&self, verb: Verb) -> anyhow::Result<Value> {
        self.fleet.perform(verb)
    }

    fn shut_down(&self) {
        self.fleet.shut_down();
    }
}
