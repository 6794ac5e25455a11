//! Metadata, keys, registration, and the headers of responses that programs read.

use serde_json::json;

use super::*;

#[tokio::test]
async fn the_metadata_of_every_mcp_url_names_exactly_that_url() {
    let bench = Bench::new().await;
    for (suffix, resource) in [("", "/mcp"), ("/mcp", "/mcp"), ("/mcp/sse", "/mcp/sse")] {
        let reply = bench
            .get(&format!("/.well-known/oauth-protected-resource{suffix}"), &[])
            .await;
        assert_eq!(
            reply.json(),
            json!({
                "resource": format!("{ORIGIN}{resource}"),
                "authorization_servers": [ORIGIN],
                "scopes_supported": ["mcp"],
                "bearer_methods_supported": ["header"],
                "resource_name": "MCP gateway",
            })
        );
        assert_eq!(reply.header("access-control-allow-origin"), "*");
    }
    for path in ["/mcp/messages", "/mcp/", "/", "/MCP"] {
        let reply = bench
            .get(&format!("/.well-known/oauth-protected-resource{path}"), &[])
            .await;
        assert_eq!(reply.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_server_metadata_is_what_clients_check() {
    let bench = Bench::new().await;
    for suffix in ["", "/mcp", "/mcp/sse"] {
        let reply = bench
            .get(&format!("/.well-known/oauth-authorization-server{suffix}"), &[])
            .await;
        assert_eq!(
            reply.json(),
            json!({
                "issuer": ORIGIN,
                "authorization_endpoint": format!("{ORIGIN}/oauth/authorize"),
                "token_endpoint": format!("{ORIGIN}/oauth/token"),
                "registration_endpoint": format!("{ORIGIN}/oauth/register"),
                "jwks_uri": format!("{ORIGIN}/oauth/jwks"),
                "scopes_supported": ["mcp"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": true,
            })
        );
    }
    assert_eq!(
        bench.get("/.well-known/openid-configuration", &[]).await.status,
        404
    );
    assert_eq!(bench.get("/oauth/jwks", &[]).await.json(), bench.keys.jwks());
}

#[tokio::test]
async fn a_registration_answers_everything_it_stored() {
    let bench = Bench::new().await;
    let uris = [
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "http://localhost:8787/callback",
    ];
    let reply = bench
        .register(
            json!({"client_name": "Cursor", "redirect_uris": uris, "application_type": "web", "x": [1]}),
        )
        .await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(reply.header("cache-control"), "no-store");
    let mut body = reply.json();
    let id = body["client_id"].take();
    assert_eq!(
        body,
        json!({
            "client_id": null,
            "client_id_issued_at": START,
            "client_name": "Cursor",
            "redirect_uris": uris,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "scope": "mcp",
            "application_type": "web",
        })
    );
    let stored = bench
        .store
        .client(&ClientId::new(id.as_str().unwrap()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.redirect_uris, uris);
    assert_eq!(stored.secret_hash, None);
    assert_eq!(stored.expires_at, START + 90 * 86_400);
}

#[tokio::test]
async fn a_secret_is_told_once_and_stored_as_a_hash() {
    let bench = Bench::new().await;
    for method in ["client_secret_post", "client_secret_basic"] {
        let body = json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": method});
        let reply = bench.register(body).await.json();
        assert_eq!(reply["client_secret_expires_at"], 0);
        let secret = reply["client_secret"].as_str().unwrap();
        let id = ClientId::new(reply["client_id"].as_str().unwrap());
        let stored = bench.store.client(&id).await.unwrap().unwrap();
        assert_eq!(stored.secret_hash, Some(id::hashed(secret)));
    }
}

#[tokio::test]
async fn bad_registrations_are_answered_400_with_the_reason() {
    let bench = Bench::new().await;
    let uri = "https://app.example.com/cb#x";
    let reply = bench.register(json!({"redirect_uris": [REDIRECT, uri]})).await;
    assert_eq!(error(&reply), (400, "invalid_redirect_uri".to_owned()));
    assert!(reply.json()["error_description"].as_str().unwrap().contains(uri));
    for body in ["", "{", "[]", "null", "\u{0}", "{\"redirect_uris\": 1}"] {
        let reply = bench
            .post("/oauth/register", "text/plain", &[], body.to_owned())
            .await;
        assert_eq!(
            error(&reply),
            (400, "invalid_client_metadata".to_owned()),
            "{body}"
        );
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    let long = json!({"redirect_uris": [REDIRECT], "x": "x".repeat(70_000)});
    assert_eq!(
        error(&bench.register(long).await),
        (413, "invalid_client_metadata".to_owned())
    );
}

#[tokio::test]
async fn a_preflight_lets_programs_in_browsers_through() {
    let bench = Bench::new().await;
    for path in [
        "/oauth/token",
        "/oauth/register",
        "/.well-known/oauth-authorization-server",
    ] {
        let request = Request::options(path)
            .header("origin", "http://localhost:6274")
            .header("access-control-request-method", "POST");
        let reply = bench.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert!(
            reply
                .header("access-control-allow-headers")
                .contains("MCP-Protocol-Version")
        );
        assert!(reply.headers.get("access-control-allow-credentials").is_none());
    }
    // The pages are for people only.
    let reply = bench.get("/oauth/authorize", &[]).await;
    assert!(reply.headers.get("access-control-allow-origin").is_none());
}
