//! Both eras on both paths: discover, list, call, listen, and the rules about headers and sessions.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::raw::{self, Raw};
use crate::support::{Answer, TestApp, modern_meta, start};

/// A modern `tools/list` whose headers and `_meta` a test has changed.
async fn modern(app: &TestApp, headers: &[(&'static str, &str)], message: &Value) -> Answer {
    let request = app
        .request(Method::POST, "/mcp", &app.token("1001"))
        .json(message);
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    Answer::read(request.send().await.unwrap()).await
}

fn list(meta: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}})
}

/// T8.
#[tokio::test]
async fn both_paths_serve_both_eras() {
    let app = start().await;
    for path in ["/mcp", "/mcp/sse"] {
        let token = app.token_for("1001", path);
        let session = app.initialize_at(path, &token).await;
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        let legacy = app
            .request(Method::POST, path, &token)
            .header("mcp-session-id", &session)
            .json(&message);
        let modern = app
            .request(Method::POST, path, &token)
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/list")
            .json(&list(&modern_meta()));
        for request in [legacy, modern] {
            let answer = Answer::read(request.send().await.unwrap()).await;
            assert_eq!(answer.tool_names().len(), 13, "{path}");
        }
    }
}

/// T9.
#[tokio::test]
async fn only_initialize_starts_a_session() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    for _ in 0..2 {
        let answer = app.call(&token, &session, "tools/list", json!({})).await;
        assert_eq!((answer.tool_names().len(), answer.session), (13, None));
    }
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let answer = app.post(&token, Some(&session), &initialized).await;
    assert_eq!(
        (answer.status, answer.text.as_str(), answer.session),
        (202, "", None)
    );
    let second = app.initialize(&token).await;
    assert_ne!(session, second);
    // The first one is not replaced by the second.
    let answer = app.call(&token, &session, "tools/list", json!({})).await;
    assert_eq!(answer.tool_names().len(), 13);
    let answer = app.modern(&token, "tools/list", json!({})).await;
    assert_eq!(answer.session, None, "the modern era has no sessions");
}

/// T9: whatever a client does first, it is never told that the server is not initialised.
#[tokio::test]
async fn calls_before_initialized_and_without_a_session_are_served() {
    let app = start().await;
    let token = app.token("1001");
    let answer = app
        .post(&token, None, &crate::support::initialize("2025-11-25"))
        .await;
    let session = answer.session.unwrap();
    for session in [Some(session.as_str()), None] {
        for method in [
            "ping",
            "tools/list",
            "resources/list",
            "prompts/list",
            "resources/templates/list",
        ] {
            let message = json!({"jsonrpc": "2.0", "id": "x", "method": method});
            let answer = app.post(&token, session, &message).await;
            assert!(
                answer.json()["result"].is_object() && answer.status == 200,
                "{method}: {answer:?}"
            );
        }
    }
}

/// T18.
#[tokio::test]
async fn discover_tells_versions_capabilities_and_who_answers() {
    let app = start().await;
    let answer = app.modern(&app.token("1001"), "server/discover", json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let result = &answer.json()["result"];
    let versions = json!([
        "2026-07-28",
        "2025-11-25",
        "2025-06-18",
        "2025-03-26",
        "2024-11-05"
    ]);
    assert_eq!(result["supportedVersions"], versions);
    assert!(result["capabilities"]["tools"].is_object(), "{result}");
    assert!(
        result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].is_string(),
        "{result}"
    );
    assert_eq!(result["resultType"], "complete");
    assert!(
        result["ttlMs"].is_u64() && result["cacheScope"].is_string(),
        "{result}"
    );
}

/// T18: a call in the modern era has the fields of that era, and in the legacy era it has not.
#[tokio::test]
async fn a_call_is_answered_in_the_words_of_its_era() {
    let app = start().await;
    let token = app.token("1001");
    let modern = app
        .modern(&token, "tools/call", json!({"name": "whoami", "arguments": {}}))
        .await;
    let result = &modern.json()["result"];
    assert_eq!(result["resultType"], "complete", "{result}");
    assert!(
        result["_meta"]["io.modelcontextprotocol/serverInfo"].is_object(),
        "{result}"
    );
    let session = app.initialize(&token).await;
    let legacy = app
        .call(&token, &session, "tools/call", json!({"name": "whoami"}))
        .await;
    let result = &legacy.json()["result"];
    assert!(result["content"].is_array(), "{result}");
    for field in ["resultType", "ttlMs", "cacheScope"] {
        assert!(result.get(field).is_none(), "{field}: {result}");
    }
}

/// T18.
#[tokio::test]
async fn a_header_that_contradicts_the_body_is_named() {
    let app = start().await;
    let version = ("mcp-protocol-version", "2026-07-28");
    let method = ("mcp-method", "tools/list");
    let good = list(&modern_meta());
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "whoami", "arguments": {}, "_meta": modern_meta()}});
    let calling = ("mcp-method", "tools/call");
    let rows: [(&[_], &Value); 8] = [
        (&[version], &good),
        (&[version, ("mcp-method", "tools/call")], &good),
        (&[version, ("mcp-method", "Tools/List")], &good),
        (&[version, method, method], &good),
        (&[method], &good),
        (&[("mcp-protocol-version", "2025-11-25"), method], &good),
        (&[version, calling], &call),
        (&[version, calling, ("mcp-name", "test_auth")], &call),
    ];
    for (headers, message) in rows {
        let answer = modern(&app, headers, message).await;
        assert_eq!(answer.error(), (400, -32020), "{headers:?}");
        assert_eq!(answer.json()["id"], 1, "the answer says to what");
    }
    assert_eq!(
        modern(&app, &[version, method], &good).await.tool_names().len(),
        13
    );
    let encoded = ("mcp-name", "=?base64?d2hvYW1p?=");
    assert_eq!(
        modern(&app, &[version, calling, encoded], &call).await.status,
        200
    );
}

/// T18.
#[tokio::test]
async fn an_unknown_version_is_refused_with_the_known_ones() {
    let app = start().await;
    let mut meta = modern_meta();
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2031-01-01");
    let headers = [
        ("mcp-protocol-version", "2031-01-01"),
        ("mcp-method", "tools/list"),
    ];
    let plain = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    for message in [list(&meta), plain] {
        let answer = modern(&app, &headers, &message).await;
        assert_eq!(answer.error(), (400, -32022));
        let data = &answer.json()["error"]["data"];
        assert_eq!(
            (&data["requested"], &data["supported"][0]),
            (&json!("2031-01-01"), &json!("2026-07-28"))
        );
    }
}

/// T18.
#[tokio::test]
async fn a_modern_request_without_its_meta_is_invalid() {
    let app = start().await;
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/list"),
    ];
    let no_capabilities = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    for meta in [json!({}), no_capabilities, json!(null), json!(7)] {
        assert_eq!(
            modern(&app, &headers, &list(&meta)).await.error(),
            (400, -32602),
            "{meta}"
        );
    }
}

/// T18: what the modern era dropped does not exist in it.
#[tokio::test]
async fn methods_of_the_legacy_era_are_404_in_the_modern_one() {
    let app = start().await;
    let token = app.token("1001");
    for method in [
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "initialize",
        "tasks/list",
    ] {
        assert_eq!(
            app.modern(&token, method, json!({})).await.error(),
            (404, -32601),
            "{method}"
        );
    }
}

/// T18.
#[tokio::test]
async fn two_listens_of_one_client_are_told_apart_by_their_ids() {
    let app = start().await;
    let token = app.token("1001");
    let headers = "mcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\n";
    for id in [json!(7), json!("a \"quoted\" id")] {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "subscriptions/listen",
            "params": {"_meta": modern_meta(), "notifications": {"toolsListChanged": true}}});
        let mut raw = Raw::connect(&app).await;
        raw.send(&raw::post(&app, "/mcp", &token, headers, &message))
            .await;
        let text = raw
            .read_until("acknowledged", std::time::Duration::from_secs(1))
            .await
            .to_owned();
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let message: Value = serde_json::from_str(data).unwrap();
        assert_eq!(
            message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
            id
        );
    }
    let nonsense = app
        .modern(&token, "subscriptions/listen", json!({"notifications": 7}))
        .await;
    assert_eq!(nonsense.error().1, -32602);
}

/// A resume of a stream that is over is 405, which ends a client's tries quietly; without a session there is
/// nothing to resume, and in the modern era the header means nothing.
#[tokio::test]
async fn last_event_id_never_opens_an_endless_stream_of_nothing() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let get = |session: &str| {
        app.request(Method::GET, "/mcp", &token)
            .header("mcp-session-id", session)
            .header("last-event-id", "17")
    };
    assert_eq!(get(&session).send().await.unwrap().status(), 405);
    let foreign = app.initialize(&app.token("1002")).await;
    assert_eq!(
        get(&foreign).send().await.unwrap().status(),
        404,
        "whose it is comes first"
    );
    let modern = app
        .modern_request(&token, "tools/list", json!({}))
        .header("last-event-id", "17");
    assert_eq!(
        Answer::read(modern.send().await.unwrap())
            .await
            .tool_names()
            .len(),
        13
    );
}
