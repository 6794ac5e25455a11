//! What one person may take of a task.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Setup;

/// One more call than there may be is told so in a result: clients do not repeat a request that failed.
#[tokio::test]
async fn a_person_with_enough_calls_at_work_is_told_to_wait_and_nobody_else_is() {
    let setup = Setup::default().env("TEST_TOOLS", "1");
    let app = setup.env("MAX_CALLS_PER_USER", "2").start().await;
    let slow = |ms: u64| json!({"name": "test_slow", "arguments": {"ms": ms, "steps": 0}});
    let (ana, ben) = (app.token("1001"), app.token("1002"));
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(app.initialize(&ana).await);
    }
    let of_ben = app.initialize(&ben).await;
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let refused = app.call(&ana, &sessions[2], "tools/call", slow(1)).await;
        let result = &refused.json()["result"];
        assert_eq!(
            (refused.status, &result["isError"]),
            (200, &Value::Bool(true)),
            "{refused:?}"
        );
        let error = &result["structuredContent"]["error"];
        assert_eq!(error["code"], "rate_limited");
        assert!(
            error["retryAfterMs"].as_u64().is_some_and(|wait| wait > 0),
            "{error}"
        );
        let modern = app.modern(&ana, "tools/call", slow(1)).await.json();
        assert_eq!(
            modern["result"]["structuredContent"]["error"]["code"], "rate_limited",
            "{modern}"
        );
        let other = app.call(&ben, &of_ben, "tools/call", slow(1)).await.json();
        assert_ne!(other["result"]["isError"], true, "{other}");
    };
    let at_work = async |session: &str| app.call(&ana, session, "tools/call", slow(1_000)).await.json();
    let (first, second, ()) = tokio::join!(at_work(&sessions[0]), at_work(&sessions[1]), later);
    for answer in [first, second] {
        assert_ne!(answer["result"]["isError"], true, "{answer}");
    }
    let again = app.call(&ana, &sessions[2], "tools/call", slow(1)).await.json();
    assert_ne!(again["result"]["isError"], true, "{again}");
}
