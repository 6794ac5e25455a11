//! `cargo xtask diff`: what a deployment would change.

use serde_json::{Value, json};

use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::release::account::Account;
use crate::release::place::Place;
use crate::release::shape::{self, Candidate};
use crate::release::stacks::{self, Assembly};
use crate::release::verb::Answer;
use crate::workspace::Workspace;

/// Show what a deployment would change: stacks (by CDK), and the task definition that runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 nothing, 1 something, 2 the tool broke.")]
pub(crate) struct Diff {
    #[command(flatten)]
    place: Place,
    /// With this image instead of the one that runs
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Only the task definition; the stacks are not synthesised
    #[arg(long)]
    tasks_only: bool,
}

impl Diff {
    /// Compares.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let assembly = if self.tasks_only {
            None
        } else {
            Some(Assembly::synth(workspace, &self.place, None, interrupt)?)
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
        let changed = assembly
            .as_ref()
            .map(|assembly| assembly.changed(&account))
            .transpose()?;
        let changed = changed.unwrap_or_default();
        if let Some(assembly) = assembly
            .as_ref()
            .filter(|_| !changed.is_empty() && !self.place.json)
        {
            stacks::diff(workspace, &self.place, assembly, &changed, interrupt)?;
        }
        Ok(self.on(&account, &changed)?.tell(self.place.json))
    }

    pub(in crate::release) fn on(&self, account: &Account<'_>, changed: &[String]) -> anyhow::Result<Answer> {
        let tasks = self.tasks(account)?;
        let mut lines: Vec<String> = changed
            .iter()
            .map(|stack| format!("stack {stack} changes"))
            .collect();
        lines.extend(tasks.iter().cloned());
        let (remark, outcome) = if lines.is_empty() {
            ("a deployment would change nothing", Outcome::Done)
        } else {
            ("", Outcome::Refused)
        };
        Ok(Answer {
            lines,
            json: json!({ "stacks": changed, "task_definition": tasks }),
            remark: remark.to_owned(),
            outcome,
        })
    }

    /// What runs against what the deployed stack publishes.
    fn tasks(&self, account: &Account<'_>) -> anyhow::Result<Vec<String>> {
        let only = |what: String| Ok(vec![format!("task definition: {what}")]);
        let Some(shape) = account.output("task_definition_shape")? else {
            return only("no stack publishes one yet".to_owned());
        };
        let Some(service) = account.service()? else {
            return only("no service runs one yet".to_owned());
        };
        let Some(live) = account.revision(&service.revision)? else {
            return only(format!("{}, which runs, is gone", service.revision));
        };
        let container = &account.declared.service.container_name;
        let runs = live.image_of(container).unwrap_or_default();
        let image = self.image.as_ref().unwrap_or(&runs);
        if self.image.is_none() && shape::digest_of(image).is_err() {
            return only(format!(
                "{} runs `{image}`, which is not pinned by digest",
                service.revision
            ));
        }
        let candidate = Candidate::new(&shape, container, image)?;
        let mut differences = Vec::new();
        compare("", &candidate.input, &live.input, &mut differences);
        Ok(differences)
    }
}

/// What is wanted and is not so. What AWS adds by itself is no difference.
fn compare(path: &str, wanted: &Value, live: &Value, differences: &mut Vec<String>) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            for (name, wanted) in wanted {
                let live = live.get(name).unwrap_or(&Value::Null);
                compare(&format!("{path}/{name}"), wanted, live, differences);
            }
        }
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            let (wanted, live) = (sorted(wanted), sorted(live));
            for (place, (wanted, live)) in wanted.iter().zip(&live).enumerate() {
                let name = wanted.get("name").and_then(Value::as_str);
                let name = name.map_or_else(|| place.to_string(), str::to_owned);
                compare(&format!("{path}/{name}"), wanted, live, differences);
            }
        }
        // Nothing, and an empty list, are the same in an answer.
        (Value::Array(list), Value::Null) if list.is_empty() => {}
        _ if wanted == live => {}
        _ => differences.push(format!("{path}: {live} -> {wanted}")),
    }
}

/// AWS does not keep the order of settings.
fn sorted(list: &[Value]) -> Vec<&Value> {
    let mut list: Vec<&Value> = list.iter().collect();
    list.sort_by_key(|item| item.get("name").and_then(Value::as_str).map(str::to_owned));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_and_not_so_is_a_difference() {
        let wanted = json!({ "cpu": "512", "containerDefinitions": [{ "name": "gateway", "environment": [
            { "name": "B", "value": "2" }, { "name": "A", "value": "1" }], "mountPoints": [] }] });
        let live = json!({ "cpu": "256", "revision": 7, "containerDefinitions": [{ "name": "gateway", "cpu": 0,
            "environment": [{ "name": "A", "value": "1" }, { "name": "B", "value": "3" }] }] });
        let mut differences = Vec::new();
        compare("", &wanted, &live, &mut differences);
        assert_eq!(
            differences,
            [
                "/containerDefinitions/gateway/environment/B/value: \"3\" -> \"2\"",
                "/cpu: \"256\" -> \"512\"",
            ]
        );
    }

    #[test]
    fn a_setting_more_or_less_is_a_difference() {
        let one = json!({ "environment": [{ "name": "A", "value": "1" }] });
        let none = json!({ "environment": [] });
        for (wanted, live) in [(&one, &none), (&none, &one)] {
            let mut differences = Vec::new();
            compare("", wanted, live, &mut differences);
            assert_eq!(differences.len(), 1);
        }
    }
}
