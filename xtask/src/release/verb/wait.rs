//! `cargo xtask wait`: until a deployment has ended, whoever began it.

use serde_json::json;

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::release::account::Account;
use crate::release::follow::{Ending, Follow, Pace};
use crate::release::place::Place;
use crate::release::verb::Answer;
use crate::workspace::Workspace;

/// Wait until the service's deployment has ended, and say how. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 it was successful, 1 it was not, 2 it goes on, or the tool broke.")]
pub(crate) struct Wait {
    #[command(flatten)]
    place: Place,
    /// How long at most
    #[arg(long, default_value_t = 20)]
    minutes: u32,
}

impl Wait {
    /// Waits.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let declared = self.place.declaration(workspace, interrupt)?;
        let aws = self.place.account(workspace, &declared);
        let account = Account {
            cloud: &aws,
            declared: &declared,
        };
        let pace = self.place.pace(self.minutes, Some(0));
        Ok(until_it_ends(&account, pace, interrupt)?.tell(self.place.json))
    }
}

/// Follows the newest deployment to its end.
pub(in crate::release) fn until_it_ends(
    account: &Account<'_>,
    pace: Pace,
    interrupt: &Interrupt,
) -> anyhow::Result<Answer> {
    let environment = &account.declared.environment;
    let Some(service) = account.service()? else {
        let what = format!("there is no service `{}`", account.declared.service.name);
        let hint = format!("`cargo xtask deploy --env {environment}` makes one");
        return Err(Problem::new(what, hint).into());
    };
    let (revision, ending) = match account.deployments()?.first() {
        Some(newest) => {
            let revision = account.task_definition_of(&newest.target)?;
            let follow = Follow::new(account, &revision, &service);
            let ending = follow.until_it_ends(pace, interrupt, || Ok(()))?;
            (revision, ending)
        }
        // ECS forgets a deployment after 90 days.
        None if service.running >= service.desired => (service.revision, Ending::Successful),
        None => (service.revision, Ending::Late),
    };
    let said = match &ending {
        Ending::Successful => format!("{revision} is deployed"),
        Ending::SentBack(why) => format!("{revision} was sent back: {why}"),
        Ending::Stuck(why) => format!("{revision} failed, and so did going back: {why}"),
        Ending::Stopped(why) => format!("the deployment of {revision} was stopped: {why}"),
        Ending::Detached | Ending::Late => {
            let what = format!("the deployment of `{revision}` has not ended");
            let hint = format!("it goes on by itself; how it ends: `cargo xtask wait --env {environment}`");
            return Err(Problem::new(what, hint).into());
        }
    };
    let is_good = ending == Ending::Successful;
    let json = json!({ "successful": is_good, "said": said });
    Ok(if is_good {
        Answer {
            lines: vec![said],
            json,
            remark: String::new(),
            outcome: Outcome::Done,
        }
    } else {
        Answer {
            lines: Vec::new(),
            json,
            remark: format!("{said}; what its tasks said: `cargo xtask logs --env {environment} --previous`"),
            outcome: Outcome::Refused,
        }
    })
}
