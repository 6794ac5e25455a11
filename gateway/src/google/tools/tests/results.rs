//! Calls of every tool against a server that answers like Google: what is asked, and what comes out.

use serde_json::{Value, json};

use super::fake::{arguments, google};
use crate::google::client::Limits;
use crate::google::testing::{Hit, Reply, SHORT, World, context, token_answer};
use crate::google::tools::{Registry, render};

async fn world(google: impl Fn(&Hit) -> Reply + Send + Sync + 'static) -> World {
    let world = World::new(SHORT, google).await;
    world.login("ana", 3600).await;
    world
}

/// The rules of the output schema that both a person and a validator can get wrong: required members,
/// types, and no member that the schema does not know.
fn conforms(path: &str, schema: &Value, value: &Value) {
    let name = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    let types = schema["type"]
        .as_array()
        .cloned()
        .unwrap_or(vec![schema["type"].clone()]);
    assert!(
        types.contains(&json!(name)) || (name == "integer" && types.contains(&json!("number"))),
        "{path}: {name}"
    );
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(
            value.get(required.as_str().unwrap()).is_some(),
            "{path}: {required} is missing"
        );
    }
    for (member, value) in value.as_object().into_iter().flatten() {
        let schema = schema["properties"].get(member);
        conforms(
            &format!("{path}/{member}"),
            schema.unwrap_or_else(|| panic!("{path}/{member} is unknown")),
            value,
        );
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(&format!("{path}[]"), &schema["items"], item);
    }
}

#[tokio::test]
async fn every_tool_answers_with_what_its_schema_promises() {
    let world = world(google).await;
    for tool in Registry::core().tools() {
        let (output, is_error) = world.call("ana", &tool.name, arguments(&tool.name)).await;
        assert!(!is_error, "{}: {output}", tool.name);
        let schema = Value::Object(tool.output_schema.as_deref().unwrap().clone());
        conforms(&tool.name, &schema, &output);
        let complete = schema["anyOf"][0]["required"].as_array().unwrap();
        assert!(
            complete
                .iter()
                .all(|name| output.get(name.as_str().unwrap()).is_some()),
            "{}",
            tool.name
        );
        assert!(!output.to_string().contains("ana-refresh"), "{}", tool.name);
    }
}

#[tokio::test]
async fn every_failure_of_google_is_an_error_with_a_stable_code_and_the_next_call_works() {
    let reasons = |reason: &str| json!({ "error": { "errors": [{ "reason": reason }], "message": "no" } });
    for (reply, code) in [
        (Reply::Json(401, json!({})), "reauth_required"),
        (
            Reply::Json(403, reasons("insufficientPermissions")),
            "insufficient_scope",
        ),
        (
            Reply::Json(403, reasons("accessNotConfigured")),
            "api_not_enabled",
        ),
        (Reply::Json(403, reasons("forbidden")), "permission_denied"),
        (Reply::Json(404, json!({})), "not_found"),
        (Reply::Json(429, json!({})), "rate_limited"),
        (Reply::Json(500, json!({})), "upstream_unavailable"),
        (Reply::Reset, "upstream_unavailable"),
        (Reply::Hang, "timeout"),
    ] {
        let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        let switch = broken.clone();
        let failure = reply.clone();
        let limits = Limits {
            attempt: std::time::Duration::from_millis(100),
            ..SHORT
        };
        let world = World::new(limits, move |hit| match hit.path.as_str() {
            "/token" => token_answer("ana-access-2"),
            _ if switch.load(std::sync::atomic::Ordering::SeqCst) => failure.clone(),
            _ => google(hit),
        })
        .await;
        world.login("ana", 3600).await;
        for tool in Registry::core().tools() {
            let (output, is_error) = world.call("ana", &tool.name, arguments(&tool.name)).await;
            assert!(is_error, "{} {reply:?}", tool.name);
            assert_eq!(output["error"]["code"], code, "{} {reply:?}", tool.name);
            let schema = Value::Object(tool.output_schema.as_deref().unwrap().clone());
            conforms(&tool.name, &schema, &output);
        }
        broken.store(false, std::sync::atomic::Ordering::SeqCst);
        let (_, is_error) = world.call("ana", "gmail_list", json!({})).await;
        assert!(!is_error, "after {reply:?}");
    }
}

#[tokio::test]
async fn two_people_in_parallel_read_only_their_own() {
    let world = world(google).await;
    world.login("bob", 3600).await;
    for tool in [
        "whoami",
        "calendar_list_events",
        "drive_search",
        "docs_get_content",
        "sheets_get_values",
    ] {
        let (ana, bob) = tokio::join!(
            world.call("ana", tool, arguments(tool)),
            world.call("bob", tool, arguments(tool))
        );
        assert!(
            ana.0.to_string().contains("ana-access") && !ana.0.to_string().contains("bob"),
            "{tool}"
        );
        assert!(
            bob.0.to_string().contains("bob-access") && !bob.0.to_string().contains("ana-"),
            "{tool}"
        );
    }
}

#[tokio::test]
async fn a_list_of_mails_keeps_its_order_and_survives_one_that_is_gone() {
    // The first mail comes last: Google is asked for it twice.
    let first = std::sync::atomic::AtomicBool::new(true);
    let world = world(move |hit| {
        let is_first = hit.path.ends_with("/m1") && first.swap(false, std::sync::atomic::Ordering::SeqCst);
        if is_first {
            return Reply::Json(503, json!({}));
        }
        google(hit)
    })
    .await;
    let (page, _) = world
        .call(
            "ana",
            "gmail_search",
            json!({ "query": "is:unread", "pageToken": "p1" }),
        )
        .await;
    let ids: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mail| mail["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["m1", "gone", "m3"]);
    assert_eq!(page["messages"][0]["from"], "テスト <ana@example.com>");
    assert_eq!(page["messages"][0]["snippet"], "It's time");
    assert_eq!(page["messages"][0]["receivedAt"], "2027-01-15T08:00:00Z");
    assert_eq!(page["messages"][1]["unavailable"], "not_found: Gmail: Not Found");
    assert_eq!(page["nextPageToken"], "p2");
    let asked = world.google.hits("/gmail/v1/users/me/messages");
    assert_eq!(asked[0].param("q"), Some("is:unread"));
    assert_eq!(asked[0].param("pageToken"), Some("p1"));
    assert_eq!(asked[0].param("maxResults"), Some("10"));
}

#[tokio::test]
async fn the_inbox_is_what_a_list_of_mails_shows_by_default() {
    let world = world(google).await;
    world.call("ana", "gmail_list", json!({ "maxResults": 3 })).await;
    world
        .call("ana", "gmail_list", json!({ "labelIds": ["SENT", "STARRED"] }))
        .await;
    let asked = world.google.hits("/gmail/v1/users/me/messages");
    let labels = |hit: &Hit| -> Vec<String> {
        let labels = hit.query.iter().filter(|(name, _)| name == "labelIds");
        labels.map(|(_, value)| value.clone()).collect()
    };
    assert_eq!(
        (labels(&asked[0]), asked[0].param("maxResults")),
        (vec!["INBOX".to_owned()], Some("3"))
    );
    assert_eq!(labels(&asked[1]), ["SENT", "STARRED"]);
}

#[tokio::test]
async fn a_long_body_is_fetched_apart_and_cut_with_the_next_offset() {
    let world = world(google).await;
    let (mail, _) = world
        .call(
            "ana",
            "gmail_get",
            json!({ "messageId": "m1", "maxChars": 2, "offset": 1 }),
        )
        .await;
    assert_eq!(mail["text"], "el");
    assert_eq!(
        (&mail["totalChars"], &mail["nextOffset"], &mail["truncated"]),
        (&json!(5), &json!(3), &json!(true))
    );
    assert_eq!(mail["bodyForm"], "plain");
    assert_eq!(
        mail["attachments"],
        json!([{ "filename": "plan.pdf", "mimeType": "application/pdf", "size": 9, "attachmentId": "a1" }])
    );
    let (headers, _) = world
        .call(
            "ana",
            "gmail_get",
            json!({ "messageId": "m1", "format": "metadata" }),
        )
        .await;
    assert_eq!(headers["subject"], "Plan");
    assert_eq!(headers.get("text"), None);
}

#[tokio::test]
async fn a_list_of_events_asks_for_single_events_by_start_from_now_for_a_week() {
    let world = world(google).await;
    let (page, _) = world
        .call(
            "ana",
            "calendar_list_events",
            json!({ "timeZone": "UTC", "query": "lunch" }),
        )
        .await;
    let asked = &world.google.hits("/calendar/v3/calendars/primary/events")[0];
    for (name, value) in [
        ("singleEvents", "true"),
        ("orderBy", "startTime"),
        ("timeMin", "2027-01-15T08:00:00Z"),
        ("timeMax", "2027-01-22T08:00:00Z"),
        ("timeZone", "UTC"),
        ("q", "lunch"),
    ] {
        assert_eq!(asked.param(name), Some(value), "{name}");
    }
    assert_eq!(page["timeMin"], "2027-01-15T08:00:00Z");
    assert_eq!(page["events"][0]["start"], json!({ "date": "2027-01-15" }));
}

#[tokio::test]
async fn a_search_for_files_covers_shared_drives_unless_told_otherwise() {
    let world = world(google).await;
    world
        .call("ana", "drive_search", json!({ "query": "it's" }))
        .await;
    world.call("ana", "drive_list", json!({ "driveId": "0A" })).await;
    world
        .call("ana", "drive_list", json!({ "includeSharedDrives": false }))
        .await;
    let asked = world.google.hits("/drive/v3/files");
    for (hit, query, corpora, drive, shared) in [
        (
            &asked[0],
            r"fullText contains 'it\'s' and trashed = false",
            "allDrives",
            None,
            "true",
        ),
        (
            &asked[1],
            "'0A' in parents and trashed = false",
            "drive",
            Some("0A"),
            "true",
        ),
        (
            &asked[2],
            "'root' in parents and trashed = false",
            "user",
            None,
            "false",
        ),
    ] {
        assert_eq!(hit.param("q"), Some(query));
        assert_eq!(hit.param("corpora"), Some(corpora));
        assert_eq!(hit.param("driveId"), drive);
        assert_eq!(hit.param("includeItemsFromAllDrives"), Some(shared));
        assert_eq!(hit.param("supportsAllDrives"), Some("true"));
    }
}

#[tokio::test]
async fn a_file_is_read_by_its_charset_through_shortcuts_and_never_as_bytes() {
    let world = world(google).await;
    let read = |id: &'static str| world.call("ana", "drive_get_content", json!({ "fileId": id }));
    assert_eq!(read("f1").await.0["text"], "café");
    let (sheet, _) = read("link").await;
    assert_eq!(
        (&sheet["id"], &sheet["text"], &sheet["convertedTo"]),
        (&json!("sheet"), &json!("a,b"), &json!("text/csv"))
    );
    assert!(sheet["note"].as_str().unwrap().contains("sheets_get_values"));
    let (pdf, is_error) = read("pdf").await;
    assert!(!is_error && pdf.get("text").is_none() && pdf["note"].as_str().unwrap().contains("binary"));
    let (huge, is_error) = read("huge").await;
    assert!(is_error);
    assert_eq!(huge["error"]["code"], "too_large");
    assert!(
        huge["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("https://example.com/huge")
    );
    assert_eq!(
        world.google.hits("/drive/v3/files/huge").len(),
        1,
        "nothing is downloaded"
    );
}

#[tokio::test]
async fn a_document_comes_with_all_tabs_or_one_and_a_wrong_tab_is_answered_with_the_right_ones() {
    let world = world(google).await;
    let (all, _) = world
        .call("ana", "docs_get_content", json!({ "documentId": "d1" }))
        .await;
    assert_eq!(
        all["text"],
        "=== Tab: Main (t.0) ===\n\nHello\n\n=== Tab: Notes (t.1) ===\n\n"
    );
    let (one, _) = world
        .call(
            "ana",
            "docs_get_content",
            json!({ "documentId": "d1", "tabId": "t.0" }),
        )
        .await;
    assert_eq!(one["text"], "Hello");
    let (none, is_error) = world
        .call(
            "ana",
            "docs_get_content",
            json!({ "documentId": "d1", "tabId": "x" }),
        )
        .await;
    assert!(is_error);
    assert_eq!(none["error"]["field"], "tabId");
    assert_eq!(none["error"]["hint"], "its tabs are: t.0 (Main), t.1 (Notes)");
}

#[tokio::test]
async fn test_auth_tells_what_is_granted_and_missing_and_no_token() {
    let world = world(google).await;
    let (state, _) = world.call("ana", "test_auth", json!({})).await;
    assert_eq!(state["authenticated"], json!(true));
    assert_eq!(state["expiresInSeconds"], json!(3600));
    assert_eq!(state["refreshable"], json!(true));
    assert_eq!(state["missingScopes"].as_array().unwrap().len(), 4);
    assert!(
        state["scopes"]
            .as_array()
            .unwrap()
            .contains(&json!("https://www.googleapis.com/auth/gmail.readonly"))
    );
}

#[tokio::test]
async fn bad_arguments_never_reach_google_and_the_text_says_the_same_as_the_data() {
    let world = world(google).await;
    let (context, _events) = context("ana");
    let call = crate::google::client::Call::new(&world.client, &context);
    let Value::Object(arguments) = json!({ "query": "x", "maxResults": 51 }) else {
        unreachable!()
    };
    let result = Registry::core()
        .call(&call, "gmail_search", arguments)
        .await
        .unwrap();
    let content = result.structured_content.unwrap();
    assert_eq!(
        content["error"],
        json!({ "code": "invalid_argument", "field": "maxResults", "message": "`maxResults` must be a whole number from 1 to 50" })
    );
    let text = serde_json::to_value(&result.content).unwrap();
    assert_eq!(text[0]["text"], render::text(&content));
    assert!(world.google.hits("/gmail/v1/users/me/messages").is_empty());
    assert!(
        Registry::core()
            .call(&call, "gmail_send", serde_json::Map::new())
            .await
            .is_none()
    );
}
