//! `cargo xtask wait`: until a deployment has ended, whoever began it.

use serde_json::json;

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::problem::Problem;
use crate::release::account::Account;
use crate::release::follow::{Ending, Follow};
use crate::release::place::Place;
use crate::ui::{self, Mark};
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
        let newest = account.deployments()?.into_iter().next();
        let Some(service) = account.service()? else {
            let what = format!("there is no service `{}`", declared.service.name);
            return Err(Problem::new(what, "`cargo xtask deploy` makes one").into());
        };
        let revision = match &newest {
            Some(deployment) => account.task_definition_of(&deployment.target)?,
            None => service.revision.clone(),
        };
        let pace = self.place.pace(self.minutes, 0);
        let ending = Follow::new(&account, &revision, &service).until_it_ends(pace, interrupt, || Ok(()))?;
        let (is_good, said) = match ending {
            Ending::Successful => (true, format!("{revision} is deployed")),
            Ending::SentBack(why) => (false, format!("{revision} was sent back: {why}")),
            Ending::Stuck(why) => (false, format!("{revision} failed, and so did going back: {why}")),
            Ending::Stopped(why) => (false, format!("the deployment of {revision} was stopped: {why}")),
            Ending::Detached | Ending::Late => {
                let hint = "it goes on by itself; run this again to see how it ends";
                return Err(
                    Problem::new(format!("the deployment of `{revision}` has not ended"), hint).into(),
                );
            }
        };
        if self.place.json {
            ui::data(json!({ "successful": is_good, "said": said }));
        } else if is_good {
            ui::data(said);
        } else {
            ui::step(Mark::Fail, said);
        }
        Ok(if is_good { Outcome::Done } else { Outcome::Refused })
    }
}
