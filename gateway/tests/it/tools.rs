//! The thirteen tools over the wire: their list, their results after a rest, and every failure of Google.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::google::{end_fault, fault, fault_once, fresh_account, journal};
use crate::support::{Setup, start};

/// G1: what clients need of each tool, and what would make them throw the whole list away.
#[tokio::test]
async fn every_tool_has_a_title_a_schema_and_says_that_it_only_reads() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let legacy = app.call(&token, &session, "tools/list", json!({})).await.json();
    let modern = app.modern(&token, "tools/list", json!({})).await.json();
    assert_eq!(
        legacy["result"]["tools"], modern["result"]["tools"],
        "both eras see the same tools"
    );
    assert!(legacy["result"].get("nextCursor").is_none(), "{legacy}");
    let tools = legacy["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 13);
    for tool in tools {
        for text in ["name", "title", "description"] {
            assert!(
                tool[text].as_str().is_some_and(|text| !text.is_empty()),
                "{text}: {tool}"
            );
        }
        for schema in ["inputSchema", "outputSchema"] {
            assert_eq!(tool[schema]["type"], "object", "{schema}: {tool}");
            assert!(!tool[schema].to_string().contains("\"$ref\":\"http"), "{tool}");
        }
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert_ne!(tool["annotations"]["destructiveHint"], true, "{tool}");
        assert!(
            !tool.to_string().contains(":null"),
            "clients refuse null fields: {tool}"
        );
    }
}

/// G6.
#[tokio::test]
async fn the_status_counts_the_tools_of_each_profile() {
    let app = start().await;
    assert_eq!(app.get_json("/status").await["tools"], json!({"core": 13}));
}

/// G2: half an hour of silence changes nothing, whether the session's row is still there or not.
#[tokio::test]
async fn mail_and_calendar_work_in_the_same_session_after_a_long_rest() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let tokens = app.login(&account.email).await;
    let session = app.initialize(&tokens.access).await;
    for _ in 0..2 {
        for name in ["gmail_list", "calendar_list_events"] {
            let params = json!({"name": name, "arguments": {}});
            let answer = app.call(&tokens.access, &session, "tools/call", params).await;
            let result = &answer.json()["result"];
            assert_ne!(result["isError"], true, "{name}: {result}");
            assert!(answer.text.contains(&account.email), "{name}: {result}");
        }
        app.clock.advance(Duration::from_mins(40));
    }
}

/// G5: each failure has its code, says what to do, and leaves session and connection as they were.
#[tokio::test]
async fn every_failure_of_google_is_a_result_with_its_code() {
    let app = Setup::default()
        .google()
        .env("REQUEST_TIMEOUT", "2000")
        .env("SLOW_AFTER", "1500")
        .start()
        .await;
    let account = fresh_account();
    let tokens = app.login(&account.email).await;
    let session = app.initialize(&tokens.access).await;
    let list = async || {
        let params = json!({"name": "drive_list", "arguments": {}});
        let answer = app.call(&tokens.access, &session, "tools/call", params).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["result"].clone()
    };
    let status = |status: u16, reason: &str| json!({"kind": "status", "status": status, "reason": reason});
    let rows = [
        // A login that Google refuses even after a refresh.
        (json!({"kind": "expired"}), "reauth_required"),
        (status(403, "forbidden"), "permission_denied"),
        (status(403, "insufficientPermissions"), "insufficient_scope"),
        (status(403, "accessNotConfigured"), "api_not_enabled"),
        (status(403, "dailyLimitExceeded"), "rate_limited"),
        (json!({"kind": "rate_limit", "retryAfter": 60}), "rate_limited"),
        (json!({"kind": "not_found"}), "not_found"),
        (status(400, "badRequest"), "invalid_argument"),
        (
            json!({"kind": "unavailable", "retryAfter": 60}),
            "upstream_unavailable",
        ),
        (
            json!({"kind": "status", "status": 500, "body": "<h1>oops</h1>", "retryAfter": 60}),
            "upstream_unavailable",
        ),
        (
            json!({"kind": "status", "status": 200, "body": "<h1>hello</h1>"}),
            "upstream_unavailable",
        ),
        (json!({"kind": "reset"}), "upstream_unavailable"),
        (json!({"kind": "truncate"}), "upstream_unavailable"),
        (json!({"kind": "blackhole"}), "timeout"),
        (json!({"kind": "drip", "bytes": 1, "ms": 100}), "timeout"),
    ];
    for (kind, code) in rows {
        let id = fault(&account.email, "/drive/v3/files", kind.clone()).await;
        let result = list().await;
        end_fault(&id).await;
        assert_eq!(result["isError"], true, "{kind}: {result}");
        let error = &result["structuredContent"]["error"];
        assert_eq!(error["code"], code, "{kind}: {result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(code), "the model reads the code as well: {text}");
        assert!(!error["message"].as_str().unwrap().contains('<'), "{error}");
        if code == "rate_limited" {
            assert!(error["retryAfterMs"].as_u64().unwrap() >= 1_000, "{error}");
        }
        let after = list().await;
        assert_ne!(after["isError"], true, "after {kind}: {after}");
    }
}

/// G5, A11: the one failure of a moment that the caller need not know of.
#[tokio::test]
async fn a_failure_of_a_moment_is_asked_again() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let tokens = app.login(&account.email).await;
    for kind in [
        "internal",
        "unavailable",
        "rate_limit",
        "reset",
        "truncate",
        "expired",
    ] {
        fault_once(
            &account.email,
            "/drive/v3/files",
            json!({"kind": kind, "retryAfter": 0}),
        )
        .await;
        let result = app.tool(&tokens.access, "drive_list", json!({})).await;
        assert_ne!(result["isError"], true, "{kind}: {result}");
    }
    let asked = journal(&account.email)
        .await
        .into_iter()
        .filter(|entry| entry["path"] == "/drive/v3/files");
    assert_eq!(asked.count(), 12, "each once in vain and once for good");
}

/// Arguments that a model may invent are named with the field, and nothing is asked of Google.
#[tokio::test]
async fn wrong_arguments_are_results_that_name_the_field() {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let tokens = app.login(&account.email).await;
    let before = journal(&account.email).await.len();
    let rows = [
        ("gmail_search", json!({}), "query"),
        ("gmail_search", json!({"query": 7}), "query"),
        ("gmail_list", json!({"maxResults": 0}), "maxResults"),
        ("gmail_list", json!({"maxResults": 51}), "maxResults"),
        ("gmail_get", json!({"messageId": ""}), "messageId"),
        ("calendar_list_events", json!({"timeMin": "yesterday"}), "timeMin"),
        ("sheets_get_values", json!({"spreadsheetId": "x"}), "range"),
        ("drive_list", json!({"nonsense": true}), "nonsense"),
    ];
    for (name, arguments, field) in rows {
        let result = app.tool(&tokens.access, name, arguments.clone()).await;
        assert_eq!(result["isError"], true, "{name} {arguments}: {result}");
        let error: &Value = &result["structuredContent"]["error"];
        assert_eq!(error["code"], "invalid_argument", "{name} {arguments}: {result}");
        assert!(error.to_string().contains(field), "{name} {arguments}: {result}");
    }
    assert_eq!(
        journal(&account.email).await.len(),
        before,
        "Google was not asked"
    );
}
