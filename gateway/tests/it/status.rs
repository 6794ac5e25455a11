//! What operators and load balancers read.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Setup, start};

/// O8: the shape that dashboards rely on, and what `curl -I` and load balancers send.
#[tokio::test]
async fn health_has_its_fields_and_answers_head() {
    let app = start().await;
    let health = app.get_json("/health").await;
    assert_eq!(
        (&health["status"], &health["ok"], &health["draining"]),
        (&json!("ok"), &json!(true), &json!(false))
    );
    for number in ["activeConnections", "uptime"] {
        assert!(health[number].is_u64(), "{number}: {health}");
    }
    for number in ["sseKeepAliveInterval", "oldestConnection", "averageAge"] {
        assert!(health["connections"][number].is_u64(), "{number}: {health}");
    }
    let time: jiff::Timestamp = health["timestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(time, app.clock.now());
    // Load balancers send an address as host, and `HEAD` costs them less.
    for path in ["/health", "/ready"] {
        for method in [Method::GET, Method::HEAD] {
            let request = app
                .http
                .request(method.clone(), format!("{}{path}", app.url))
                .header("host", "10.0.0.7:3000");
            let answer = Answer::read(request.send().await.unwrap()).await;
            assert_eq!(
                (answer.status, answer.text.is_empty()),
                (200, method == Method::HEAD),
                "{method} {path}"
            );
            assert_eq!(answer.header("content-type"), "application/json");
        }
    }
    app.clock.advance(std::time::Duration::from_secs(90));
    assert_eq!(app.get_json("/health").await["uptime"], 90);
}

/// T10, O7: every layer is there, and each is shorter than the one that must outlive it.
#[tokio::test]
async fn the_status_lists_every_timeout_in_an_order_that_works() {
    let app = Setup::default().env("REQUEST_TIMEOUT", "120000").start().await;
    let status = app.get_json("/status").await;
    for text in ["version", "gitSha", "rmcpVersion"] {
        assert!(
            status[text].as_str().is_some_and(|text| !text.is_empty()),
            "{text}: {status}"
        );
    }
    let timeouts = status["timeouts"].as_array().unwrap();
    let ms = |name: &str| {
        let found = timeouts
            .iter()
            .find(|timeout| timeout["name"].as_str().unwrap().contains(name));
        let found = found.unwrap_or_else(|| panic!("no {name} in {status}"));
        assert!(
            found["rule"].as_str().is_some_and(|rule| !rule.is_empty()),
            "{found}"
        );
        found["ms"].clone()
    };
    let limit = |name: &str| ms(name).as_u64().unwrap();
    let (comment, balancer, idle) = (
        limit("SSE_KEEPALIVE_INTERVAL"),
        limit("load balancer idle"),
        limit("KEEP_ALIVE_TIMEOUT"),
    );
    assert!(comment * 3 < balancer && balancer < idle, "{status}");
    assert!(
        comment * 4 <= 60_000,
        "the shortest idle timeout on any path is 60 s"
    );
    assert_eq!(
        (comment, balancer, limit("TCP_KEEPALIVE"), limit("HEADER_TIMEOUT")),
        (15_000, 300_000, 10_000, 10_000)
    );
    assert!(idle >= 310_000);
    assert!(limit("SLOW_AFTER") < limit("REQUEST_TIMEOUT"));
    assert!(limit("DRAIN_TIMEOUT") < 120_000, "before ECS kills the task");
    assert_eq!(
        limit("REQUEST_TIMEOUT"),
        120_000,
        "the value in force, not the default"
    );
    assert_eq!(
        (ms("age of a connection"), ms("age of a stream")),
        (Value::Null, Value::Null)
    );
}

/// The landing page and the numbers behind it need no login and name no person.
#[tokio::test]
async fn public_pages_tell_nothing_about_people() {
    let app = start().await;
    let token = app.token("4242424242");
    let session = app.initialize(&token).await;
    let mut stream = crate::support::raw::Raw::open_stream(&app, &token, Some(&session), "/mcp").await;
    stream
        .read_until(": keep-alive", std::time::Duration::from_secs(1))
        .await;
    assert_eq!(app.get_json("/status").await["streams"], 1);
    for path in ["/", "/health", "/ready", "/status"] {
        let answer = Answer::read(app.http.get(format!("{}{path}", app.url)).send().await.unwrap()).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            !answer.text.contains("4242424242") && !answer.text.contains(&session),
            "{path}"
        );
    }
}
