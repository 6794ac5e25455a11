//! Tools that tests need: slow ones, one that asks, one whose effects are counted, one that changes the
//! tool list. Release builds have none of them;
//! others have them with `TEST_TOOLS=1`.
//!
//! What they do is written to the log, so that a test can count effects after any accident.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::model::call::{CallContext, CallEvent};
use crate::store::Store;

/// What the names of all of them begin with.
pub(super) const PREFIX: &str = "test_";

/// Their definitions.
pub(super) fn list() -> Vec<Tool> {
    let time = json!({"ms": {"type": "integer"}, "steps": {"type": "integer"}, "bytes": {"type": "integer"}});
    vec![
        tool(
            "test_slow",
            "Answers after `ms`, with `steps` reports on the way.",
            &time,
            true,
        ),
        tool(
            "test_write",
            "Has an effect that shows in the log, after `ms`.",
            &json!({"key": {"type": "string"}, "ms": {"type": "integer"}}),
            false,
        ),
        tool(
            "test_elicit",
            "Asks the person.",
            &json!({"message": {"type": "string"}}),
            true,
        ),
        tool(
            "test_notify",
            "Says that the tool list changed.",
            &json!({}),
            false,
        ),
    ]
}

fn tool(name: &'static str, description: &'static str, properties: &Value, reads: bool) -> Tool {
    let mut schema = JsonObject::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties.clone());
    let annotations = ToolAnnotations::new().read_only(reads).idempotent(reads);
    Tool::new(name, description, Arc::new(schema)).with_annotations(annotations)
}

/// Calls one. `None`: there is no such tool.
pub(super) async fn call(
    context: &CallContext,
    name: &str,
    arguments: &JsonObject,
    store: &Store,
) -> Option<CallToolResult> {
    let text = |field: &str| arguments.get(field).and_then(Value::as_str).unwrap_or_default();
    tracing::info!(tool = name, key = text("key"), user = %context.principal.user, "test tool begins");
    let answer = match name {
        "test_slow" => slow(context, arguments).await,
        "test_write" => {
            tokio::time::sleep(millis(arguments, "ms")).await;
            tracing::info!(key = text("key"), "test tool writes");
            format!("wrote {}", text("key"))
        }
        "test_elicit" => elicit(context, text("message")).await,
        "test_notify" => match store.bump_catalogue().await {
            Ok(()) => "the list changed".to_owned(),
            Err(error) => error.to_string(),
        },
        _ => return None,
    };
    tracing::info!(tool = name, key = text("key"), "test tool ends");
    Some(CallToolResult::success(vec![ContentBlock::text(answer)]))
}

async fn slow(context: &CallContext, arguments: &JsonObject) -> String {
    let number = |field: &str| arguments.get(field).and_then(Value::as_u64).unwrap_or_default();
    let (total, steps) = (
        millis(arguments, "ms"),
        u32::try_from(number("steps")).unwrap_or(0),
    );
    let pause = total / (steps + 1);
    for step in 0..steps {
        tokio::time::sleep(pause).await;
        context.report(CallEvent::Progress {
            done: f64::from(step + 1),
            total: Some(f64::from(steps)),
            message: format!("step {} of {steps}", step + 1),
        });
    }
    tokio::time::sleep(pause).await;
    let filler = usize::try_from(number("bytes")).unwrap_or(0);
    format!("done after {} ms {}", total.as_millis(), "x".repeat(filler))
}

async fn elicit(context: &CallContext, message: &str) -> String {
    let asked = Instant::now();
    let params = json!({
        "message": message,
        "requestedSchema": {"type": "object", "properties": {"answer": {"type": "string"}}},
    });
    let answer = context.ask("elicitation/create", params).await;
    let after_ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
    match answer {
        Ok(answer) => json!({"answer": answer, "afterMs": after_ms}).to_string(),
        Err(error) => json!({"error": error.to_string(), "afterMs": after_ms}).to_string(),
    }
}

fn millis(arguments: &JsonObject, field: &str) -> Duration {
    Duration::from_millis(arguments.get(field).and_then(Value::as_u64).unwrap_or_default())
}
