//! The stacks of an environment: synthesised, compared with what is deployed, and deployed where they differ.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::account::Account;
use super::answers::Stack;
use super::checks;
use super::follow::Patience;
use super::place::{Place, Target};
use super::work::{Report, Work};
use crate::aws::Aws;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::ui::{self, Mark};
use crate::verify::declared::{self, Declared};
use crate::verify::facts::text;
use crate::workspace::Workspace;
use crate::{npm, process};

/// Where the infrastructure is, relative to the checkout.
const INFRA: &str = "infra";
/// What makes an assembly fit for an emulator, relative to the infrastructure.
const FILTER: &str = "emulate/filter-cli.ts";
/// The stack that the CDK itself needs.
const BOOTSTRAP: &str = "CDKToolkit";
/// How long CloudFormation may be at work on a stack before somebody has to look.
const LIMIT: Duration = Duration::from_hours(1);

/// The directory that a synth writes for an environment.
pub(crate) fn assembly(workspace: &Workspace, environment: &str) -> PathBuf {
    let output = workspace.root().join(INFRA).join("cdk.out");
    output.join(format!("assembly-{environment}"))
}

/// What a synth wrote.
#[derive(Clone, Debug)]
pub(crate) struct Assembly {
    /// Where the templates are.
    pub(crate) directory: PathBuf,
    /// What they declare.
    pub(crate) declared: Declared,
}

impl Assembly {
    /// Synthesises the environment of `place`; for an emulator, without what it refuses, and with the `registry` that
    /// its tasks pull from.
    pub(crate) fn synth(
        workspace: &Workspace,
        place: &Place,
        registry: Option<&str>,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let mut context = Vec::new();
        if let Some(endpoint) = place.endpoint().filter(|_| place.target == Target::Local) {
            context.push(format!("endpoint={endpoint}"));
            context.extend(registry.map(|registry| format!("registry={registry}")));
            if !place.is_stage()
                && let Some(zone) = zone(place, endpoint)
            {
                context.push(format!("zone={zone}"));
            }
        }
        if let Some(stage) = place.stage(workspace, interrupt)? {
            context.push(stage.context());
        }
        let directory = synthesise(workspace, &place.environment, &context, interrupt)?;
        if place.target == Target::Local {
            let mut filter = Command::new("node");
            filter
                .args(["--import", "tsx", FILTER])
                .arg(&directory)
                .current_dir(workspace.root().join(INFRA));
            process::run("filter", &mut filter, &workspace.log("cdk-filter"), interrupt)?;
        }
        Self::read(directory)
    }

    /// Reads what a synth wrote earlier.
    pub(crate) fn read(directory: PathBuf) -> anyhow::Result<Self> {
        let declared = Declared::read(&directory.join("declared.json"))?;
        Ok(Self { directory, declared })
    }

    /// The template of a stack.
    pub(crate) fn template(&self, stack: &str) -> anyhow::Result<Value> {
        let file = template_file(&self.directory, stack)?;
        let json = fs::read(&file).with_context(|| format!("`{}` cannot be read", file.display()))?;
        Ok(serde_json::from_slice(&json)?)
    }

    /// Kinds of stacks that are not deployed as they are declared, in the order of deployment.
    pub(crate) fn changed(&self, account: &Account<'_>) -> anyhow::Result<Vec<String>> {
        let mut changed = Vec::new();
        for stack in &self.declared.account.stacks {
            let live = account.template(&stack.name)?;
            if live.as_ref() != Some(&self.template(&stack.name)?) {
                changed.push(stack.kind.clone());
            }
        }
        Ok(changed)
    }
}

/// Lets the CDK write the templates of an environment; where to.
fn synthesise(
    workspace: &Workspace,
    environment: &str,
    context: &[String],
    interrupt: &Interrupt,
) -> anyhow::Result<PathBuf> {
    npm::install(workspace, INFRA, interrupt)?;
    ui::step(Mark::Run, format_args!("synthesising {environment}"));
    let mut command = cdk(workspace);
    command
        .args(["synth", "--quiet"])
        .args(["--context", &format!("environment={environment}")])
        .args(context.iter().flat_map(|one| ["--context", one]));
    process::run("cdk synth", &mut command, &workspace.log("cdk-synth"), interrupt)?;
    Ok(assembly(workspace, environment))
}

/// The hosted zone of an emulator, which names it by chance.
fn zone(place: &Place, endpoint: String) -> Option<String> {
    let aws = Aws {
        region: "us-east-1".to_owned(),
        profile: None,
        endpoint: Some(endpoint),
        program: None,
        verbose: place.verbose,
    };
    let zones = aws.json(&["route53", "list-hosted-zones"]).ok()?;
    let id = text(&zones, "/HostedZones/0/Id");
    let id = id.rsplit('/').next().filter(|id| !id.is_empty());
    id.map(str::to_owned)
}

/// The file among those of an assembly that belongs to a stack, by the manifest.
fn template_file(directory: &Path, stack: &str) -> anyhow::Result<PathBuf> {
    let manifest = fs::read(directory.join("manifest.json"))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let artifacts = manifest.get("artifacts").and_then(Value::as_object);
    let file = artifacts.into_iter().flatten().find_map(|(_, artifact)| {
        let properties = artifact.get("properties")?;
        let name = properties.get("stackName")?.as_str()?;
        (name == stack).then(|| properties.get("templateFile")?.as_str().map(str::to_owned))?
    });
    let file = file.with_context(|| format!("the synthesised app has no stack `{stack}`"))?;
    Ok(directory.join(file))
}

/// The CDK command line of this checkout.
fn cdk(workspace: &Workspace) -> Command {
    let mut command = Command::new("node");
    command
        .args(["node_modules/aws-cdk/bin/cdk", "--no-notices", "--no-color"])
        .envs([
            ("CDK_DISABLE_CLI_TELEMETRY", "1"),
            ("CDK_VALIDATION", "false"),
            ("CI", "true"),
        ])
        .current_dir(workspace.root().join(INFRA));
    command
}

/// The same, speaking to the account of `place`.
fn cdk_there(workspace: &Workspace, place: &Place, declared: &Declared) -> Command {
    let mut command = cdk(workspace);
    let region = &declared.account.region;
    command.envs([("AWS_REGION", region), ("AWS_DEFAULT_REGION", region)]);
    match place.endpoint() {
        Some(endpoint) => {
            command
                .env_remove("AWS_SESSION_TOKEN")
                .env_remove("AWS_PROFILE")
                .env("AWS_ENDPOINT_URL", endpoint)
                .envs([
                    ("AWS_ACCESS_KEY_ID", "AKIAMINI"),
                    ("AWS_SECRET_ACCESS_KEY", "emulated"),
                    ("AWS_EC2_METADATA_DISABLED", "true"),
                ]);
        }
        None => {
            if let Some(profile) = &place.profile {
                command.args(["--profile", profile]);
            }
        }
    }
    command
}

/// Deploys stacks by their kinds, and holds the lock meanwhile. Each is one change set; one that fails is taken back by
/// CloudFormation.
pub(crate) fn deploy(
    workspace: &Workspace,
    place: &Place,
    assembly: &Assembly,
    kinds: &[String],
    work: &Work<'_>,
) -> anyhow::Result<()> {
    let mut command = cdk_there(workspace, place, &assembly.declared);
    command
        .args(["deploy", "--app"])
        .arg(&assembly.directory)
        .args([
            "--exclusively",
            "--require-approval",
            "never",
            "--progress",
            "events",
        ])
        .args(kinds.iter().map(|kind| selector(place, kind)));
    ui::step(Mark::Run, format_args!("cdk deploy {}", kinds.join(" ")));
    if place.verbose {
        ui::say(format_args!("$ {}", process::shown(&command)));
    }
    process::run_visible_while("cdk deploy", &mut command, work.interrupt, &mut work.hold())
}

/// Prepares an account for the CDK, once. For AWS this is the operator's to do, with rights that a release has not.
pub(crate) fn bootstrap(
    workspace: &Workspace,
    place: &Place,
    assembly: &Assembly,
    account: &Account<'_>,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    if account.stack(BOOTSTRAP)?.is_some_and(|stack| !stack.is_absent()) {
        return Ok(());
    }
    let mut command = cdk_there(workspace, place, account.declared);
    let environment = format!("aws://{}/{}", account.id()?, account.declared.account.region);
    // With the assembly, because the app itself would write another one.
    command
        .args(["bootstrap", &environment, "--app"])
        .arg(&assembly.directory);
    ui::step(Mark::Run, format_args!("cdk bootstrap {environment}"));
    process::run(
        "cdk bootstrap",
        &mut command,
        &workspace.log("cdk-bootstrap"),
        interrupt,
    )
}

/// Shows what deploying would change in CloudFormation.
pub(crate) fn diff(
    workspace: &Workspace,
    place: &Place,
    assembly: &Assembly,
    kinds: &[String],
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let mut command = cdk_there(workspace, place, &assembly.declared);
    command
        .args(["diff", "--app"])
        .arg(&assembly.directory)
        .arg("--exclusively")
        .args(kinds.iter().map(|kind| selector(place, kind)));
    process::run_visible("cdk diff", &mut command, interrupt)
}

fn selector(place: &Place, kind: &str) -> String {
    format!("{}/{kind}", place.environment)
}

/// Waits for stacks that CloudFormation is at work on, as an earlier run may have left them. `Some` when one of them
/// can neither be deployed to nor be waited for.
pub(crate) fn settle(work: &Work<'_>) -> anyhow::Result<Option<Report>> {
    let account = work.account;
    loop {
        let all = account.stacks()?;
        let mut ours = account.declared.account.stacks.iter();
        match ours.find(|stack| all.get(&stack.name).is_some_and(Stack::is_busy)) {
            Some(busy) => wait_for(work, &busy.name)?,
            None => return Ok(checks::broken(&checks::of_stacks(account, &all))),
        }
    }
}

/// Until CloudFormation is not at work on a stack any more, however that ends.
fn wait_for(work: &Work<'_>, name: &str) -> anyhow::Result<()> {
    let began = (work.now)();
    let mut patience = Patience::default();
    let mut status = String::new();
    loop {
        if work.interrupt.is_raised() {
            let hint = "nothing was changed, and CloudFormation goes on by itself; run the same again";
            return Err(Problem::new(format!("the stack `{name}` is still `{status}`"), hint).into());
        }
        if let Some(lock) = work.lock {
            lock.renew((work.now)())?;
        }
        match patience.take(work.account.stack(name), work.interrupt)? {
            Some(Some(live)) if live.is_busy() => {
                if live.status != status {
                    let status = &live.status;
                    ui::step(
                        Mark::Run,
                        format_args!("waiting for CloudFormation: {name} is {status}"),
                    );
                }
                status = live.status;
            }
            Some(_) => return Ok(()),
            None => {}
        }
        if (work.now)().saturating_sub(began) >= LIMIT.as_secs() {
            let what = format!("the stack `{name}` is `{status}` for an hour");
            let events = format!("cloudformation describe-stack-events --max-items 20 --stack-name {name}");
            return Err(Problem::new(what, work.account.typed(&events)).into());
        }
        work.interrupt.pause(work.pace.poll);
    }
}

/// What to do about a stack that can neither be deployed to nor be waited for.
pub(crate) fn way_out(account: &Account<'_>, stack: &declared::Stack, live: &Stack) -> String {
    let by_aws =
        |command: &str| account.typed(&format!("cloudformation {command} --stack-name {}", stack.name));
    let events = by_aws("describe-stack-events --max-items 20");
    let roll_back = format!("npx cdk rollback {}/{}", account.declared.environment, stack.kind);
    match &*live.status {
        "UPDATE_ROLLBACK_FAILED" => format!(
            "look why: `{events}`; then, in `infra`: `{roll_back}`, or `{}`",
            by_aws("continue-update-rollback")
        ),
        "UPDATE_FAILED" => format!("in `infra`: `{roll_back}`"),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => {
            let mut removal = by_aws("delete-stack");
            if stack.termination_protection {
                let protection = "update-termination-protection --no-enable-termination-protection";
                removal = format!("{}`, `{removal}", by_aws(protection));
            }
            format!("it was never created as a whole; look why: `{events}`; then remove it: `{removal}`")
        }
        _ => format!("look why: `{events}`"),
    }
}
