//! The AWS API of the emulator, spoken by a Python process with botocore: a question takes milliseconds, where a start
//! of the `aws` command line takes most of a second.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{ENDPOINT, REGION};
use crate::workspace::Workspace;

/// The program, which the tests of the infrastructure use as well.
const PROGRAM: &str = "infra/emulate/aws.py";

/// A running process. It ends with its input.
#[derive(Debug)]
pub(crate) struct Api {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Api {
    /// Starts `python`, which has botocore.
    pub(crate) fn start(workspace: &Workspace, python: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(python)
            .arg(workspace.root().join(PROGRAM))
            .envs(variables())
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_PROFILE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("`{}` does not start", python.display()))?;
        let questions = child.stdin.take().context("the process has no input")?;
        let answers = child.stdout.take().context("the process has no output")?;
        Ok(Self {
            child,
            questions,
            answers: BufReader::new(answers),
        })
    }

    /// Asks, and waits for the answer. An error of the API is one of ours, with its code.
    pub(crate) fn ask(
        &mut self,
        service: &str,
        operation: &str,
        parameters: &Value,
    ) -> anyhow::Result<Value> {
        let question = json!({ "service": service, "operation": operation, "parameters": parameters });
        writeln!(self.questions, "{question}").context("the Python process ended")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line).context("the Python process ended")?;
        if let Some(result) = answer.get_mut("result") {
            return Ok(result.take());
        }
        let said = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        anyhow::bail!(
            "`{service}` `{operation}` is answered {}: {}",
            said("code"),
            said("message")
        )
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What makes botocore, the `aws` command line and the CDK speak to the emulator, which takes any key.
pub(crate) fn variables() -> [(&'static str, &'static str); 6] {
    [
        ("AWS_ENDPOINT_URL", ENDPOINT),
        ("AWS_ACCESS_KEY_ID", "AKIAMINI"),
        ("AWS_SECRET_ACCESS_KEY", "emulated"),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
}
