//! The tools of the `core` profile: names, schemas, and the way from arguments to a result.

mod calendar;
mod docs;
mod drive;
mod gmail;
mod identity;
mod render;
mod schema;
mod sheets;

use std::pin::Pin;
use std::sync::Arc;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::Call;
use super::error::ToolError;

/// One tool. All of them only read.
trait CoreTool {
    /// The name on the wire.
    const NAME: &'static str;
    /// The name for people.
    const TITLE: &'static str;
    /// What helps a model to choose the tool and to use it well.
    const DESCRIPTION: &'static str;
    /// What the tool takes.
    type Args: DeserializeOwned + JsonSchema + Send;
    /// What the tool gives.
    type Output: Serialize + JsonSchema;

    /// Does the work.
    fn run(call: &Call<'_>, args: Self::Args)
    -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<Value, ToolError>> + Send + 'a>>;

/// The tools in the order of `tools/list`, and how to run each.
#[derive(Debug)]
pub(crate) struct Registry {
    tools: Vec<Tool>,
    runs: Vec<for<'a> fn(&'a Call<'a>, JsonObject) -> Outcome<'a>>,
}

impl Registry {
    /// The 13 tools of the `core` profile.
    pub(crate) fn core() -> Self {
        let mut registry = Self {
            tools: Vec::new(),
            runs: Vec::new(),
        };
        registry.add::<identity::Whoami>();
        registry.add::<identity::TestAuth>();
        registry.add::<gmail::Search>();
        registry.add::<gmail::List>();
        registry.add::<gmail::Get>();
        registry.add::<calendar::ListEvents>();
        registry.add::<calendar::GetEvent>();
        registry.add::<drive::Search>();
        registry.add::<drive::List>();
        registry.add::<drive::GetContent>();
        registry.add::<docs::GetContent>();
        registry.add::<sheets::GetValues>();
        registry.add::<sheets::GetMetadata>();
        registry
    }

    fn add<T: CoreTool + 'static>(&mut self) {
        let annotations = ToolAnnotations::with_title(T::TITLE)
            .read_only(true)
            .destructive(false)
            .idempotent(true)
            .open_world(true);
        let tool = Tool::new(T::NAME, T::DESCRIPTION, schema::input::<T::Args>())
            .with_title(T::TITLE)
            .with_annotations(annotations)
            .with_raw_output_schema(Arc::new(schema::output::<T::Output>()));
        self.tools.push(tool);
        self.runs
            .push(|call, arguments| Box::pin(run::<T>(call, arguments)));
    }

    /// The tools in the order of `tools/list`.
    pub(crate) fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Runs the tool of that name; `None`: there is none.
    pub(crate) async fn call(
        &self,
        call: &Call<'_>,
        name: &str,
        arguments: JsonObject,
    ) -> Option<CallToolResult> {
        let index = self.tools.iter().position(|tool| tool.name == name)?;
        let (tool, run) = (self.tools.get(index)?, self.runs.get(index)?);
        let outcome = match schema::check(&tool.input_schema, arguments) {
            Ok(arguments) => run(call, arguments).await,
            Err(error) => Err(error),
        };
        Some(match outcome {
            Ok(output) => {
                let mut result = CallToolResult::success(vec![ContentBlock::text(render::text(&output))]);
                result.structured_content = Some(output);
                result
            }
            Err(error) => {
                tracing::info!(tool = name, code = error.code.as_str(), "tool call failed");
                let content = json!({ "error": error.to_json() });
                let mut result = CallToolResult::error(vec![ContentBlock::text(render::text(&content))]);
                result.structured_content = Some(content);
                result
            }
        })
    }
}

async fn run<T: CoreTool>(call: &Call<'_>, arguments: JsonObject) -> Result<Value, ToolError> {
    // The schema check named the usual mistakes; what is left is a value that no schema describes.
    let args = serde_json::from_value(Value::Object(arguments))
        .map_err(|error| ToolError::invalid(format!("the arguments do not fit: {error}")))?;
    let output = T::run(call, args).await?;
    serde_json::to_value(output).map_err(|error| {
        tracing::error!(tool = T::NAME, %error, "an output does not serialize");
        ToolError::new(
            super::error::ErrorCode::UpstreamUnavailable,
            "the answer of Google cannot be passed on",
        )
    })
}

#[cfg(test)]
mod tests;
