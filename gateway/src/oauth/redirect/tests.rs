//! Redirect URIs: the recorded ones of real clients, hostile ones, and random edits.

use proptest::prelude::*;

use super::*;

/// What Cursor, VS Code, Claude Code and mcp-remote register.
const RECORDED: [&str; 10] = [
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "https://www.cursor.com/agents/mcp/oauth/callback",
    "http://localhost:8787/callback",
    "https://insiders.vscode.dev/redirect",
    "https://vscode.dev/redirect",
    "http://127.0.0.1/",
    "http://127.0.0.1:33418/",
    "http://localhost:53124/callback",
    "http://localhost:3334/oauth/callback",
    "https://app.example.com",
];

#[test]
fn the_uris_of_real_clients_are_accepted() {
    for uri in RECORDED {
        assert_eq!(check(uri), Ok(()), "{uri}");
        assert!(matches(uri, uri), "{uri}");
    }
    assert_eq!(check("http://[::1]:8080/callback"), Ok(()));
    assert_eq!(check("https://app.example.com/cb?fixed=1"), Ok(()));
}

#[test]
fn hostile_uris_are_refused() {
    for uri in [
        "javascript:alert(1)",
        "javascript://localhost/%0aalert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "blob:https://app.example.com/1",
        "ftp://app.example.com/cb",
        "myapp://callback",
        "http://app.example.com/cb",
        "http://localhost.evil.example/cb",
        "http://localhost@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.2/cb",
        "http://0.0.0.0/cb",
        "http://0x7f.1/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "https://user@app.example.com/cb",
        "https://user:pw@app.example.com/cb",
        "https://app.example.com/cb#fragment",
        "https://app.example.com/cb#",
        "https:app.example.com/cb",
        "https:\\\\app.example.com\\cb",
        "https://app.example.com\\@evil.example/cb",
        "https://app.example.com/a/../cb",
        "https://app.example.com/c b",
        "https://app.example.com/cb\n",
        " https://app.example.com/cb",
        "HTTPS://app.example.com/cb",
        "https://APP.example.com/cb",
        "https://b\u{fc}cher.example/cb",
        "//app.example.com/cb",
        "/cb",
        "cursor:callback",
        "cursor:///callback",
        "",
        &format!("https://app.example.com/{}", "a".repeat(2048)),
    ] {
        assert!(check(uri).is_err(), "{uri}");
    }
}

#[test]
fn the_port_of_a_loopback_address_is_free() {
    for (registered, presented, expected) in [
        (
            "http://localhost/callback",
            "http://localhost:53124/callback",
            true,
        ),
        ("http://localhost:1/callback", "http://localhost/callback", true),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:65535/", true),
        ("http://[::1]/cb", "http://[::1]:9/cb", true),
        ("http://127.0.0.1/", "http://127.0.0.1:65536/", false),
        ("http://127.0.0.1/", "http://127.0.0.1:0/", false),
        ("http://127.0.0.1/", "http://127.0.0.1:/", false),
        ("http://127.0.0.1/", "http://127.0.0.1:080/", false),
        ("http://127.0.0.1/", "http://127.0.0.1:80x/", false),
        ("http://127.0.0.1/", "http://127.0.0.1:80@evil.example/", false),
        (
            "http://localhost/callback",
            "http://localhost.evil.example/callback",
            false,
        ),
        (
            "http://localhost/callback",
            "http://localhost:1@evil.example/callback",
            false,
        ),
        ("http://localhost/callback", "http://127.0.0.1:1/callback", false),
        ("http://localhost/callback", "https://localhost:1/callback", false),
        ("http://localhost/callback", "http://localhost:1/callback/", false),
        (
            "http://localhost/callback",
            "http://localhost:1/callback?x=1",
            false,
        ),
        (
            "http://localhost/callback",
            "http://localhost:1/callback#x",
            false,
        ),
        (
            "https://localhost/callback",
            "https://localhost:1/callback",
            false,
        ),
        (
            "https://app.example.com/cb",
            "https://app.example.com:8443/cb",
            false,
        ),
        ("cursor://host/cb", "cursor://host:1/cb", false),
    ] {
        assert_eq!(
            matches(registered, presented),
            expected,
            "{registered} {presented}"
        );
    }
}

#[test]
fn a_person_reads_where_the_answer_goes() {
    for (uri, expected) in [
        (RECORDED[0], Destination::App("Cursor")),
        (RECORDED[1], Destination::Site("www.cursor.com".to_owned())),
        (
            RECORDED[2],
            Destination::ThisComputer("localhost:8787".to_owned()),
        ),
        (
            "https://app.example.com:8443/cb",
            Destination::Site("app.example.com:8443".to_owned()),
        ),
        (
            "http://[::1]:9/cb",
            Destination::ThisComputer("[::1]:9".to_owned()),
        ),
    ] {
        assert_eq!(destination(uri), expected, "{uri}");
    }
}

#[test]
fn parameters_are_appended_and_escaped() {
    let parameters = [("state", "a b&c=\u{e9}"), ("iss", "https://mcp.example.com")];
    let query = "state=a+b%26c%3D%C3%A9&iss=https%3A%2F%2Fmcp.example.com";
    for (uri, separator) in [
        ("cursor://host/cb", '?'),
        ("https://app.example.com/cb?fixed=1", '&'),
    ] {
        assert_eq!(
            with_parameters(uri, &parameters),
            format!("{uri}{separator}{query}")
        );
    }
}

/// Undoes the one edit that is allowed: the port digits of an http loopback URI.
fn without_loopback_port(uri: &str) -> String {
    for host in LOOPBACK_HOSTS {
        let prefix = format!("http://{host}");
        if let Some(rest) = uri.strip_prefix(&format!("{prefix}:")) {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let path = &rest[end..];
            if end > 0 && (path.is_empty() || path.starts_with('/') || path.starts_with('?')) {
                return format!("{prefix}{path}");
            }
        }
    }
    uri.to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_random_edit_is_accepted_only_in_the_port_of_a_loopback_address(
        index in 0..RECORDED.len(),
        from in any::<prop::sample::Index>(),
        removed in 0_usize..6,
        inserted in "[ -~]{0,6}|:[0-9]{1,6}|@evil\\.example|\\.evil\\.example|%2e|\u{e9}|//",
    ) {
        let registered = RECORDED[index];
        let from = from.index(registered.len() + 1);
        let to = (from + removed).min(registered.len());
        let edited = format!("{}{inserted}{}", &registered[..from], &registered[to..]);
        if matches(registered, &edited) {
            prop_assert_eq!(without_loopback_port(registered), without_loopback_port(&edited));
        }
    }

    #[test]
    fn every_valid_port_of_a_loopback_address_is_accepted(port in 1_u16..) {
        let presented = format!("http://localhost:{port}/callback");
        prop_assert!(matches("http://localhost/callback", &presented));
    }

    #[test]
    fn what_is_accepted_for_registration_has_one_reading(uri in "(https?|cursor|javascript):/{0,3}[ -~]{0,30}") {
        if check(&uri).is_ok() {
            let url = Url::parse(&uri).unwrap();
            let scheme = format!("{}://", url.scheme());
            prop_assert!(uri.starts_with(&scheme));
            prop_assert!(url.scheme() != "http" || is_loopback(&url));
            prop_assert!(!uri.contains(['@', '#', '\\', ' ']) || url.path().contains('@') || url.query().is_some());
        }
    }
}
