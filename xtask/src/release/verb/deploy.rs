//! `cargo xtask deploy`: one release, from sources or from an image, to a verified service.

use anyhow::Context as _;
use serde_json::json;

use crate::Outcome;
use crate::image::{self, Pushed};
use crate::interrupt::Interrupt;
use crate::local::{self, Stage};
use crate::problem::Problem;
use crate::release::account::Account;
use crate::release::answers::Stack;
use crate::release::checks::{self, Check, broken};
use crate::release::follow::Pace;
use crate::release::gate::{GateOptions, VerifyGate};
use crate::release::ledger::{Entry, Ledger, Status};
use crate::release::lock::{self, Lock};
use crate::release::place::Place;
use crate::release::shape::{self, Candidate};
use crate::release::stacks::{self, Assembly};
use crate::release::time;
use crate::release::verb::{self, Answer};
use crate::release::who::Who;
use crate::release::work::{Report, Wishes, Work};
use crate::workspace::Workspace;

/// Release to an environment: image, stacks where they changed, service, verification.
///
/// The service is moved to exactly one revision, ECS's own deployment is followed to its end, and what runs is verified
/// before it counts as released. What does not pass is taken back by itself, and held. It may be killed anywhere: the
/// next run goes on. Ctrl-C only stops looking; ECS goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask deploy --env staging --token-file token\n  \
    cargo xtask deploy --env production --image REPOSITORY@sha256:... --sha 1a2b3c4d --token-file token\n\
    Exit codes: 0 deployed and verified, 1 refused or taken back, 2 unknown: the tool broke, or was told to stop.")]
pub(crate) struct Deploy {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    what: What,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wishes: Wishes,
    /// How long to follow a deployment
    #[arg(long, default_value_t = 20, value_name = "N")]
    wait_minutes: u32,
    /// How long to watch alarms and tasks before the verification [default: 60, and 10 with `--target local`]
    #[arg(long, value_name = "N")]
    bake_seconds: Option<u32>,
    #[command(flatten)]
    gate: GateOptions,
}

/// What to release.
#[derive(Debug, clap::Args)]
struct What {
    /// Deploy this image: `REPOSITORY@sha256:...`
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["resume", "infra_only"])]
    image: Option<String>,
    /// The commit that `--image` was built from
    #[arg(long, requires = "image")]
    sha: Option<String>,
    /// Build it on this base, for gateways that start stdio servers
    #[arg(long, value_name = "IMAGE", conflicts_with = "image")]
    base: Option<String>,
    /// The container engine that builds and pushes [default: the first that works]
    #[arg(long, value_name = "PROGRAM", conflicts_with = "image")]
    engine: Option<image::Kind>,
    /// Go on with the release that was begun last
    #[arg(long, conflicts_with = "infra_only")]
    resume: bool,
    /// The stacks and the shape of tasks only, with the image that is released
    #[arg(long)]
    infra_only: bool,
    /// Leave the stacks alone, even where they are not as declared
    #[arg(long, conflicts_with = "infra_only")]
    skip_stacks: bool,
}

impl What {
    /// The registry that `--image` is in.
    fn registry(&self) -> Option<&str> {
        self.image.as_deref()?.split('/').next()
    }

    /// For whoever finds the environment locked.
    fn purpose(&self) -> String {
        match (&self.image, self.resume, self.infra_only) {
            (Some(image), ..) => format!("deploy of {image}"),
            (_, true, _) => "deploy --resume".to_owned(),
            (_, _, true) => "deploy --infra-only".to_owned(),
            _ => "deploy".to_owned(),
        }
    }
}

impl Deploy {
    /// Releases.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        if let Some(image) = &self.what.image {
            shape::digest_of(image)?;
        }
        let assembly = if self.what.skip_stacks || self.what.resume {
            None
        } else {
            Some(Assembly::synth(
                workspace,
                &self.place,
                self.what.registry(),
                interrupt,
            )?)
        };
        let declared = match &assembly {
            Some(assembly) => assembly.declared.clone(),
            None => self.place.declaration(workspace, interrupt)?,
        };
        let aws = self.place.account(workspace, &declared);
        let account = Account {
            cloud: &aws,
            declared: &declared,
        };
        let checks = checks::of_account(&account)?;
        checks.iter().for_each(Check::tell);
        if let Some(report) = broken(&checks) {
            return Ok(verb::conclude(&report, self.place.json));
        }
        self.place.stage(workspace, interrupt)?;
        let who = Who::am_i();
        if self.dry_run {
            let plan = self.plan(&account, assembly.as_ref(), &who, checks)?;
            return Ok(plan.tell(self.place.json));
        }
        let lock = match Lock::take(&account, &who, &self.what.purpose(), time::now())? {
            Ok(lock) => lock,
            Err(held) => {
                let refusal = lock::refusal(&declared.environment, &held, time::now());
                let report = Report::refused(refusal.to_string(), refusal.hint(), None);
                return Ok(verb::conclude(&report, self.place.json));
            }
        };
        let gate = VerifyGate {
            place: &self.place,
            options: &self.gate,
            workspace,
        };
        let work = Work {
            account: &account,
            lock: Some(&lock),
            gate: &gate,
            interrupt,
            pace: self.pace(),
            who: &who,
            now: &time::now,
        };
        let report = self.release(&work, workspace, assembly.as_ref())?;
        Ok(verb::conclude(&report, self.place.json))
    }

    /// With the lock in hand.
    pub(in crate::release) fn release(
        &self,
        work: &Work<'_>,
        workspace: &Workspace,
        assembly: Option<&Assembly>,
    ) -> anyhow::Result<Report> {
        let account = work.account;
        if let Some(report) = stacks::settle(work)? {
            return Ok(report);
        }
        if self.what.resume {
            return go_on(work);
        }
        let changed = assembly.map(|assembly| assembly.changed(account)).transpose()?;
        let mut changed = changed.unwrap_or_default();
        if let Some(assembly) = assembly {
            if self.place.is_stage() {
                stacks::bootstrap(workspace, &self.place, assembly, account, work.interrupt)?;
            }
            // What the image and the service need, where it does not exist yet.
            let first = missing(account, &mut changed)?;
            if !first.is_empty() {
                work.expect_lock()?;
                stacks::deploy(workspace, &self.place, assembly, &first, work)?;
            }
        }
        let image = self.image(work, workspace)?;
        let digest = shape::digest_of(&image.uri)?;
        if self.place.is_stage() {
            let name = &account.declared.registry.repository;
            Stage::register_image(&self.place.account(workspace, account.declared), name, &digest)?;
        }
        if let Some(report) = work.settle(|entry| entry.digest == digest, None)? {
            return Ok(report);
        }
        if let Some(report) = checks::preflight(work)? {
            return Ok(report);
        }
        if let Some(assembly) = assembly.filter(|_| !changed.is_empty()) {
            expect_digest(account, &digest)?;
            work.expect_lock()?;
            stacks::deploy(workspace, &self.place, assembly, &changed, work)?;
            if self.place.is_stage() {
                let output = |name: &str| {
                    let value = account.output(name)?;
                    value.with_context(|| format!("no stack has the output `{name}`"))
                };
                local::finish(
                    &self.place.account(workspace, account.declared),
                    account.declared,
                    output,
                )?;
            }
        }
        let candidate = candidate(account, &image)?;
        let role = candidate.execution_role();
        let checks = checks::of_secrets(account, Some(&role))?;
        checks.iter().for_each(Check::tell);
        if let Some(report) = broken(&checks) {
            return Ok(report);
        }
        work.ship(&candidate, self.wishes)
    }

    /// The image that is asked for, the one that is released, or one that is built now.
    fn image(&self, work: &Work<'_>, workspace: &Workspace) -> anyhow::Result<Image> {
        let ledger = Ledger::read(work.account)?;
        if let Some(uri) = &self.what.image {
            let known = ledger.entries.iter().rev().find(|entry| entry.image == *uri);
            let sha = self
                .what
                .sha
                .clone()
                .or_else(|| known.map(|known| known.sha.clone()));
            return Ok(Image {
                uri: uri.clone(),
                sha: sha.unwrap_or_default(),
                version: known.map(|known| known.version.clone()).unwrap_or_default(),
            });
        }
        if self.what.infra_only {
            let hint = "deploy an image first: `cargo xtask deploy` without `--infra-only`";
            return ledger
                .current()
                .map(Image::of)
                .ok_or_else(|| Problem::new("no release is verified yet", hint).into());
        }
        self.build(work, workspace)
    }

    /// An image of this checkout, in the registry of the environment.
    fn build(&self, work: &Work<'_>, workspace: &Workspace) -> anyhow::Result<Image> {
        let account = work.account;
        let repository = account.output("repository_uri")?.ok_or_else(|| {
            let hint = "deploy the registry stack: `cargo xtask deploy` without `--skip-stacks`";
            Problem::new("no stack publishes the address of the registry", hint)
        })?;
        let mut options = image::Options {
            base: self.what.base.clone(),
            engine: self.what.engine,
            verbose: self.place.verbose,
            ..image::Options::default()
        };
        if let Some(stage) = self.place.stage(workspace, work.interrupt)? {
            options.socket = Some(stage.docker_socket);
            let name = &account.declared.registry.repository;
            let repository = Stage::repository(name);
            return build_and_push(work, workspace, &options, &repository, None);
        }
        // The registry of an emulator asks nobody who they are.
        let login = match self.place.endpoint() {
            None => Some(account.registry_login()?),
            Some(_) => None,
        };
        build_and_push(work, workspace, &options, &repository, login.as_ref())
    }

    fn pace(&self) -> Pace {
        self.place.pace(self.wait_minutes, self.bake_seconds)
    }

    /// What a run would do, without a lock and without a change.
    pub(in crate::release) fn plan(
        &self,
        account: &Account<'_>,
        assembly: Option<&Assembly>,
        who: &Who,
        mut checks: Vec<Check>,
    ) -> anyhow::Result<Answer> {
        let ledger = Ledger::read(account)?;
        let mut more = vec![checks::of_open_deployment(account, &ledger)?];
        more.extend(checks::of_newest_revision(account, &ledger)?);
        // The first run makes the secrets, and stops where they have no value.
        if missing(account, &mut Vec::new())?.is_empty() {
            more.extend(checks::of_secrets(account, None)?);
        }
        more.iter().for_each(Check::tell);
        checks.extend(more);
        let changed = assembly.map(|assembly| assembly.changed(account)).transpose()?;
        let changed = changed.unwrap_or_default();
        let mut steps = Vec::new();
        if let Some((_, held)) = lock::holder(account, who, time::now())? {
            steps.push(format!("wait: it is locked by {}", held.shown(time::now())));
        }
        if let Some(head) = ledger
            .head()
            .filter(|head| matches!(head.status, Status::Pending | Status::Failed))
        {
            steps.push(format!(
                "settle release {}, which is {}",
                head.name(),
                head.status.word()
            ));
        }
        steps.push(match &self.what.image {
            Some(image) => format!("use the image {image}"),
            None if self.what.infra_only => "use the image that is released".to_owned(),
            None => "build an image and push it".to_owned(),
        });
        if !changed.is_empty() {
            steps.push(format!(
                "cdk deploy {} (`cargo xtask diff` shows what)",
                changed.join(" ")
            ));
        }
        steps.push(format!(
            "release {}: register a revision, move the service",
            ledger.next()
        ));
        steps.push("follow the deployment, verify, promote".to_owned());
        let is_ready = broken(&checks).is_none();
        let checks: Vec<_> = checks.iter().map(Check::json).collect();
        Ok(Answer {
            json: json!({ "ready": is_ready, "checks": checks, "stacks": changed, "steps": steps }),
            lines: steps,
            remark: String::new(),
            outcome: if is_ready { Outcome::Done } else { Outcome::Refused },
        })
    }
}

/// An image in the registry, and where it comes from.
#[derive(Clone, Debug)]
struct Image {
    uri: String,
    sha: String,
    version: String,
}

impl From<Pushed> for Image {
    fn from(pushed: Pushed) -> Self {
        Self {
            uri: pushed.uri,
            sha: pushed.built.sha,
            version: pushed.built.version,
        }
    }
}

impl Image {
    fn of(entry: &Entry) -> Self {
        Self {
            uri: entry.image.clone(),
            sha: entry.sha.clone(),
            version: entry.version.clone(),
        }
    }
}

/// Builds and pushes, which can take longer than a lock lasts.
fn build_and_push(
    work: &Work<'_>,
    workspace: &Workspace,
    options: &image::Options,
    repository: &str,
    login: Option<&image::Login>,
) -> anyhow::Result<Image> {
    let interrupt = work.interrupt;
    let pushed =
        work.hold_while(|| image::build_and_push(workspace, options, repository, login, interrupt))?;
    Ok(Image::from(pushed))
}

/// The published shape with the image in it.
fn candidate(account: &Account<'_>, image: &Image) -> anyhow::Result<Candidate> {
    let shape = account.output("task_definition_shape")?.ok_or_else(|| {
        let hint = "deploy the service stack: `cargo xtask deploy` without `--skip-stacks`";
        Problem::new("no stack publishes the shape of a task", hint)
    })?;
    let container = &account.declared.service.container_name;
    Ok(Candidate::new(&shape, container, &image.uri)?.made_from(&image.sha, &image.version))
}

/// Continues the last release, whatever the sources are by now.
fn go_on(work: &Work<'_>) -> anyhow::Result<Report> {
    let ledger = Ledger::read(work.account)?;
    let head = ledger
        .head()
        .filter(|head| matches!(head.status, Status::Pending | Status::Failed));
    let Some(head) = head else {
        let hint = "`cargo xtask releases` shows how they ended";
        return Ok(Report::refused("no release is unfinished".to_owned(), hint, None));
    };
    if head.status == Status::Pending && head.revision.is_none() && head.copy_of.is_none() {
        let image = Image::of(head);
        return work.ship(&candidate(work.account, &image)?, Wishes::default());
    }
    if head.status == Status::Pending {
        return work.drive(head.clone(), None);
    }
    let report = work.settle(|_| true, None)?;
    Ok(report.unwrap_or_else(|| work.stuck(head.clone())))
}

/// Stacks below the service that do not exist yet, taken out of `changed`.
pub(in crate::release) fn missing(
    account: &Account<'_>,
    changed: &mut Vec<String>,
) -> anyhow::Result<Vec<String>> {
    let mut missing = Vec::new();
    let all = account.stacks()?;
    for stack in &account.declared.account.stacks {
        let is_first = matches!(&*stack.kind, "registry" | "data");
        if is_first && all.get(&stack.name).is_none_or(Stack::is_absent) {
            missing.push(stack.kind.clone());
        }
    }
    changed.retain(|kind| !missing.contains(kind));
    Ok(missing)
}

/// CloudFormation reads the digest of the first image before there is a release.
fn expect_digest(account: &Account<'_>, digest: &str) -> anyhow::Result<()> {
    let name = &account.declared.parameters.image_digest;
    if account.parameter(name)?.is_none() {
        account.create_parameter(name, digest)?;
    }
    Ok(())
}
