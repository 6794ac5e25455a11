//! Legacy sessions: sealed ids that any task serves, bound to their user, ended only by their user.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Setup, start};

#[tokio::test]
async fn every_legacy_version_is_negotiated_and_an_unknown_one_gets_the_newest() {
    let app = start().await;
    let token = app.token("1001");
    for (asked, granted) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let answer = app.post(&token, None, &crate::support::initialize(asked)).await;
        assert_eq!(answer.json()["result"]["protocolVersion"], granted, "{asked}");
        let session = answer.session.expect("a session id");
        assert_eq!(
            app.call(&token, &session, "tools/list", json!({}))
                .await
                .tool_names()
                .len(),
            13
        );
    }
}

/// T24.
#[tokio::test]
async fn the_same_session_serves_on_another_task_with_the_same_secret() {
    let (one, two) = (start().await, start().await);
    let session = one.initialize(&one.token("1001")).await;
    // The other task has never seen the session, nor its row.
    let answer = two
        .call(&two.token("1001"), &session, "tools/list", json!({}))
        .await;
    assert_eq!(answer.tool_names().len(), 13);
}

/// T26.
#[tokio::test]
async fn another_users_session_is_404_on_every_method() {
    let app = start().await;
    let (ana, ben) = (app.token("1001"), app.token("1002"));
    let session = app.initialize(&ana).await;
    assert_eq!(
        app.call(&ben, &session, "tools/list", json!({})).await.error(),
        (404, -32001)
    );
    for method in [Method::GET, Method::DELETE] {
        let request = app
            .request(method, "/mcp", &ben)
            .header("mcp-session-id", &session);
        assert_eq!(
            Answer::read(request.send().await.unwrap()).await.error(),
            (404, -32001)
        );
    }
    assert_eq!(
        app.call(&ana, &session, "tools/list", json!({}))
            .await
            .tool_names()
            .len(),
        13
    );
}

#[tokio::test]
async fn damaged_session_ids_are_404() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let mut flipped = session.clone().into_bytes();
    flipped[40] = if flipped[40] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let truncated = session.get(..session.len() - 3).unwrap();
    for id in ["junk", "", truncated, &flipped, &"x".repeat(5_000)] {
        let answer = app.call(&token, id, "tools/list", json!({})).await;
        assert_eq!(answer.error(), (404, -32001), "{id:.40}");
    }
}

#[tokio::test]
async fn delete_ends_a_session_for_good() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let delete = app
        .request(Method::DELETE, "/mcp", &token)
        .header("mcp-session-id", &session);
    assert_eq!(delete.send().await.unwrap().status(), 204);
    assert_eq!(
        app.call(&token, &session, "tools/list", json!({})).await.error(),
        (404, -32001)
    );
    // `initialize` with the dead id in the header starts a new session all the same.
    let answer = app
        .post(&token, Some(&session), &crate::support::initialize("2025-11-25"))
        .await;
    assert!(answer.is_success() && answer.session.is_some_and(|new| new != session));
}

#[tokio::test]
async fn an_idle_session_loses_its_row_but_never_its_service() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let level = json!({"level": "warning"});
    assert!(
        app.call(&token, &session, "logging/setLevel", level)
            .await
            .is_success()
    );
    let key = gateway::session::directory::SessionKey::of(&session).text();
    let row = app.app.store.session(&key).await.unwrap().expect("a row");
    assert_eq!(row.log_level.as_deref(), Some("warning"));
    app.clock.advance(Duration::from_mins(31));
    assert!(
        app.app.store.session(&key).await.unwrap().is_none(),
        "the row is expired by the clock"
    );
    assert_eq!(
        app.call(&token, &session, "tools/list", json!({}))
            .await
            .tool_names()
            .len(),
        13
    );
}

#[tokio::test]
async fn a_request_without_a_session_is_served_as_far_as_it_needs_none() {
    let app = start().await;
    let token = app.token("1001");
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(app.post(&token, None, &list).await.tool_names().len(), 13);
}

#[tokio::test]
async fn the_list_is_the_same_thirteen_names_in_both_eras_every_time() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let first = app.call(&token, &session, "tools/list", json!({})).await;
    let mut sorted = first.tool_names();
    sorted.sort();
    let expected = [
        "calendar_get_event",
        "calendar_list_events",
        "docs_get_content",
        "drive_get_content",
        "drive_list",
        "drive_search",
        "gmail_get",
        "gmail_list",
        "gmail_search",
        "sheets_get_metadata",
        "sheets_get_values",
        "test_auth",
        "whoami",
    ];
    assert_eq!(sorted, expected);
    for _ in 0..20 {
        assert_eq!(
            app.call(&token, &session, "tools/list", json!({})).await.text,
            first.text
        );
    }
    let modern = app.modern(&token, "tools/list", json!({})).await;
    assert_eq!(modern.tool_names(), first.tool_names());
    let result = &modern.json()["result"];
    assert_eq!(
        (&result["resultType"], &result["cacheScope"]),
        (&json!("complete"), &json!("private"))
    );
    assert!(result["ttlMs"].is_u64());
}

/// S1, S2.
#[tokio::test]
async fn a_session_of_one_task_is_served_by_another_and_outlives_the_first() {
    let first = start().await;
    let second = Setup::default().start_beside(&first).await;
    let token = first.token("ana");
    let session = first.initialize(&token).await;
    for _ in 0..10 {
        for task in [&first, &second] {
            let answer = task.call(&token, &session, "tools/list", json!({})).await;
            assert_eq!(answer.tool_names().len(), 13);
        }
    }
    drop(first);
    let answer = second.call(&token, &session, "tools/list", json!({})).await;
    assert_eq!(answer.tool_names().len(), 13);
}
