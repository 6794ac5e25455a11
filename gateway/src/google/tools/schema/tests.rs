//! The check of arguments, one row per way to get them wrong.

use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Example {
    /// What to look for.
    #[schemars(length(min = 1, max = 5))]
    query: String,
    #[serde(default)]
    #[schemars(range(min = 1, max = 50))]
    max_results: u32,
    page_token: Option<String>,
    #[serde(default)]
    shared: bool,
    #[serde(default)]
    #[schemars(length(min = 1, max = 2), inner(length(min = 1, max = 3)))]
    labels: Vec<String>,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Text,
    Html,
}

fn checked(arguments: Value) -> Result<JsonObject, ToolError> {
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object");
    };
    check(&input::<Example>(), arguments)
}

#[test]
fn good_arguments_pass_and_null_means_absent() {
    let checked = checked(json!({ "query": "ä€😀", "maxResults": 10.0, "pageToken": null, "mode": "html" }));
    assert_eq!(
        Value::Object(checked.unwrap()),
        json!({ "query": "ä€😀", "maxResults": 10, "mode": "html" })
    );
}

#[test]
fn a_wrong_argument_is_named_with_what_would_be_right() {
    for (arguments, field, message) in [
        (json!({}), "query", "`query` is required"),
        (json!({ "query": null }), "query", "`query` is required"),
        (
            json!({ "query": 5 }),
            "query",
            "`query` must be a text of 1 to 5 characters",
        ),
        (
            json!({ "query": "" }),
            "query",
            "`query` must be a text of 1 to 5 characters",
        ),
        (
            json!({ "query": "123456" }),
            "query",
            "`query` must be a text of 1 to 5 characters",
        ),
        (
            json!({ "query": "x", "maxResults": 51 }),
            "maxResults",
            "`maxResults` must be a whole number from 1 to 50",
        ),
        (
            json!({ "query": "x", "maxResults": 2.5 }),
            "maxResults",
            "`maxResults` must be a whole number from 1 to 50",
        ),
        (
            json!({ "query": "x", "maxResults": -1e300 }),
            "maxResults",
            "`maxResults` must be a whole number from 1 to 50",
        ),
        (
            json!({ "query": "x", "shared": "yes" }),
            "shared",
            "`shared` must be true or false",
        ),
        (
            json!({ "query": "x", "labels": "INBOX" }),
            "labels",
            "`labels` must be a list of 1 to 2 items",
        ),
        (
            json!({ "query": "x", "labels": ["A", 7] }),
            "labels",
            "`labels` must be a list, each item a text of 1 to 3 characters",
        ),
        (
            json!({ "query": "x", "mode": "pdf" }),
            "mode",
            "`mode` must be one of text, html",
        ),
        (
            json!({ "query": "x", "max_results": 5 }),
            "max_results",
            "unknown argument `max_results`",
        ),
    ] {
        let error = checked(arguments.clone()).unwrap_err();
        assert_eq!(error.code.as_str(), "invalid_argument", "{arguments}");
        assert_eq!(error.field.as_deref(), Some(field), "{arguments}");
        assert_eq!(error.message, message, "{arguments}");
    }
}

#[test]
fn an_unknown_argument_is_answered_with_the_known_ones() {
    let error = checked(json!({ "query": "x", "limit": 5 })).unwrap_err();
    let hint = error.hint.unwrap();
    for name in ["query", "maxResults", "pageToken", "shared", "labels", "mode"] {
        assert!(hint.contains(name), "{hint}");
    }
}

#[test]
fn an_output_schema_allows_the_output_or_an_error() {
    #[derive(serde::Serialize, JsonSchema)]
    struct Out {
        id: String,
    }
    let schema = output::<Out>();
    assert_eq!(
        schema["anyOf"],
        json!([{ "required": ["id"] }, { "required": ["error"] }])
    );
    assert_eq!(
        schema["properties"]["error"]["required"],
        json!(["code", "message"])
    );
    assert_eq!(schema.get("required"), None);
}
