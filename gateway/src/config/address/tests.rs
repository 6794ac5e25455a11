//! What is accepted as URL, origin, host and domain.

use super::*;

/// The accepted form, or the hint of the refusal.
fn shown<T: ToString>(result: Result<T, Refusal>) -> String {
    match result {
        Ok(value) => value.to_string(),
        Err(refusal) => format!("refused: {}", refusal.hint()),
    }
}

#[test]
fn the_public_url_is_an_https_origin_or_a_loopback_one() {
    for (value, accepted) in [
        ("https://mcp.example.com", "https://mcp.example.com/"),
        ("https://mcp.example.com/", "https://mcp.example.com/"),
        ("HTTPS://MCP.Example.com:443", "https://mcp.example.com/"),
        ("https://mcp.example.com:8443", "https://mcp.example.com:8443/"),
        ("http://localhost:3000", "http://localhost:3000/"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000/"),
        ("http://[::1]:3000", "http://[::1]:3000/"),
        ("http://gateway.localhost:3000", "http://gateway.localhost:3000/"),
    ] {
        assert_eq!(shown(public_origin(value)), accepted, "{value}");
    }
}

#[test]
fn a_public_url_that_clients_would_refuse_is_refused_here() {
    let path = "refused: leave out path, query and fragment; the gateway adds `/mcp` itself";
    let http = "refused: MCP clients refuse an http issuer; use the load balancer's public https name";
    let shape = "refused: write it like `https://mcp.example.com`";
    for (value, hint) in [
        ("https://mcp.example.com/mcp", path),
        ("https://mcp.example.com//", path),
        ("https://mcp.example.com/?a=1", path),
        ("https://mcp.example.com/#x", path),
        ("http://mcp.example.com", http),
        ("http://localhost.example.com", http),
        ("http://10.0.0.1:3000", http),
        ("ftp://localhost", http),
        ("mcp.example.com", shape),
        ("https://user:pw@mcp.example.com", shape),
        ("https://", shape),
    ] {
        assert_eq!(shown(public_origin(value)), hint, "{value}");
    }
}

#[test]
fn credentials_go_over_https_or_stay_on_this_machine() {
    assert_eq!(
        shown(secure("https://accounts.google.com")),
        "https://accounts.google.com/"
    );
    assert_eq!(
        shown(secure("http://localhost:4000/google")),
        "http://localhost:4000/google"
    );
    assert_eq!(
        shown(secure("http://google.example.com")),
        "refused: plain http would put credentials on the network"
    );
}

#[test]
fn origins_are_returned_as_browsers_send_them() {
    for (value, accepted) in [
        ("https://App.Example.com", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("https://app.example.com:8443", "https://app.example.com:8443"),
        ("http://localhost:6274", "http://localhost:6274"),
        ("https://*.example.com", "https://*.example.com"),
        ("https://*.example.com:8443", "https://*.example.com:8443"),
        ("vscode-file://vscode-app", "vscode-file://vscode-app"),
    ] {
        assert_eq!(shown(origin(value)), accepted, "{value}");
    }
}

#[test]
fn origins_that_would_let_in_more_than_they_say_are_refused() {
    let star = "refused: `*.` may stand only in front of a whole domain";
    let labels = "refused: a pattern is https and has at least two labels after `*.`";
    let path = "refused: an origin has no path and no trailing slash";
    let shape = "refused: write it like `https://app.example.com`";
    for (value, hint) in [
        (
            "*",
            "refused: `*` would let every web page call; list the origins that may",
        ),
        ("https://*", star),
        ("https://a*.example.com", star),
        ("https://*.*.example.com", star),
        ("https://*.com", labels),
        ("http://*.example.com", labels),
        (
            "http://app.example.com",
            "refused: a page loaded by plain http can be changed on the way; use https",
        ),
        ("https://app.example.com/", path),
        ("https://app.example.com/x", path),
        ("https://app.example.com?x", path),
        ("null", shape),
        ("app.example.com", shape),
    ] {
        assert_eq!(shown(origin(value)), hint, "{value}");
    }
}

#[test]
fn hosts_have_no_scheme_and_no_path() {
    for (value, accepted) in [
        ("MCP.example.com", "mcp.example.com"),
        ("mcp.example.com:8443", "mcp.example.com:8443"),
        ("10.0.0.1:3000", "10.0.0.1:3000"),
        ("[::1]:3000", "[::1]:3000"),
    ] {
        assert_eq!(shown(host(value)), accepted, "{value}");
    }
    for value in [
        "https://mcp.example.com",
        "mcp.example.com/mcp",
        "*.example.com",
        "a b",
        "u@mcp.example.com",
        "mcp.example.com:99999",
        "",
    ] {
        assert_eq!(
            shown(host(value)),
            "refused: write it like `mcp.example.com`, without scheme and path",
            "{value}"
        );
    }
}

#[test]
fn the_workspace_domain_is_a_domain_that_has_people() {
    assert_eq!(shown(workspace_domain("Example.COM")), "example.com");
    assert_eq!(
        shown(workspace_domain("eu.my-company.example.org")),
        "eu.my-company.example.org"
    );
    for value in [
        "example",
        "@example.com",
        "https://example.com",
        "a..example.com",
        "-a.example.com",
        "*",
    ] {
        assert_eq!(
            shown(workspace_domain(value)),
            "refused: write the part behind the `@` of your people's addresses",
            "{value}"
        );
    }
    assert_eq!(
        shown(workspace_domain("gmail.com")),
        "refused: consumer accounts belong to no Workspace domain, so nobody could log in"
    );
}
