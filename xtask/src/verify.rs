//! `cargo xtask verify`: what is declared against what is live, assertion by assertion.

pub(crate) mod declared;
mod emulated;
pub(crate) mod facts;
mod fetch;
mod questions;
mod report;
mod row;
mod rows;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use self::declared::Declared;
use self::facts::{Facts, Unknown, synthesised_fact};
use self::fetch::Outside;
use self::report::{Report, Verdict};
use self::row::{Depth, View};
pub(crate) use self::rows::TOOLS;
use self::rows::{BESIDE_A_RELEASE, GROUPS, Group};
use crate::Outcome;
use crate::aws::Aws;
use crate::interrupt::Interrupt;
use crate::local::Stage;
use crate::problem::Problem;
use crate::release::place::{Place, Target};
use crate::release::stacks::Assembly;
use crate::ui::{self, Mark};
use crate::workspace::Workspace;

/// The program that looks from outside, relative to the checkout.
const PROBE: &str = "xtask/probe/probe.mjs";

/// Compare an environment with what its configuration declares, and probe it from outside as clients do.
///
/// Nothing is changed. Each assertion passes, fails (with the command that repairs it), or is unknown, when it could
/// not be looked at. Needs the `aws` command line and Node.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: cargo xtask verify --env staging --quick\n\
    Exit codes: 0 all pass, 1 something fails, 2 something is unknown or the tool broke.")]
pub(crate) struct Verify {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    depth: DepthOptions,
    /// Let CloudFormation compare every resource with its template, too
    #[arg(long)]
    drift: bool,
    /// Only these groups, by their letters: `HIJ`
    #[arg(long, value_name = "LETTERS", value_parser = letters)]
    only: Option<String>,
    /// Connect to ADDRESS instead of what DNS says, as in curl
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve: Option<Resolve>,
    /// A file with an access token for the MCP probes
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A certificate authority (PEM) that the probes trust, too
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// Expect this image, instead of the one that is released: a release that is not promoted yet
    #[arg(long, value_name = "SHA256")]
    digest: Option<String>,
    /// Write the results as JUnit, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// How patient to be.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct DepthOptions {
    /// Only what takes no patience: under a minute
    #[arg(long)]
    quick: bool,
    /// Streams for 90 s and short pauses, as after a deploy (the default)
    #[arg(long)]
    gate: bool,
    /// Everything, streams beyond the idle timeout and drift included: six minutes
    #[arg(long)]
    full: bool,
}

impl DepthOptions {
    fn depth(&self) -> Depth {
        match (self.quick, self.full) {
            (true, _) => Depth::Quick,
            (_, true) => Depth::Full,
            _ => Depth::Gate,
        }
    }
}

impl Verify {
    /// Fetches, compares and prints.
    pub(crate) fn run(mut self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let started = Instant::now();
        if self.place.is_stage() && self.resolve.is_none() {
            self.ask_stage(workspace)?;
        }
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        let assembly = self.assembly(workspace, interrupt)?;
        let declared = assembly.declared.clone();
        self.check_resolve(&declared)?;
        let aws = self.place.account(workspace, &declared);
        ui::step(
            Mark::Run,
            format_args!("asking {} in {}", declared.environment, aws.region),
        );
        let groups: Vec<&Group> = GROUPS
            .iter()
            .filter(|group| self.has_chosen(group.letter))
            .collect();
        let is_live = groups.iter().all(|group| group.letter == 'L');
        let mut facts = match &self.resolve {
            // Nothing of what the account says is looked at then.
            Some(_) if is_live => Facts::default(),
            None if is_live => fetch::outputs(&aws, &declared, interrupt),
            _ => fetch::account(&aws, &declared, self.digest.as_deref(), interrupt)?,
        };
        let depth = self.depth.depth();
        let is_elsewhere = facts.are_of_another_account(&declared);
        if self.has_chosen('A') && !is_elsewhere && (self.drift || depth == Depth::Full) {
            fetch::drift(&aws, &declared, &mut facts, interrupt)?;
        }
        if self.has_chosen('L') && !is_elsewhere {
            ui::step(Mark::Run, format_args!("probing {}", declared.live.url));
            let outside = Outside {
                program: &workspace.root().join(PROBE),
                address: self.resolve.as_ref().map(|resolve| resolve.address.as_str()),
                authority: self.authority.as_deref(),
                token: token.as_deref(),
                depth,
                verbose: self.place.verbose,
            };
            fetch::live(&outside, &declared, &mut facts);
        }
        interrupt.check()?;
        add_templates(&assembly, &mut facts);
        let view = View {
            declared: &declared,
            facts: &facts,
            digest: self.digest.as_deref(),
            now: now(),
        };
        // Drift is looked for in full runs, and whenever somebody asks.
        let also = if self.drift { &["A5"][..] } else { &[] };
        let mut report = if is_elsewhere {
            ui::say("left out all but A1: it would be about another account");
            Report::of_account(&view)
        } else {
            Report::make(groups, depth, also, &view)
        };
        self.leave_out(&mut report);
        self.print(&report, &aws)?;
        ui::say(format_args!(
            "{} in {}",
            report.sum(),
            ui::seconds(started.elapsed())
        ));
        conclude(&report)
    }

    fn assembly(&self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Assembly> {
        let Some(path) = &self.place.declared else {
            return Assembly::synth(workspace, &self.place, None, interrupt);
        };
        Ok(Assembly {
            declared: Declared::read(path)?,
            directory: path.parent().map(Path::to_owned).unwrap_or_default(),
        })
    }

    /// Leaves out what cannot be looked at there, or now.
    fn leave_out(&self, report: &mut Report) {
        if self.digest.is_some() {
            for id in BESIDE_A_RELEASE {
                if report.leave_out(id) {
                    ui::say(format_args!(
                        "left out {id}: it says nothing about a release on its way"
                    ));
                }
            }
        }
        if self.place.target == Target::Local {
            for (id, why) in emulated::LEFT_OUT {
                if report.leave_out(id) {
                    ui::say(format_args!("left out {id}: on the local target, {why}"));
                }
            }
        }
    }

    /// Whether a group is looked at.
    fn has_chosen(&self, letter: char) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(letter))
    }

    /// Takes what the probes need from those who know it.
    fn ask_stage(&mut self, workspace: &Workspace) -> anyhow::Result<()> {
        let stage = Stage::expect(workspace)?;
        self.resolve = Some(Stage::resolve().parse().map_err(anyhow::Error::msg)?);
        self.authority.get_or_insert_with(|| stage.authority.clone());
        if self.token_file.is_none() && self.has_chosen('L') {
            // A gateway at which nobody can log in is for the probes to judge.
            self.token_file = stage
                .token_file(workspace)
                .inspect_err(|error| ui::detail(&format!("{error:#}")))
                .ok();
        }
        Ok(())
    }

    fn check_resolve(&self, declared: &Declared) -> anyhow::Result<()> {
        let Some(resolve) = &self.resolve else {
            return Ok(());
        };
        if resolve.host == declared.live.host {
            return Ok(());
        }
        let what = format!(
            "`--resolve` is about `{}`, the environment is `{}`",
            resolve.host, declared.live.host
        );
        Err(Problem::new(
            what,
            format!("say `--resolve {}:443:{}`", declared.live.host, resolve.address),
        )
        .into())
    }

    fn print(&self, report: &Report, aws: &Aws) -> anyhow::Result<()> {
        if let Some(path) = &self.junit {
            fs::write(path, report.junit(aws)).map_err(|error| {
                let what = format!("`{}` cannot be written: {error}", path.display());
                Problem::new(what, "name a file in a directory that exists")
            })?;
        }
        if self.place.json {
            ui::data(report.json(aws));
        } else {
            ui::data(report.tree(aws).trim_end());
        }
        Ok(())
    }
}

/// Adds what is deployed where nobody changed anything; a declaration alone has no templates.
fn add_templates(assembly: &Assembly, facts: &mut Facts) {
    for stack in &assembly.declared.account.stacks {
        let template = assembly.template(&stack.name).map_err(|error| Unknown {
            reason: format!(
                "there is no template of `{}` to compare with: {error:#}",
                stack.name
            ),
            hint:
                "leave `--declared` out, or name that of a synth: `infra/cdk.out/assembly-NAME/declared.json`"
                    .to_owned(),
        });
        facts.insert(synthesised_fact(&stack.kind), template);
    }
}

/// A failure weighs more than what is unknown: it is certain.
fn conclude(report: &Report) -> anyhow::Result<Outcome> {
    if report.count("fail") > 0 {
        return Ok(Outcome::Refused);
    }
    let unknown: Vec<_> = report
        .lines()
        .filter(|line| matches!(line.verdict, Verdict::Unknown(_)))
        .map(|line| line.id)
        .collect();
    if unknown.is_empty() {
        return Ok(Outcome::Done);
    }
    let what = format!("`{}` could not be looked at", unknown.join(" "));
    Err(Problem::new(what, "the tree says why; `--only` leaves groups out").into())
}

fn read_token(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path).map_err(|error| {
        let what = format!("`{}` cannot be read: {error}", path.display());
        Problem::new(what, "it must hold an access token and nothing else")
    })?;
    Ok(text.trim().to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a verification learns what time it is"
)]
fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn letters(text: &str) -> Result<String, String> {
    let text = text.to_ascii_uppercase();
    match text
        .chars()
        .find(|letter| GROUPS.iter().all(|group| group.letter != *letter))
    {
        None => Ok(text),
        Some(letter) => {
            let known: String = GROUPS.iter().map(|group| group.letter).collect();
            Err(format!("there is no group `{letter}`, only `{known}`"))
        }
    }
}

/// An address instead of what DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Resolve {
    host: String,
    address: String,
}

impl FromStr for Resolve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || format!("`{text}` is not like `mcp.example.com:443:192.0.2.7`");
        let (host, rest) = text.split_once(':').ok_or_else(expected)?;
        let (port, address) = rest.split_once(':').ok_or_else(expected)?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        let is_port = port.parse::<u16>().is_ok();
        if host.is_empty() || !is_port || address.parse::<IpAddr>().is_err() {
            return Err(expected());
        }
        Ok(Self {
            host: host.to_owned(),
            address: address.to_owned(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
