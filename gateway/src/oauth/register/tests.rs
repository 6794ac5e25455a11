//! Registrations: the recorded bodies of real clients, and what is refused.

use serde_json::json;

use super::*;

fn judge(body: Value) -> Result<Accepted, RegisterError> {
    serde_json::from_value(body)
        .map_err(|error| RegisterError::NotMetadata(error.to_string()))
        .and_then(accept)
}

#[test]
fn the_recorded_bodies_of_real_clients_are_accepted() {
    let cursor = json!({
        "client_name": "Cursor",
        "redirect_uris": [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback"
        ],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "web"
    });
    let vs_code = json!({
        "client_name": "Visual Studio Code",
        "client_uri": "https://code.visualstudio.com",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "redirect_uris": [
            "https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect",
            "http://127.0.0.1/", "http://127.0.0.1:33418/"
        ],
        "token_endpoint_auth_method": "none",
        "application_type": "native"
    });
    let claude_code = json!({
        "client_name": "Claude Code (gateway)",
        "redirect_uris": ["http://localhost:53124/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native"
    });
    let mcp_remote = json!({
        "client_name": "MCP CLI Proxy",
        "client_uri": "https://github.com/modelcontextprotocol/mcp-cli",
        "software_id": "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d",
        "software_version": "0.15.0",
        "redirect_uris": ["http://localhost:3334/oauth/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"]
    });
    let sdk_example = json!({
        "client_name": "Simple OAuth MCP Client",
        "redirect_uris": ["http://localhost:8090/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_post",
        "scope": "mcp offline_access"
    });
    for body in [cursor, vs_code, claude_code, mcp_remote, sdk_example] {
        let accepted = judge(body.clone()).unwrap();
        assert_eq!(json!(accepted.redirect_uris), body["redirect_uris"]);
        assert_eq!(json!(accepted.client_name), body["client_name"]);
        assert_eq!(json!(accepted.auth_method), body["token_endpoint_auth_method"]);
        assert_eq!(accepted.grant_types, GRANT_TYPES);
        assert_eq!(json!(accepted.application_type), body["application_type"]);
    }
}

#[test]
fn what_is_left_out_gets_the_default_of_a_public_client() {
    let accepted = judge(json!({"redirect_uris": ["https://app.example.com/cb"]})).unwrap();
    assert_eq!(accepted.auth_method, "none");
    assert_eq!(accepted.grant_types, GRANT_TYPES);
    assert_eq!(accepted.client_name, None);
}

#[test]
fn one_bad_uri_refuses_the_registration_and_is_named() {
    let body = json!({"redirect_uris": ["https://app.example.com/cb", "javascript:alert(1)"]});
    let error = judge(body).unwrap_err();
    assert_eq!(error.code(), "invalid_redirect_uri");
    assert!(error.to_string().contains("`javascript:alert(1)`"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_with_the_right_code() {
    let uri = "https://app.example.com/cb";
    for (body, code) in [
        (json!({}), "invalid_client_metadata"),
        (json!([]), "invalid_client_metadata"),
        (json!({"redirect_uris": uri}), "invalid_client_metadata"),
        (json!({"redirect_uris": [1]}), "invalid_client_metadata"),
        (json!({"redirect_uris": []}), "invalid_redirect_uri"),
        (json!({"redirect_uris": vec![uri; 11]}), "invalid_redirect_uri"),
        (
            json!({"redirect_uris": [uri], "client_name": "x".repeat(101)}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": [uri], "client_name": 7}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": [uri], "token_endpoint_auth_method": "private_key_jwt"}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": [uri], "grant_types": ["client_credentials"]}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": [uri], "response_types": ["token"]}),
            "invalid_client_metadata",
        ),
    ] {
        assert_eq!(judge(body.clone()).unwrap_err().code(), code, "{body}");
    }
}
