//! Which environment a verb is about, and how to reach it: the options that all of them have.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use super::follow::Pace;
use super::stacks::{self, Assembly};
use crate::aws::Aws;
use crate::interrupt::Interrupt;
use crate::local::{self, Stage};
use crate::problem::Problem;
use crate::verify::declared::Declared;
use crate::workspace::Workspace;

/// Which environment, and where.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// Environment: a file name in `infra/config`
    #[arg(long = "env", default_value = "staging", value_name = "NAME")]
    pub(crate) environment: String,
    /// Where it is: `local` is the emulator of this machine
    #[arg(long, default_value = "aws")]
    pub(crate) target: Target,
    /// Profile of the `aws` command line
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// Address of the AWS API
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The declaration, instead of that of this checkout
    #[arg(long, value_name = "FILE")]
    pub(crate) declared: Option<PathBuf>,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// Print every command before it runs
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// Which account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// AWS, with the operator's credentials.
    Aws,
    /// An emulator, with none.
    Local,
}

impl Target {
    /// As on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Local => "local",
        }
    }
}

impl Place {
    /// Where the AWS API is, if not at AWS.
    pub(crate) fn endpoint(&self) -> Option<String> {
        let local = (self.target == Target::Local).then(|| local::ENDPOINT.to_owned());
        self.endpoint.clone().or(local)
    }

    /// Whether it is about the emulators that this program starts.
    pub(crate) fn is_stage(&self) -> bool {
        self.target == Target::Local && self.endpoint.is_none()
    }

    /// How often to look, for so long; an emulator is quick.
    pub(crate) fn pace(&self, wait_minutes: u32, bake_seconds: Option<u32>) -> Pace {
        let (poll, bake) = match self.target {
            Target::Aws => (5, 60),
            Target::Local => (1, 10),
        };
        let bake_seconds = bake_seconds.unwrap_or(bake);
        Pace {
            poll: Duration::from_secs(u64::from(poll)),
            looks: wait_minutes.saturating_mul(60).div_ceil(poll),
            bake: bake_seconds.div_ceil(poll),
        }
    }

    /// The emulators of this machine, started if need be, unless it is about an account or other emulators.
    pub(crate) fn stage(
        &self,
        workspace: &Workspace,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Option<Stage>> {
        self.is_stage()
            .then(|| Stage::up(workspace, interrupt))
            .transpose()
    }

    /// The account of `declared`.
    pub(crate) fn account(&self, workspace: &Workspace, declared: &Declared) -> Aws {
        Aws {
            region: declared.account.region.clone(),
            profile: self.profile.clone(),
            endpoint: self.endpoint(),
            program: self.is_stage().then(|| Stage::aws(workspace)),
            verbose: self.verbose,
        }
    }

    /// What the last synth declared, or that of one made now: names hardly ever change.
    pub(crate) fn declaration(
        &self,
        workspace: &Workspace,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Declared> {
        let path = self.declared_file(workspace);
        if self.declared.is_some() || path.is_file() {
            return self.expect_ours(Declared::read(&path)?, &path);
        }
        Ok(Assembly::synth(workspace, self, None, interrupt)?.declared)
    }

    /// The declaration that was given, or that of the last synth.
    pub(crate) fn declared_file(&self, workspace: &Workspace) -> PathBuf {
        let ours = || stacks::assembly(workspace, &self.environment).join("declared.json");
        self.declared.clone().unwrap_or_else(ours)
    }

    /// A file about another environment would be asked about in the wrong place.
    pub(crate) fn expect_ours(&self, declared: Declared, path: &Path) -> anyhow::Result<Declared> {
        if declared.environment == self.environment {
            return Ok(declared);
        }
        let what = format!(
            "`{}` is about `{}`, not about `{}`",
            path.display(),
            declared.environment,
            self.environment
        );
        Err(Problem::new(what, format!("say `--env {}`", declared.environment)).into())
    }
}
