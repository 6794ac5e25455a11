//! What the stage is made of: a container daemon, a registry, AWS, Google and DNS, each on the stage's own bridge.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::{ADDRESS, CLIENT_ID, ENDPOINT_PORT, GOOGLE_NAME, GOOGLE_PORT, REDIRECT_URI, REGISTRY, Stage};
use crate::cluster::attributes::Attributes;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::process::{self, Process};
use crate::workspace::Workspace;
use crate::{apt, emulator, http, npm, python};

/// A bridge of our own: a daemon on somebody else's takes it away from them.
const BRIDGE: &str = "mcpgw-local";
/// Its network, in which the tasks get addresses.
const NETWORK: &str = "10.66.0.1/24";
/// The answers to the names that tasks ask for.
const DNS: &str = "xtask/local/dns.mjs";
/// What stands between the emulated ECS and the container daemon.
const DOCKER: &str = "xtask/local/docker.mjs";
/// ministack, with what it leaves out of the AWS that a release looks at.
const MINISTACK: &str = "infra/emulate/more-of-ministack.py";
/// The program behind the `aws` command line, which the tests of the infrastructure use as well.
const AWS_COMMAND_LINE: &str = "infra/emulate/aws-cli.py";
const READY_LIMIT: Duration = Duration::from_mins(1);

/// Everything that runs. Dropping it stops it, the last first.
#[derive(Debug)]
pub(crate) struct Machines {
    children: Vec<Process>,
    /// Where the container daemon listens.
    pub(crate) socket: PathBuf,
    /// The interpreter that has botocore.
    pub(crate) python: PathBuf,
}

impl Machines {
    /// Starts all of it, with logs and data in `directory`.
    pub(crate) fn start(
        workspace: &Workspace,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            let hint = "run it as root, in a virtual machine or a container with its own network";
            return Err(Problem::new(
                "the local stage starts a container daemon, which needs root",
                hint,
            )
            .into());
        }
        let setup = directory.join("setup.log");
        let daemon = apt::program(
            "dockerd",
            "docker.io",
            "the tasks of the local stage",
            &setup,
            interrupt,
        )?;
        let registry = apt::program(
            "docker-registry",
            "docker-registry",
            "the images of the local stage",
            &setup,
            interrupt,
        )?;
        let python = python::install(workspace, "ministack", interrupt)?;
        npm::install(workspace, emulator::DIRECTORY, interrupt)?;
        make_bridge(&setup, interrupt)?;
        let mut machines = Self {
            children: Vec::new(),
            socket: directory.join("docker.sock"),
            python,
        };
        machines.daemon(&daemon, directory, interrupt)?;
        machines.registry(&registry, directory, interrupt)?;
        let docker = machines.docker_of_ecs(workspace, directory, interrupt)?;
        machines.aws(workspace, &docker, directory, interrupt)?;
        machines.google(workspace, directory, interrupt)?;
        machines.dns(workspace, directory, interrupt)?;
        machines.aws_command_line(workspace, directory, interrupt)?;
        Ok(machines)
    }

    /// It is an error when one of them ended.
    pub(crate) fn expect_running(&mut self) -> anyhow::Result<()> {
        self.children.iter_mut().try_for_each(Process::expect_running)
    }

    /// No way out and no rules in the firewall of this machine: tasks reach the stage and nothing else.
    fn daemon(&mut self, program: &Path, directory: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
        let socket = self.socket.clone();
        let mut command = Command::new(program);
        command
            .arg(format!("--host=unix://{}", socket.display()))
            .arg(format!("--data-root={}", directory.join("docker").display()))
            .arg(format!("--exec-root={}", directory.join("exec").display()))
            .arg(format!("--pidfile={}", directory.join("dockerd.pid").display()))
            .arg(format!("--bridge={BRIDGE}"))
            .arg(format!("--dns={ADDRESS}"))
            .args(["--iptables=false", "--ip-masq=false"]);
        let process = Process::start("dockerd", &mut command, &directory.join("dockerd.log"))?;
        self.ready(process, interrupt, || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        })
    }

    fn registry(&mut self, program: &Path, directory: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
        let config = directory.join("registry.yml");
        let root = directory.join("registry");
        let text = format!(
            "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: \"{}\" }}, delete: {{ enabled: true }} }}\nhttp: {{ addr: {REGISTRY} }}\n",
            root.display()
        );
        fs::write(&config, text)?;
        let mut command = Command::new(program);
        command.arg("serve").arg(&config);
        let process = Process::start("docker-registry", &mut command, &directory.join("registry.log"))?;
        let address: SocketAddr = REGISTRY.parse()?;
        self.ready(process, interrupt, || http::status_at(address, "/v2/").is_ok())
    }

    /// ministack kills a task five seconds after SIGTERM, whatever its definition says, and one after the other; so it
    /// gets a daemon that does both as ECS does. Returns where that listens.
    fn docker_of_ecs(
        &mut self,
        workspace: &Workspace,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> anyhow::Result<PathBuf> {
        let socket = directory.join("docker-of-ecs.sock");
        if socket.exists() {
            fs::remove_file(&socket)?;
        }
        let log = directory.join("docker-of-ecs.log");
        let stop_timeout = Attributes::production().service.stop_timeout;
        let mut command = Command::new("node");
        command
            .arg(workspace.root().join(DOCKER))
            .args([&socket, &self.socket])
            .arg(stop_timeout.as_secs().to_string());
        let process = Process::start("docker of ecs", &mut command, &log)?;
        self.ready(process, interrupt, || says_ready(&log))?;
        Ok(socket)
    }

    fn aws(
        &mut self,
        workspace: &Workspace,
        docker: &Path,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        let mut command = Command::new(&self.python);
        command
            .arg(workspace.root().join(MINISTACK))
            .envs([
                ("BIND_HOST", ADDRESS),
                ("MINISTACK_HOST", ADDRESS),
                ("MINISTACK_ACCOUNT_ID", "123456789012"),
                ("IMAGE_REGISTRY", REGISTRY),
            ])
            .env("GATEWAY_PORT", ENDPOINT_PORT.to_string())
            .env("DOCKER_HOST", format!("unix://{}", docker.display()));
        let process = Process::start("ministack", &mut command, &directory.join("ministack.log"))?;
        let address: SocketAddr = format!("{ADDRESS}:{ENDPOINT_PORT}").parse()?;
        self.ready(process, interrupt, || {
            http::status_at(address, "/_ministack/health").is_ok_and(|status| status == 200)
        })
    }

    fn google(
        &mut self,
        workspace: &Workspace,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        let mut command = Command::new("node");
        command
            .arg(workspace.root().join(emulator::DIRECTORY).join("server.mjs"))
            .args([
                "--host",
                ADDRESS,
                "--port",
                &GOOGLE_PORT.to_string(),
                "--name",
                GOOGLE_NAME,
            ])
            .args(["--client-id", CLIENT_ID, "--redirect-uri", REDIRECT_URI]);
        let process = Process::start("google emulator", &mut command, &directory.join("google.log"))?;
        let address: SocketAddr = format!("{ADDRESS}:{GOOGLE_PORT}").parse()?;
        self.ready(process, interrupt, || {
            http::status_at(address, "/_emulator").is_ok()
        })
    }

    fn dns(&mut self, workspace: &Workspace, directory: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
        let mut command = Command::new("node");
        command
            .arg(workspace.root().join(DNS))
            .args([ADDRESS.to_owned(), format!("{GOOGLE_NAME}={ADDRESS}")]);
        let log = directory.join("dns.log");
        let process = Process::start("dns", &mut command, &log)?;
        self.ready(process, interrupt, || says_ready(&log))
    }

    /// The `aws` command line, loaded once: a start of it takes most of a second, and a release asks a hundred questions.
    fn aws_command_line(
        &mut self,
        workspace: &Workspace,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        let python = python::install(workspace, "awscli", interrupt)?;
        let program = workspace.root().join(AWS_COMMAND_LINE);
        let socket = directory.join("aws.sock");
        let wrapper = Stage::aws(workspace);
        fs::create_dir_all(directory.join("bin"))?;
        let text = format!(
            "#!/bin/sh\nAWS_CLI_SOCKET='{}' exec '{}' -IS '{}' \"$@\"\n",
            socket.display(),
            python.display(),
            program.display()
        );
        fs::write(&wrapper, text)?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
        if socket.exists() {
            fs::remove_file(&socket)?;
        }
        let mut command = Command::new(&python);
        command.arg(&program).arg("serve").arg(&socket);
        let process = Process::start("aws", &mut command, &directory.join("aws.log"))?;
        self.ready(process, interrupt, || socket.exists())
    }

    fn ready(
        &mut self,
        mut process: Process,
        interrupt: &Interrupt,
        probe: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        process.wait_ready(READY_LIMIT, interrupt, || Ok(probe().then_some(())))?;
        self.children.push(process);
        Ok(())
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        // What stands on another goes first; the daemon, which came first, takes its containers along.
        while let Some(mut process) = self.children.pop() {
            process.stop();
        }
        let _ = Command::new("ip").args(["link", "delete", BRIDGE]).output();
        // The daemon leaves the network of this machine mounted there, and the checkout could not be deleted.
        let network = self.socket.with_file_name("exec/netns/default");
        let _ = Command::new("umount").arg(network).output();
    }
}

fn says_ready(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|text| text.lines().any(|line| line == "ready"))
}

/// Made again when it is there: whoever left it is gone, else the ports would be taken.
fn make_bridge(log: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
    let ip = |arguments: &[&str]| {
        let mut command = Command::new("ip");
        command.args(arguments);
        process::run("ip", &mut command, log, interrupt)
    };
    if Path::new("/sys/class/net").join(BRIDGE).exists() {
        ip(&["link", "delete", BRIDGE])?;
    }
    ip(&["link", "add", BRIDGE, "type", "bridge"]).context("no network bridge can be made")?;
    ip(&["address", "add", NETWORK, "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}
