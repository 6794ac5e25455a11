//! The `aws` command line, with JSON in and out. Its errors keep the command, AWS's code and a way out.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process;
use crate::ui;

/// The program of which no part is linked: its credentials, proxies and single sign-on are the operator's own.
const PROGRAM: &str = "aws";
/// A call ends by itself within these, so it needs no watching.
const LIMITS: [&str; 4] = ["--cli-connect-timeout", "5", "--cli-read-timeout", "20"];

/// An account as one person or role reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Aws {
    /// Where everything is.
    pub(crate) region: String,
    /// A profile of the operator's configuration; otherwise the usual credentials.
    pub(crate) profile: Option<String>,
    /// Another address than that of AWS: an emulator.
    pub(crate) endpoint: Option<String>,
    /// The program, where it is not the operator's own.
    pub(crate) program: Option<PathBuf>,
    /// Whether each command is printed before it runs.
    pub(crate) verbose: bool,
}

impl Aws {
    /// Runs `aws` with `arguments` and returns what it answers; nothing at all is `null`.
    pub(crate) fn json<A: AsRef<str>>(&self, arguments: &[A]) -> Result<Value, Failure> {
        let mut command = self.command(arguments);
        if self.verbose {
            ui::say(format_args!("$ {}", process::shown(&command)));
        }
        let shown = process::shown(&command);
        let output = command.output().map_err(|error| Failure {
            command: shown.clone(),
            code: None,
            message: format!("`{PROGRAM}` does not start: {error}"),
        })?;
        if !output.status.success() {
            return Err(Failure::read(shown, &String::from_utf8_lossy(&output.stderr)));
        }
        if output.stdout.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&output.stdout).map_err(|error| Failure {
            command: shown,
            code: None,
            message: format!("the answer is not JSON: {error}"),
        })
    }

    /// `command`, the part after `aws`, as an operator would type it for this account; what it asks for inside of
    /// itself, by `$(aws ...)`, is asked of the same account.
    pub(crate) fn typed(&self, command: &str) -> String {
        let mut line = format!("{PROGRAM} --region {}", self.region);
        for (option, value) in [("--profile", &self.profile), ("--endpoint-url", &self.endpoint)] {
            if let Some(value) = value {
                line.extend([" ", option, " ", value.as_str()]);
            }
        }
        format!("{line} {}", command.replace("$(aws ", &format!("$({line} ")))
    }

    fn command<A: AsRef<str>>(&self, arguments: &[A]) -> Command {
        let mut command = match &self.program {
            Some(path) => Command::new(path),
            None => Command::new(PROGRAM),
        };
        command.args(["--output", "json", "--region", &self.region]);
        for (option, value) in [("--profile", &self.profile), ("--endpoint-url", &self.endpoint)] {
            if let Some(value) = value {
                command.args([option, value]);
            }
        }
        command.args(LIMITS);
        command.args(arguments.iter().map(AsRef::as_ref));
        command
            .envs([
                ("AWS_PAGER", ""),
                // Whatever format of errors the operator likes to read.
                ("AWS_CLI_ERROR_FORMAT", "legacy"),
                ("AWS_RETRY_MODE", "standard"),
                ("AWS_MAX_ATTEMPTS", "3"),
            ])
            .stdin(Stdio::null());
        if self.endpoint.is_some() {
            // An emulator takes any key; the operator's own must not reach it.
            command.env_remove("AWS_SESSION_TOKEN").envs([
                ("AWS_ACCESS_KEY_ID", "AKIAMINI"),
                ("AWS_SECRET_ACCESS_KEY", "emulated"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ]);
        }
        command
    }
}

/// A call that was not answered, or with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The whole command line.
    pub(crate) command: String,
    /// AWS's name of the error, when AWS answered.
    pub(crate) code: Option<String>,
    /// What was said.
    pub(crate) message: String,
}

impl Failure {
    /// Takes what AWS answered, with its code in parentheses: `An error occurred (Code) when ...`; or else the last line.
    /// From 2.34 on, `aws` puts `aws: [ERROR]:` before it, and details below it.
    fn read(command: String, stderr: &str) -> Self {
        const ANSWER: &str = "An error occurred (";
        let lines: Vec<&str> = stderr
            .lines()
            .map(|line| line.trim().trim_start_matches("aws: [ERROR]:").trim_start())
            .filter(|line| !line.is_empty())
            .collect();
        let answer = lines.iter().find(|line| line.starts_with(ANSWER));
        let message = *answer.or(lines.last()).unwrap_or(&"no word about it");
        let code = message
            .strip_prefix(ANSWER)
            .and_then(|rest| rest.split_once(')'))
            .map(|(code, _)| code.to_owned());
        Self {
            command,
            code,
            message: message.to_owned(),
        }
    }

    /// Whether AWS answered that there is no such thing, which is an answer and not a failure to ask.
    pub(crate) fn is_absence(&self) -> bool {
        let Some(code) = &self.code else {
            return false;
        };
        code.contains("NotFound")
            || code.contains("NoSuch")
            || code.contains("Nonexistent")
            || (code == "ValidationError" && self.message.contains("does not exist"))
            || (code == "ClientException" && self.message.contains("Unable to describe"))
    }

    /// What helps.
    pub(crate) fn hint(&self) -> String {
        let says = |part: &str| self.message.contains(part);
        let code = self.code.as_deref().unwrap_or_default();
        if code.contains("Expired") || says("has expired") {
            "the credentials have expired: log in again (`aws sso login`)".to_owned()
        } else if says("Unable to locate credentials") || says("could not be found") {
            "there are no credentials: log in (`aws sso login`), or name a profile by `--profile`".to_owned()
        } else if says("Could not connect") || says("timeout") || says("timed out") {
            "the endpoint does not answer: look at the network, the region and `--endpoint`".to_owned()
        } else if code.contains("AccessDenied") || code.contains("Unauthorized") {
            "the role may not ask this: use the plan role of the pipeline stack (output `PlanRoleArn`)"
                .to_owned()
        } else if says("does not start") {
            "install the AWS command line: https://docs.aws.amazon.com/cli".to_owned()
        } else {
            format!("run it by hand: {}", self.command)
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(profile: Option<&str>, endpoint: Option<&str>) -> Aws {
        Aws {
            region: "us-east-1".to_owned(),
            profile: profile.map(str::to_owned),
            endpoint: endpoint.map(str::to_owned),
            program: None,
            verbose: false,
        }
    }

    #[test]
    fn the_account_is_part_of_every_command() {
        let rows = [
            (
                account(None, None),
                "aws --region us-east-1 sts get-caller-identity",
            ),
            (
                account(Some("ops"), None),
                "aws --region us-east-1 --profile ops sts get-caller-identity",
            ),
            (
                account(None, Some("http://127.0.0.1:4566")),
                "aws --region us-east-1 --endpoint-url http://127.0.0.1:4566 sts get-caller-identity",
            ),
        ];
        for (aws, line) in rows {
            assert_eq!(aws.typed("sts get-caller-identity"), line);
            let run = process::shown(&aws.command(&["sts", "get-caller-identity"]));
            for word in line.split(' ') {
                assert!(run.contains(word), "{run}");
            }
        }
    }

    #[test]
    fn a_command_asks_the_same_account_for_its_parts() {
        let line = account(Some("ops"), None).typed("wafv2 associate --arn $(aws wafv2 list)");
        let of_ops = "aws --region us-east-1 --profile ops wafv2";
        assert_eq!(line, format!("{of_ops} associate --arn $({of_ops} list)"));
    }

    #[test]
    fn an_emulator_never_sees_the_operators_credentials() {
        let command = account(None, Some("http://127.0.0.1:4566")).command(&["sts"]);
        let set: Vec<_> = command.get_envs().collect();
        assert!(
            set.iter()
                .any(|(name, value)| *name == "AWS_SESSION_TOKEN" && value.is_none())
        );
        assert!(
            set.iter()
                .any(|(name, value)| *name == "AWS_ACCESS_KEY_ID" && value.is_some())
        );
        let command = account(Some("ops"), None).command(&["sts"]);
        assert!(command.get_envs().all(|(name, _)| name != "AWS_ACCESS_KEY_ID"));
    }

    #[test]
    fn an_error_keeps_its_code_and_says_what_helps() {
        let rows = [
            (
                "\nAn error occurred (ExpiredTokenException) when calling the X operation: old\n",
                Some("ExpiredTokenException"),
                "log in again",
            ),
            (
                "An error occurred (AccessDeniedException) when calling the X operation: no",
                Some("AccessDeniedException"),
                "PlanRoleArn",
            ),
            (
                "\naws: [ERROR]: An error occurred (AccessDeniedException) when calling the X operation: no\n\n\
                 Additional error details:\nreason: none\n",
                Some("AccessDeniedException"),
                "PlanRoleArn",
            ),
            (
                "\naws: [ERROR]: Unable to locate credentials. You can configure them.\n",
                None,
                "--profile",
            ),
            (
                "Unable to locate credentials. You can configure them.",
                None,
                "--profile",
            ),
            (
                "Could not connect to the endpoint URL: \"http://127.0.0.1:1/\"",
                None,
                "does not answer",
            ),
            (
                "An error occurred (Throttling) when calling the X operation: rate",
                Some("Throttling"),
                "run it by hand: aws x",
            ),
            ("", None, "run it by hand"),
        ];
        for (stderr, code, hint) in rows {
            let failure = Failure::read("aws x".to_owned(), stderr);
            assert_eq!(failure.code.as_deref(), code, "{stderr}");
            assert!(failure.hint().contains(hint), "{stderr}: {}", failure.hint());
        }
    }

    #[test]
    fn that_there_is_no_such_thing_is_an_answer() {
        let rows = [
            (
                "An error occurred (ParameterNotFound) when calling the X operation:",
                true,
            ),
            (
                "An error occurred (NoSuchEntity) when calling the X operation: role",
                true,
            ),
            (
                "An error occurred (WAFNonexistentItemException) when calling the X operation: none",
                true,
            ),
            (
                "An error occurred (ValidationError) when calling the X operation: Stack s does not exist",
                true,
            ),
            (
                "aws: [ERROR]: An error occurred (ValidationError) when calling the X operation: Stack s does not exist",
                true,
            ),
            (
                "An error occurred (ValidationError) when calling the X operation: bad name",
                false,
            ),
            (
                "An error occurred (AccessDenied) when calling the X operation: NotFound",
                false,
            ),
            ("NotFound", false),
        ];
        for (stderr, absent) in rows {
            assert_eq!(
                Failure::read(String::new(), stderr).is_absence(),
                absent,
                "{stderr}"
            );
        }
    }
}
