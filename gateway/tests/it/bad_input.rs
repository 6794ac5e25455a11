//! What is not a good request gets the documented status and body, never a 5xx, and does no harm.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::raw::Raw;
use crate::support::{Answer, Setup, keys, start};

#[tokio::test]
async fn without_a_good_token_the_answer_is_401_with_the_way_to_one() {
    let app = start().await;
    let expired = {
        let past = app.clock.unix_seconds() - 7_200;
        keys().sign(&app.claims("1001", "/mcp", past)).unwrap()
    };
    let foreign = app.token_for("1001", "/mcp/sse");
    for token in ["", "junk", &expired, &foreign] {
        let mut request = app.http.post(format!("{}/mcp", app.url)).json(&json!({}));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer = Answer::read(request.send().await.unwrap()).await;
        assert_eq!(answer.status, 401, "{token}");
        let challenge = answer.header("www-authenticate");
        let wanted = format!(
            r#"resource_metadata="{}/.well-known/oauth-protected-resource/mcp""#,
            app.url
        );
        assert!(
            challenge.starts_with("Bearer ") && challenge.contains(&wanted),
            "{challenge}"
        );
        assert_eq!(
            challenge.contains("invalid_token"),
            !token.is_empty(),
            "{challenge}"
        );
    }
    let in_query = app
        .http
        .post(format!("{}/mcp?access_token={}", app.url, app.token("1001")))
        .json(&json!({}));
    assert_eq!(in_query.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn bodies_that_are_no_message_are_named_as_such() {
    let app = start().await;
    let token = app.token("1001");
    let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{nested}}}}}"#);
    let rows = [
        ("{", 400, -32700),
        ("", 400, -32700),
        ("[]", 400, -32600),
        ("{}", 400, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, 400, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":3}"#,
            400,
            -32602,
        ),
        (&deep, 400, -32700),
    ];
    for (body, status, code) in rows {
        let request = app
            .request(Method::POST, "/mcp", &token)
            .header("content-type", "application/json");
        let answer = Answer::read(request.body(body.to_owned()).send().await.unwrap()).await;
        assert_eq!(answer.error(), (status, code), "{body:.60}");
    }
}

#[tokio::test]
async fn headers_that_do_not_fit_are_named() {
    let app = start().await;
    let token = app.token("1001");
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let post = |accept: &str, content_type: &str| {
        app.http
            .post(format!("{}/mcp", app.url))
            .bearer_auth(&token)
            .header("accept", accept)
            .header("content-type", content_type)
            .body(ping.to_string())
    };
    let both = "application/json, text/event-stream";
    for (accept, content_type, status) in [
        (both, "application/json; charset=utf-8", 200),
        ("*/*", "application/json", 200),
        ("application/json", "application/json", 406),
        ("text/html", "application/json", 406),
        (both, "text/plain", 415),
        (both, "application/x-www-form-urlencoded", 415),
    ] {
        let answer = post(accept, content_type).send().await.unwrap();
        assert_eq!(answer.status(), status, "{accept} {content_type}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_however_it_is_sent() {
    let app = start().await;
    let token = app.token("1001");
    let large = "x".repeat(5 << 20);
    let request = app
        .request(Method::POST, "/mcp", &token)
        .header("content-type", "application/json");
    let answer = Answer::read(request.body(large.clone()).send().await.unwrap()).await;
    assert_eq!(answer.error(), (413, -32600));
    let chunks = futures_util::stream::iter(
        large
            .into_bytes()
            .chunks(64 << 10)
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>(),
    );
    let chunked = reqwest::Body::wrap_stream(futures_util::StreamExt::map(chunks, Ok::<_, std::io::Error>));
    let request = app
        .request(Method::POST, "/mcp", &token)
        .header("content-type", "application/json");
    let answer = Answer::read(request.body(chunked).send().await.unwrap()).await;
    assert_eq!(answer.error(), (413, -32600));
}

#[tokio::test]
async fn unknown_methods_and_tools_are_json_rpc_errors() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    assert_eq!(
        app.call(&token, &session, "no/such", json!({})).await.error(),
        (200, -32601)
    );
    assert_eq!(
        app.call(&token, &session, "tools/call", json!({"name": "no_such"}))
            .await
            .error(),
        (200, -32602)
    );
    assert_eq!(
        app.call(&token, &session, "tools/call", json!({"arguments": {}}))
            .await
            .error(),
        (200, -32602)
    );
    let arguments = json!({"name": "whoami", "arguments": []});
    assert_eq!(
        app.call(&token, &session, "tools/call", arguments).await.error(),
        (200, -32602)
    );
    assert_eq!(
        app.modern(&token, "no/such", json!({})).await.error(),
        (404, -32601)
    );
    assert_eq!(
        app.call(&token, &session, "tools/list", json!({"cursor": "x"}))
            .await
            .error(),
        (200, -32602)
    );
}

#[tokio::test]
async fn other_hosts_and_origins_are_403() {
    let app = Setup::default()
        .env("ALLOWED_ORIGINS", "https://*.example.org")
        .start()
        .await;
    let token = app.token("1001");
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for (name, value, status) in [
        ("host", "evil.example", 403),
        ("origin", "https://evil.example", 403),
        ("origin", "https://a-example.org", 403),
        ("origin", "null", 403),
        ("origin", "https://app.example.org", 200),
    ] {
        let request = app
            .request(Method::POST, "/mcp", &token)
            .header(name, value)
            .json(&ping);
        let answer = Answer::read(request.send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{name}: {value}");
        if name == "origin" && status == 200 {
            assert_eq!(answer.header("access-control-allow-origin"), value);
        }
    }
    let preflight = app
        .http
        .request(Method::OPTIONS, format!("{}/mcp", app.url))
        .header("origin", "https://app.example.org")
        .header("access-control-request-method", "POST");
    assert_eq!(preflight.send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn slow_headers_are_cut_and_idle_connections_are_not() {
    let app = Setup::default().env("HEADER_TIMEOUT", "1000").start().await;
    let mut slow = Raw::connect(&app).await;
    slow.send("POST /mcp HTTP/1.1\r\nhost:").await;
    slow.read_to_end(Duration::from_secs(3)).await;

    let mut idle = Raw::connect(&app).await;
    let host = app.url.strip_prefix("http://").unwrap().to_owned();
    idle.send(&format!("GET /health HTTP/1.1\r\nhost: {host}\r\n\r\n"))
        .await;
    idle.read_until("200 OK", Duration::from_secs(3)).await;
    assert!(
        idle.stays_open(Duration::from_secs(2)).await,
        "an idle connection outlives the header timeout"
    );
}
