//! Parameters, secrets, roles and stacks.

use serde_json::{Value, json};

use super::{ACCOUNT, State, failure, shape};
use crate::aws::Failure;

impl State {
    pub(super) fn parameter<'a>(
        &mut self,
        arguments: &[&str],
        of: &dyn Fn(&str) -> &'a str,
    ) -> Result<Value, Failure> {
        let absent = || failure("ParameterNotFound", "no such parameter");
        match arguments[1] {
            "get-parameter" => {
                let value = self.parameters.get(of("--name")).ok_or_else(absent)?;
                Ok(json!({ "Parameter": { "Value": value } }))
            }
            "get-parameters-by-path" => {
                let path = format!("{}/", of("--path"));
                let found = self.parameters.iter().filter(|(name, _)| name.starts_with(&path));
                let found: Vec<Value> = found
                    .map(|(name, value)| json!({ "Name": name, "Value": value }))
                    .collect();
                Ok(json!({ "Parameters": found }))
            }
            "put-parameter" => {
                let name = of("--name").to_owned();
                if self.parameters.contains_key(&name) && !arguments.contains(&"--overwrite") {
                    return Err(failure("ParameterAlreadyExists", "it exists"));
                }
                assert!(of("--value").len() <= 4096, "a standard parameter has 4 KB");
                self.parameters.insert(name, of("--value").to_owned());
                Ok(json!({}))
            }
            "delete-parameter" => {
                self.parameters.remove(of("--name")).ok_or_else(absent)?;
                Ok(Value::Null)
            }
            other => panic!("ssm {other}"),
        }
    }

    /// CloudFormation goes on between two looks.
    pub(super) fn stacks(&mut self, name: Option<&str>) -> Result<Value, Failure> {
        let wanted = self
            .stacks
            .iter_mut()
            .filter(|(known, _)| name.is_none_or(|name| name == *known));
        let outputs = json!([
            { "OutputKey": "TaskDefinitionShape", "OutputValue": shape() },
            { "OutputKey": "TargetGroupArn", "OutputValue": "target-group/1" },
        ]);
        let found: Vec<Value> = wanted
            .filter_map(|(name, statuses)| {
                let status = *statuses.front()?;
                if statuses.len() > 1 {
                    statuses.pop_front();
                }
                let stack = json!({ "StackName": name, "StackStatus": status, "Outputs": outputs });
                (status != "DELETE_COMPLETE").then_some(stack)
            })
            .collect();
        if found.is_empty() && name.is_some() {
            return Err(failure("ValidationError", "Stack does not exist"));
        }
        Ok(json!({ "Stacks": found }))
    }

    pub(super) fn role(&self, name: &str) -> Result<Value, Failure> {
        match &self.gone_roles {
            None => Err(failure("AccessDenied", "not authorized to perform: iam:GetRole")),
            Some(gone) if gone.contains(&name) => Err(failure("NoSuchEntity", "no such role")),
            Some(_) => Ok(json!({ "Role": { "RoleName": name } })),
        }
    }

    pub(super) fn secret(&self, name: &str) -> Result<Value, Failure> {
        let found = self
            .secrets
            .iter()
            .find(|(known, _)| name.ends_with(known.as_str()));
        let Some((known, state)) = found else {
            return Err(failure("ResourceNotFoundException", "no such secret"));
        };
        let mut answer =
            json!({ "ARN": format!("arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{known}") });
        if *state != "empty" {
            answer["VersionIdsToStages"] = json!({ "v1": ["AWSCURRENT"] });
        }
        if *state == "deleted" {
            answer["DeletedDate"] = json!("2026-11-01T00:00:00Z");
        }
        Ok(answer)
    }
}
