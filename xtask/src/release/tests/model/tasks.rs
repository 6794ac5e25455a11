//! Tasks, targets, and what tasks write.

use serde_json::{Value, json};

use super::{State, failure, number, revision};
use crate::aws::Failure;

/// A line in the log group.
#[derive(Clone, Debug)]
pub(in super::super) struct Line {
    /// Seconds since 1970.
    pub(in super::super) at: u64,
    pub(in super::super) task: String,
    pub(in super::super) message: &'static str,
    /// How many looks it cannot be found for.
    pub(in super::super) late: u32,
}

/// The id of a task.
pub(in super::super) fn task(number: usize) -> String {
    format!("{number:032x}")
}

/// Tasks that died have ids from here on.
const DEAD: usize = 0xdead_0000;

fn arn(number: usize) -> String {
    format!(
        "arn:aws:ecs:us-east-1:123456789012:task/mcp-gateway-staging/{}",
        task(number)
    )
}

fn no_group() -> Failure {
    failure(
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
}

impl State {
    /// The id of the first task that died.
    pub(in super::super) fn first_dead() -> String {
        task(DEAD)
    }

    pub(super) fn list_tasks(&self, desired: &str) -> Value {
        let arns: Vec<String> = match desired {
            "STOPPED" => (0..self.dead.len()).map(|at| arn(DEAD + at)).collect(),
            _ => (1..=self.running).map(arn).collect(),
        };
        json!({ "taskArns": arns })
    }

    pub(super) fn describe_tasks(&self, arguments: &[&str]) -> Value {
        let runs = self.service.as_deref().unwrap_or_default();
        let image = |number: u32| {
            let image = &self.revisions[&number].0["containerDefinitions"][0]["image"];
            image.as_str().unwrap().split_once('@').unwrap().1.to_owned()
        };
        let running = (1..=self.running).map(|at| {
            json!({ "taskArn": arn(at), "taskDefinitionArn": runs, "lastStatus": "RUNNING",
                "healthStatus": "HEALTHY", "availabilityZone": format!("us-east-1{}", if at % 2 == 1 { 'a' } else { 'b' }),
                "containers": [{ "name": "gateway", "imageDigest": image(number(runs)) }] })
        });
        let dead = self.dead.iter().enumerate().map(|(at, (number, code, exit))| {
            json!({ "taskArn": arn(DEAD + at), "taskDefinitionArn": revision(*number),
                "lastStatus": "STOPPED", "stopCode": code,
                "stoppedReason": "Essential container in task exited",
                "containers": [{ "name": "gateway", "exitCode": exit }] })
        });
        let tasks: Vec<Value> = running
            .chain(dead)
            .filter(|task| arguments.contains(&task["taskArn"].as_str().unwrap()))
            .collect();
        json!({ "tasks": tasks })
    }

    pub(super) fn target_health(&self) -> Result<Value, Failure> {
        let Some(targets) = &self.targets else {
            return Err(failure(
                "TargetGroupNotFound",
                "One or more target groups not found",
            ));
        };
        let targets = targets
            .iter()
            .map(|state| json!({ "TargetHealth": { "State": state } }));
        Ok(json!({ "TargetHealthDescriptions": targets.collect::<Vec<_>>() }))
    }

    /// The end of what one task wrote.
    pub(super) fn log_stream(&self, stream: &str, limit: &str) -> Result<Value, Failure> {
        let lines = self.logs.as_ref().ok_or_else(no_group)?;
        let lines: Vec<Value> = lines
            .iter()
            .filter(|line| stream == format!("gateway/gateway/{}", line.task))
            .map(|line| json!({ "message": line.message, "timestamp": line.at * 1000 }))
            .collect();
        if lines.is_empty() {
            let what = "The specified log stream does not exist.";
            return Err(failure("ResourceNotFoundException", what));
        }
        let surplus = lines.len().saturating_sub(limit.parse().unwrap());
        Ok(json!({ "events": lines[surplus..] }))
    }

    /// What all tasks wrote in a while, both ends included.
    pub(super) fn log_group(&mut self, prefix: &str, from: &str, until: &str) -> Result<Value, Failure> {
        let while_ = from.parse::<u64>().unwrap()..=until.parse().unwrap();
        let looks = self.log_looks;
        self.log_looks += 1;
        let lines = self.logs.as_ref().ok_or_else(no_group)?;
        let found = lines.iter().enumerate().filter_map(|(id, line)| {
            let stream = format!("gateway/gateway/{}", line.task);
            let is_found =
                stream.starts_with(prefix) && while_.contains(&(line.at * 1000)) && looks >= line.late;
            is_found.then(|| {
                json!({ "eventId": id.to_string(), "logStreamName": stream, "timestamp": line.at * 1000,
                    "message": format!("{}\n", line.message) })
            })
        });
        Ok(json!({ "events": found.collect::<Vec<_>>() }))
    }
}
