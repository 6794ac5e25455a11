//! What suites need before they can run, provided once and kept until the end of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use super::suites::{CLIENTS, INFRA, WORKFLOWS};
use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::process::{self, Process};
use crate::ui::{self, Mark};
use crate::workspace::Workspace;
use crate::{apt, emulator, machine, ministack, moto, npm, python};

/// Something that a suite cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// The packages of the Google emulator; tests start it themselves from `GOOGLE_EMULATOR_DIR`.
    Emulator,
    /// Debug builds of the gateway, as `GATEWAY_BIN`, and of xtask, as `XTASK_BIN`.
    Gateway,
    /// The packages of the real MCP clients.
    Clients,
    /// Python with ministack, as `MINISTACK_PYTHON`; tests start it themselves.
    Ministack,
    /// `HAProxy`, as `HAPROXY`.
    Balancer,
    /// A `DynamoDB` that somebody else wrote, at `STORE_CONTRACT_ENDPOINT`, with credentials it accepts.
    ForeignStore,
    /// A KMS with real cryptography, at `KMS_CONTRACT_ENDPOINT`, with credentials it accepts.
    Kms,
    /// The packages of the CDK app.
    Infra,
    /// Linters for `CloudFormation` templates, as `CFN_LINT_PYTHON` and `CHECKOV_PYTHON`.
    TemplateTools,
    /// Linters for workflows: npm packages, `ZIZMOR_PYTHON`, and this program as `XTASK_BIN`, to ask what options it has.
    WorkflowTools,
    /// Python with the `aws` command line, as `AWS_CLI_PYTHON`.
    AwsCommandLine,
    /// Two emulators of AWS, as `MINISTACK_PYTHON` and `MOTO_PYTHON`, and where possible a container daemon.
    AwsEmulators,
}

/// What was provided so far. Dropping it stops the services.
#[derive(Debug)]
pub(crate) struct Kit<'a> {
    /// The checkout.
    pub(crate) workspace: &'a Workspace,
    /// Ends every wait.
    pub(crate) interrupt: &'a Interrupt,
    provided: BTreeSet<Need>,
    environment: BTreeMap<&'static str, OsString>,
    services: Vec<Process>,
}

impl<'a> Kit<'a> {
    /// Nothing provided yet.
    pub(crate) fn new(workspace: &'a Workspace, interrupt: &'a Interrupt) -> Self {
        Self {
            workspace,
            interrupt,
            provided: BTreeSet::new(),
            environment: BTreeMap::new(),
            services: Vec::new(),
        }
    }

    /// What the suites find in their environment.
    pub(crate) fn environment(&self) -> &BTreeMap<&'static str, OsString> {
        &self.environment
    }

    /// Runs a harness with all of that, whose exit code says how it went: 0 as required, 1 not so.
    pub(crate) fn attend(
        &self,
        name: &str,
        harness: &mut Command,
        limit: Duration,
    ) -> anyhow::Result<Outcome> {
        harness.envs(&self.environment);
        match Process::start_attached(name, harness)?
            .wait(limit, self.interrupt)?
            .code()
        {
            Some(0) => Ok(Outcome::Done),
            Some(1) => Ok(Outcome::Refused),
            _ => Err(Problem::new(format!("`{name}` could not measure"), "what it says is above").into()),
        }
    }

    /// Provides `need`, unless it is there already.
    pub(crate) fn provide(&mut self, need: Need) -> anyhow::Result<()> {
        if self.provided.contains(&need) {
            return Ok(());
        }
        match need {
            Need::Emulator => self.emulator()?,
            Need::Gateway => self.gateway()?,
            Need::Clients => self.clients()?,
            Need::Ministack => {
                let python = python::install(self.workspace, "ministack", self.interrupt)?;
                self.environment.insert("MINISTACK_PYTHON", python.into());
            }
            Need::Balancer => self.balancer()?,
            Need::ForeignStore => self.foreign_store()?,
            Need::Kms => self.kms()?,
            Need::Infra => npm::install(self.workspace, INFRA, self.interrupt)?,
            Need::TemplateTools => {
                self.tools(&[("CFN_LINT_PYTHON", "cfn-lint"), ("CHECKOV_PYTHON", "checkov")])?;
            }
            Need::WorkflowTools => self.workflow_tools()?,
            Need::AwsCommandLine => self.tools(&[("AWS_CLI_PYTHON", "awscli")])?,
            Need::AwsEmulators => self.aws_emulators()?,
        }
        self.provided.insert(need);
        Ok(())
    }

    fn emulator(&mut self) -> anyhow::Result<()> {
        machine::check(self.workspace)?;
        npm::install(self.workspace, emulator::DIRECTORY, self.interrupt)?;
        let directory = self.workspace.root().join(emulator::DIRECTORY);
        self.environment.insert("GOOGLE_EMULATOR_DIR", directory.into());
        Ok(())
    }

    fn clients(&mut self) -> anyhow::Result<()> {
        machine::check(self.workspace)?;
        npm::install(self.workspace, CLIENTS, self.interrupt)
    }

    /// Python tools, each under the variable that names its interpreter.
    fn tools(&mut self, tools: &[(&'static str, &str)]) -> anyhow::Result<()> {
        for (variable, tool) in tools {
            let python = python::install(self.workspace, tool, self.interrupt)?;
            self.environment.insert(variable, python.into());
        }
        Ok(())
    }

    fn workflow_tools(&mut self) -> anyhow::Result<()> {
        npm::install(self.workspace, WORKFLOWS, self.interrupt)?;
        self.tools(&[("ZIZMOR_PYTHON", "zizmor")])?;
        self.environment
            .insert("XTASK_BIN", self.workspace.xtask_binary().into());
        Ok(())
    }

    /// Without a container daemon the suite says so, and pretends the tasks: that is no reason to fail here.
    fn aws_emulators(&mut self) -> anyhow::Result<()> {
        self.tools(&[("MINISTACK_PYTHON", "ministack"), ("MOTO_PYTHON", "moto")])?;
        let log = self.workspace.log("apt-docker");
        let daemon = apt::program(
            "dockerd",
            "docker.io",
            "tasks in containers",
            &log,
            self.interrupt,
        );
        if let Err(error) = daemon {
            self.interrupt.check()?;
            ui::step(Mark::Run, format_args!("the suite pretends tasks: {error}"));
        }
        Ok(())
    }

    /// Built together with the tests: the same features, so nothing is compiled twice.
    fn gateway(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new("cargo");
        command
            .args(["build", "--locked", "--workspace", "--all-targets"])
            .current_dir(self.workspace.root());
        process::run(
            "cargo build",
            &mut command,
            &self.workspace.log("build"),
            self.interrupt,
        )?;
        self.environment
            .insert("GATEWAY_BIN", self.workspace.gateway_binary().into());
        self.environment
            .insert("XTASK_BIN", self.workspace.xtask_binary().into());
        Ok(())
    }

    fn balancer(&mut self) -> anyhow::Result<()> {
        let log = self.workspace.log("apt-haproxy");
        let path = apt::program(
            "haproxy",
            "haproxy",
            "the load balancer of the soak",
            &log,
            self.interrupt,
        )?;
        self.environment.insert("HAPROXY", path.into());
        Ok(())
    }

    fn foreign_store(&mut self) -> anyhow::Result<()> {
        let log = self.workspace.log("ministack");
        let (process, port) = ministack::start(self.workspace, &log, self.interrupt)?;
        self.play_aws("STORE_CONTRACT_ENDPOINT", process, port);
        Ok(())
    }

    fn kms(&mut self) -> anyhow::Result<()> {
        let log = self.workspace.log("moto");
        let (process, port) = moto::start(self.workspace, &log, self.interrupt)?;
        self.play_aws("KMS_CONTRACT_ENDPOINT", process, port);
        Ok(())
    }

    /// Keeps a service that plays AWS, and tells the suites where it is and what it accepts.
    fn play_aws(&mut self, variable: &'static str, process: Process, port: u16) {
        self.services.push(process);
        for (name, value) in [
            (variable, format!("http://127.0.0.1:{port}").as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ] {
            self.environment.insert(name, value.into());
        }
    }
}
