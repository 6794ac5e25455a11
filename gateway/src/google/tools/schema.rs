//! JSON schemas of arguments and outputs, in the plain form that every MCP client understands, and the
//! check of arguments against them.

use rmcp::model::JsonObject;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use crate::google::error::ToolError;

/// The schema of a tool's arguments.
pub(crate) fn input<T: JsonSchema>() -> JsonObject {
    let mut schema = plain(SchemaSettings::draft2020_12().for_deserialize(), T::json_schema);
    // A tool without arguments has no properties to derive this from.
    schema.entry("properties").or_insert_with(|| json!({}));
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    schema
}

/// The schema of a tool's structured content: the output, or the error of a call that failed.
///
/// The TypeScript SDK 1.x checks the content of failed calls too, so both forms must be valid.
pub(crate) fn output<T: JsonSchema>() -> JsonObject {
    let mut schema = plain(SchemaSettings::draft2020_12().for_serialize(), T::json_schema);
    let required = schema.remove("required").unwrap_or_else(|| json!([]));
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("error".to_owned(), error());
    }
    schema.insert(
        "anyOf".to_owned(),
        json!([{ "required": required }, { "required": ["error"] }]),
    );
    schema
}

fn error() -> Value {
    json!({
        "type": "object",
        "description": "Why there is no result. Only in results with `isError`.",
        "properties": {
            "code": { "type": "string", "description": "Stable code, e.g. `rate_limited`." },
            "message": { "type": "string" },
            "hint": { "type": "string", "description": "What to do." },
            "field": { "type": "string", "description": "The argument that is wrong." },
            "retryAfterMs": { "type": "integer", "description": "When to call again." }
        },
        "required": ["code", "message"]
    })
}

/// No `$ref`, no `$schema`, no `null` types, no Rust-only formats, no type names as titles.
fn plain(settings: SchemaSettings, schema: fn(&mut schemars::SchemaGenerator) -> Schema) -> JsonObject {
    let mut generator = settings.with(|s| s.inline_subschemas = true).into_generator();
    let mut schema = schema(&mut generator);
    RecursiveTransform(simplify).transform(&mut schema);
    schema.remove("title");
    schema.remove("description");
    match schema.to_value() {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    }
}

fn simplify(schema: &mut Schema) {
    schema.remove("format");
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
    // Absent and null mean the same to us, and clients that build forms dislike two types.
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
}

/// Brings arguments into the form of the schema, or says which of them is wrong and what would be right.
///
/// `null` counts as absent and `10.0` as `10`, because models and clients write both.
pub(crate) fn check(schema: &JsonObject, arguments: JsonObject) -> Result<JsonObject, ToolError> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let known = |name: &str| properties.and_then(|known| known.get(name));
    let mut checked = JsonObject::new();
    for (name, value) in arguments {
        let Some(rule) = known(&name) else {
            let names: Vec<_> = properties
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .collect();
            let known = match names.as_slice() {
                [] => "this tool takes no arguments".to_owned(),
                names => format!("known arguments: {}", names.join(", ")),
            };
            return Err(ToolError::argument(&name, format!("unknown argument `{name}`")).hinting(known));
        };
        if value.is_null() {
            continue;
        }
        let value = whole(value);
        if let Some(expected) = violation(rule, &value) {
            return Err(ToolError::argument(&name, format!("`{name}` must be {expected}")));
        }
        checked.insert(name, value);
    }
    let required = schema.get("required").and_then(Value::as_array);
    let missing = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .find(|name| !checked.contains_key(*name));
    match missing {
        Some(name) => Err(ToolError::argument(name, format!("`{name}` is required"))),
        None => Ok(checked),
    }
}

/// JSON Schema counts `10.0` as an integer.
fn whole(value: Value) -> Value {
    match value.as_f64() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be a small whole number"
        )]
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() < 1e15 => {
            Value::from(number as i64)
        }
        _ => value,
    }
}

/// What the value should be, if it is not.
fn violation(rule: &Value, value: &Value) -> Option<String> {
    let bound = |name: &str| rule.get(name).and_then(Value::as_i64);
    if let Some(choices) = rule.get("enum").and_then(Value::as_array) {
        let names: Vec<_> = choices.iter().filter_map(Value::as_str).collect();
        return (!choices.contains(value)).then(|| format!("one of {}", names.join(", ")));
    }
    match rule.get("type").and_then(Value::as_str) {
        Some("integer") => {
            let low = bound("minimum").unwrap_or(i64::MIN);
            let high = bound("maximum").unwrap_or(i64::MAX);
            let fits = value.as_i64().is_some_and(|n| (low..=high).contains(&n));
            (!fits).then(|| format!("a whole number from {low} to {high}"))
        }
        Some("boolean") => (!value.is_boolean()).then(|| "true or false".to_owned()),
        Some("string") => {
            let low = bound("minLength").unwrap_or(0);
            let high = bound("maxLength").unwrap_or(i64::MAX);
            let length = value
                .as_str()
                .map(|text| i64::try_from(text.chars().count()).unwrap_or(i64::MAX));
            let fits = length.is_some_and(|n| (low..=high).contains(&n));
            (!fits).then(|| format!("a text of {low} to {high} characters"))
        }
        Some("array") => {
            let low = bound("minItems").unwrap_or(0);
            let high = bound("maxItems").unwrap_or(i64::MAX);
            let count = value
                .as_array()
                .map(|items| i64::try_from(items.len()).unwrap_or(i64::MAX));
            if count.is_none_or(|n| !(low..=high).contains(&n)) {
                return Some(format!("a list of {low} to {high} items"));
            }
            let mut items = value.as_array().into_iter().flatten();
            let wrong = items.find_map(|item| violation(rule.get("items")?, item));
            wrong.map(|expected| format!("a list, each item {expected}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
