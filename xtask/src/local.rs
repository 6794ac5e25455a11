//! `cargo xtask local`: AWS, Google and a load balancer on this machine, for releases of the environment `local`.

mod api;
mod balancer;
mod finish;
mod machines;

use std::fs::{self, DirBuilder};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::finish::finish;

use self::api::Api;
use self::balancer::Balancer;
use self::machines::Machines;
use crate::Outcome;
use crate::aws::Aws;
use crate::http;
use crate::interrupt::Interrupt;
use crate::login::{self, Place};
use crate::problem::Problem;
use crate::process;
use crate::test::{CLIENTS, Kit, Need};
use crate::ui::{self, Mark};
use crate::workspace::Workspace;

/// State and logs of the stage, relative to the checkout.
const DIRECTORY: &str = ".dev/local";
/// Where everything of the stage listens, as `infra/config/local.ts` says.
const ADDRESS: &str = "10.66.0.1";
/// The AWS API.
pub(crate) const ENDPOINT: &str = "http://10.66.0.1:4566";
const ENDPOINT_PORT: u16 = 4566;
/// The registry, on loopback, where every daemon takes one without TLS.
const REGISTRY: &str = "127.0.0.1:5001";
const REGISTRY_PORT: u16 = 5001;
/// What its container daemon pushes.
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The region that everybody speaks of.
const REGION: &str = "us-east-1";
/// The environment's host.
const HOST: &str = "mcp.local.example.com";
/// Google, under a name that counts as loopback, which plain HTTP is taken from (RFC 6761); the stage's DNS knows it.
const GOOGLE_NAME: &str = "google.localhost";
const GOOGLE_PORT: u16 = 4567;
const REDIRECT_URI: &str = "https://mcp.local.example.com/auth/callback";
/// The OAuth client of the environment.
const CLIENT_ID: &str = "100000000000-local.apps.googleusercontent.com";
/// Its secret, which is put where the tasks take it from as soon as the place is deployed.
const CLIENT_SECRET: &str = "emulator-secret";
const SECRET: &str = "mcp-gateway-local/google-oauth";
/// The DNS zone of the environment, which a person makes once in an account.
const ZONE: &str = "local.example.com";
/// Somebody who may log in.
const PERSON: &str = "ana@example.com";

/// How often what is deployed is looked at.
const POLL: Duration = Duration::from_millis(250);
/// The first start fetches programs and packages.
const START_LIMIT: Duration = Duration::from_mins(10);
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// Twice what a rehearsal takes on two cores.
const REHEARSAL_LIMIT: Duration = Duration::from_hours(1);

/// Run AWS, Google and a load balancer here, for `--target local` of the other verbs.
///
/// A container daemon of its own runs the tasks, ministack is AWS, and `HAProxy` serves `https://mcp.local.example.com`
/// with what the deployed load balancer says of itself. Needs root, because tasks need a network. State and logs are in
/// `.dev/local`; `down` forgets what was deployed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: cargo xtask local, then: cargo xtask verify --env local --target local\n\
    Exit codes: 0 done, 1 a rehearsal did not go as required, 2 the tool broke, or nothing runs."
)]
pub(crate) struct Local {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Start it in the background, unless it runs, and say where everything is
    Up,
    /// Say where everything is
    Status,
    /// Log somebody in at the deployed gateway and print the access token, for `verify --token-file`
    Token,
    /// Stop it
    Down,
    /// Start it anew and release to it, well and badly, while real MCP clients are connected: half an hour
    Rehearse {
        /// Where to write the report in Markdown, relative to the checkout
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
}

/// A running stage, as others reach it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Stage {
    /// The process that holds it.
    pid: i32,
    /// Where the container daemon listens.
    pub(crate) docker_socket: PathBuf,
    /// What clients trust besides the usual authorities.
    pub(crate) authority: PathBuf,
    /// The id of the DNS zone.
    zone: String,
}

impl Local {
    /// Runs until Ctrl-C; or says something to the one that runs.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        match self.verb {
            None => serve(workspace, interrupt),
            Some(Verb::Up) => {
                Stage::up(workspace, interrupt)?.print();
                Ok(Outcome::Done)
            }
            Some(Verb::Status) => {
                Stage::expect(workspace)?.print();
                Ok(Outcome::Done)
            }
            Some(Verb::Token) => {
                ui::data(Stage::expect(workspace)?.token(workspace)?);
                Ok(Outcome::Done)
            }
            Some(Verb::Down) => Stage::down(workspace, interrupt),
            Some(Verb::Rehearse { report }) => rehearse(workspace, report, interrupt),
        }
    }
}

impl Stage {
    /// The one that runs, or one that is started now and stays after this process.
    pub(crate) fn up(workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Self> {
        if let Some(stage) = Self::running(workspace) {
            return Ok(stage);
        }
        let log = directory(workspace)?.join("local.log");
        ui::step(
            Mark::Run,
            format_args!("starting the local stage, log in {}", workspace.shown(&log)),
        );
        let output = fs::File::create(&log)?;
        // A group of its own, so that Ctrl-C here does not end it.
        let mut child = Command::new(process::this_program()?)
            .arg("local")
            .env("CARGO_MANIFEST_DIR", workspace.root().join("xtask"))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .context("the stage does not start")?;
        let start = Instant::now();
        loop {
            if let Some(stage) = Self::running(workspace) {
                return Ok(stage);
            }
            if child.try_wait()?.is_some() || start.elapsed() > START_LIMIT {
                let hint = format!("its whole output is in `{}`", log.display());
                return Err(Problem::new("the local stage does not start", hint)
                    .with_detail(process::tail(&log))
                    .into());
            }
            interrupt.check()?;
            std::thread::sleep(POLL);
        }
    }

    /// The one that runs.
    pub(crate) fn running(workspace: &Workspace) -> Option<Self> {
        let text = fs::read(ready_file(workspace)).ok()?;
        let stage: Self = serde_json::from_slice(&text).ok()?;
        let pid = rustix::process::Pid::from_raw(stage.pid)?;
        rustix::process::test_kill_process(pid).ok()?;
        Some(stage)
    }

    /// The one that runs; it is an error when there is none.
    pub(crate) fn expect(workspace: &Workspace) -> anyhow::Result<Self> {
        let none = || {
            Problem::new(
                "the local stage does not run",
                "start it by `cargo xtask local up`",
            )
        };
        Self::running(workspace).ok_or_else(|| none().into())
    }

    /// Stops the one that runs, and waits for its end.
    fn down(workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let stage = Self::expect(workspace)?;
        let pid = rustix::process::Pid::from_raw(stage.pid).context("the stage has no process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let start = Instant::now();
        while Self::running(workspace).is_some() {
            anyhow::ensure!(
                start.elapsed() < STOP_LIMIT,
                "the stage does not stop; its process is `{}`",
                stage.pid
            );
            interrupt.check()?;
            std::thread::sleep(POLL);
        }
        Ok(Outcome::Done)
    }

    /// The context of the CDK app, which cannot know the id of the zone.
    pub(crate) fn context(&self) -> String {
        format!("zone={}", self.zone)
    }

    /// Where the images of a repository are: the emulator's own registry takes no bytes.
    pub(crate) fn repository(name: &str) -> String {
        format!("{REGISTRY}/{name}")
    }

    /// The `aws` command line of the stage, which is loaded once and answers in milliseconds.
    pub(crate) fn aws(workspace: &Workspace) -> PathBuf {
        workspace.root().join(DIRECTORY).join("bin/aws")
    }

    /// What `--resolve` takes.
    pub(crate) fn resolve() -> String {
        format!("{HOST}:443:{ADDRESS}")
    }

    /// Tells the emulator's registry what it would know if the image had been pushed to it.
    pub(crate) fn register_image(aws: &Aws, repository: &str, digest: &str) -> anyhow::Result<()> {
        let path = format!("/v2/{repository}/manifests/{digest}");
        let wanted = http::Request {
            method: "GET",
            path: &path,
            headers: &[("Accept", MANIFEST)],
            body: "",
        };
        let (status, manifest) = http::send(REGISTRY_PORT, wanted)?;
        anyhow::ensure!(status == 200, "the registry answers `{status}` to `{path}`");
        let arguments = [
            "ecr",
            "put-image",
            "--repository-name",
            repository,
            "--image-tag",
            &digest.replace(':', "-"),
            "--image-manifest",
            &manifest,
            "--image-manifest-media-type",
            MANIFEST,
        ];
        match aws.json(&arguments) {
            Ok(_) => Ok(()),
            Err(failure)
                if failure
                    .code
                    .as_deref()
                    .is_some_and(|code| code.ends_with("AlreadyExistsException")) =>
            {
                Ok(())
            }
            Err(failure) => Err(Problem::new(failure.to_string(), failure.hint()).into()),
        }
    }

    /// The same in a file that its owner alone can read.
    pub(crate) fn token_file(&self, workspace: &Workspace) -> anyhow::Result<PathBuf> {
        let token = self.token(workspace)?;
        let path = directory(workspace)?.join("token");
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(token.as_bytes())?;
        Ok(path)
    }

    /// The access token of somebody who logs in at the deployed gateway.
    fn token(&self, workspace: &Workspace) -> anyhow::Result<String> {
        let place = Place {
            url: &format!("https://{HOST}"),
            authority: Some(&self.authority),
            names: &[(HOST, ADDRESS), (GOOGLE_NAME, ADDRESS)],
        };
        login::token(workspace, place, PERSON)
    }

    fn print(&self) {
        for (name, value) in [
            ("gateway", format!("https://{HOST} at {ADDRESS}")),
            ("AWS", ENDPOINT.to_owned()),
            ("registry", REGISTRY.to_owned()),
            (
                "Google",
                format!("http://{GOOGLE_NAME}:{GOOGLE_PORT} at {ADDRESS}"),
            ),
            ("docker", format!("unix://{}", self.docker_socket.display())),
            ("authority", self.authority.display().to_string()),
        ] {
            ui::data(format_args!("{name:<10} {value}"));
        }
    }
}

fn directory(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let directory = workspace.root().join(DIRECTORY);
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    Ok(directory)
}

fn ready_file(workspace: &Workspace) -> PathBuf {
    workspace.root().join(DIRECTORY).join("ready.json")
}

/// Runs the harness, which starts the stage, every release and the clients itself.
fn rehearse(
    workspace: &Workspace,
    report: Option<PathBuf>,
    interrupt: &Interrupt,
) -> anyhow::Result<Outcome> {
    let mut kit = Kit::new(workspace, interrupt);
    kit.provide(Need::Clients)?;
    let mut harness = Command::new("node");
    harness
        .arg("rehearsal/index.mjs")
        .current_dir(workspace.root().join(CLIENTS))
        .env("XTASK_BIN", std::env::current_exe()?);
    if let Some(report) = report {
        harness.arg("--report").arg(report);
    }
    kit.attend("rehearsal", &mut harness, REHEARSAL_LIMIT)
}

/// Holds the stage until somebody asks it to stop, or a part of it ends.
fn serve(workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
    if Stage::running(workspace).is_some() {
        return Err(Problem::new(
            "the local stage runs already",
            "stop it by `cargo xtask local down`",
        )
        .into());
    }
    let start = Instant::now();
    let directory = directory(workspace)?;
    let mut machines = Machines::start(workspace, &directory, interrupt)?;
    let mut api = Api::start(workspace, &machines.python)?;
    let mut balancer = Balancer::new(&directory, interrupt)?;
    let stage = Stage {
        pid: i32::try_from(std::process::id())?,
        docker_socket: machines.socket.clone(),
        authority: balancer.authority().to_owned(),
        zone: make_zone(&mut api)?,
    };
    let ready = ready_file(workspace);
    fs::write(&ready, serde_json::to_vec(&stage)?)?;
    ui::step(
        Mark::Ok,
        format_args!("ready after {}", ui::seconds(start.elapsed())),
    );
    stage.print();
    let held = hold(&mut machines, &mut api, &mut balancer, interrupt);
    ui::step(Mark::Run, "stopping");
    drop((balancer, api, machines));
    // Whoever waits for the end waits for all of it: the next one takes the same addresses.
    let _ = fs::remove_file(&ready);
    held.map(|()| Outcome::Done)
}

/// What a person does once in a fresh account; returns the id of the zone.
fn make_zone(api: &mut Api) -> anyhow::Result<String> {
    let wanted = json!({ "Name": ZONE, "CallerReference": "local" });
    let made = api.ask("route53", "create_hosted_zone", &wanted)?;
    let id = made.pointer("/HostedZone/Id").and_then(Value::as_str);
    let id = id.context("the new zone has no id")?;
    Ok(id.rsplit('/').next().unwrap_or(id).to_owned())
}

/// What a person does after the first deployment of the secrets: true when it is done.
fn put_secret(api: &mut Api) -> bool {
    let wanted = json!({ "SecretId": SECRET, "SecretString": CLIENT_SECRET });
    api.ask("secretsmanager", "put_secret_value", &wanted).is_ok()
}

fn hold(
    machines: &mut Machines,
    api: &mut Api,
    balancer: &mut Balancer,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let mut said = String::new();
    let mut has_secret = false;
    while !interrupt.is_raised() {
        machines.expect_running()?;
        has_secret = has_secret || put_secret(api);
        // While stacks come and go, half of a load balancer is no reason to end.
        match balancer.follow(api, interrupt) {
            Ok(()) => said.clear(),
            Err(error) => {
                let error = format!("{error:#}");
                if error != said {
                    ui::step(
                        Mark::Fail,
                        format_args!("the load balancer stays as it is: {error}"),
                    );
                }
                said = error;
            }
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}
