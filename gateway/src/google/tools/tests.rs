//! The registry: names, order, schemas, and results of calls that never reach Google.

mod discovery;
mod fake;
mod results;

use serde_json::json;

use super::*;

#[test]
fn the_core_profile_is_these_thirteen_tools_in_this_order() {
    let registry = Registry::core();
    let names: Vec<_> = registry.tools().iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(
        names,
        [
            "whoami",
            "test_auth",
            "gmail_search",
            "gmail_list",
            "gmail_get",
            "calendar_list_events",
            "calendar_get_event",
            "drive_search",
            "drive_list",
            "drive_get_content",
            "docs_get_content",
            "sheets_get_values",
            "sheets_get_metadata",
        ]
    );
}

#[test]
fn the_tools_as_clients_see_them() {
    insta::assert_json_snapshot!(Registry::core().tools());
}

#[test]
fn every_tool_is_announced_as_a_harmless_read() {
    for tool in Registry::core().tools() {
        let annotations = serde_json::to_value(&tool.annotations).unwrap();
        assert_eq!(annotations["readOnlyHint"], json!(true), "{}", tool.name);
        assert_eq!(annotations["destructiveHint"], json!(false));
        assert_eq!(annotations["idempotentHint"], json!(true));
        assert_eq!(annotations["openWorldHint"], json!(true));
        assert!(tool.title.as_ref().is_some_and(|title| !title.is_empty()));
        assert!(tool.description.as_ref().is_some_and(|text| text.len() > 40));
    }
}

/// What TypeScript SDK 1.x and strict clients need of every schema (one bad tool empties their list).
#[test]
fn no_schema_holds_what_clients_choke_on() {
    fn walk(parent: &str, value: &Value) {
        if let Value::Object(members) = value {
            for (name, member) in members {
                let path = format!("{parent}/{name}");
                // A property may be called `format`; a schema's keyword may not.
                let is_keyword = !parent.ends_with("/properties");
                let refused = ["$ref", "$schema", "$defs", "format", "nullable"];
                assert!(!is_keyword || !refused.contains(&name.as_str()), "{path}");
                assert!(!member.is_null(), "{path}");
                if name == "type" {
                    let names = member.as_array().cloned().unwrap_or(vec![member.clone()]);
                    assert!(!names.contains(&json!("null")), "{path}");
                }
                if name == "properties" {
                    for (property, schema) in member.as_object().unwrap() {
                        assert!(schema.is_object(), "{path}/{property}");
                    }
                }
                walk(&path, member);
            }
        } else if let Value::Array(items) = value {
            for item in items {
                walk(parent, item);
            }
        }
    }
    for tool in Registry::core().tools() {
        let input = tool.schema_as_json_value();
        assert_eq!(input["type"], "object", "{}", tool.name);
        assert_eq!(input["additionalProperties"], json!(false), "{}", tool.name);
        for (name, property) in input["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{}: {name}", tool.name);
        }
        walk(&tool.name, &input);
        let output = Value::Object(tool.output_schema.as_deref().unwrap().clone());
        assert_eq!(output["type"], "object", "{}", tool.name);
        walk(&tool.name, &output);
    }
}
