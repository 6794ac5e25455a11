//! Which `Host` and `Origin` values are served: the guard against DNS rebinding (2025-11-25 basic/transports,
//! security warning) and the CORS answers for browser-based clients.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use url::Url;

use crate::config::ServerConfig;
use crate::mcp::error::{Code, RpcError, printable};
use crate::web::App;

/// Request headers that a browser-based client may send.
const CORS_REQUEST_HEADERS: &str = "authorization, content-type, accept, mcp-protocol-version, mcp-session-id, \
                                    mcp-method, mcp-name, last-event-id";
/// Response headers that it may read.
const CORS_RESPONSE_HEADERS: &str = "mcp-session-id, www-authenticate, retry-after";

/// Refuses requests for hosts that are not ours. Health checks are exempt: load balancers send an address.
pub async fn check_host(State(app): State<App>, request: Request, next: Next) -> Response {
    let exempt = matches!(request.uri().path(), "/health" | "/ready");
    if exempt || host_is_ours(&app.config.server, request.uri(), request.headers()) {
        return next.run(request).await;
    }
    let origin = app.config.server.origin();
    refuse(&format!(
        "the header `Host` names no host of this gateway; use `{origin}` or add it to `ALLOWED_HOSTS`"
    ))
}

/// Refuses browser pages of other origins, and answers CORS for those that are allowed.
pub async fn check_origin(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next().cloned() else {
        return next.run(request).await;
    };
    let value = origin.to_str().unwrap_or_default();
    if origins.next().is_some() || !origin_is_allowed(&app.config.server, value) {
        let shown = printable(value);
        return refuse(&format!(
            "the origin `{shown}` may not call this gateway; add it to `ALLOWED_ORIGINS`"
        ));
    }
    let preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key("access-control-request-method");
    let mut response = if preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(CORS_RESPONSE_HEADERS),
    );
    if preflight {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, DELETE"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(CORS_REQUEST_HEADERS),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}

fn host_is_ours(config: &ServerConfig, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(host) = host.to_str() else { return false };
    // An absolute-form target must not say something else than the header.
    if uri
        .authority()
        .is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host))
    {
        return false;
    }
    let scheme = config.public_url.scheme();
    let Some(asked) = authority(scheme, host) else {
        return false;
    };
    let own = authority(scheme, &own_authority(&config.public_url));
    own.as_ref() == Some(&asked)
        || config
            .allowed_hosts
            .iter()
            .any(|allowed| authority(scheme, allowed).as_ref() == Some(&asked))
}

fn own_authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Host and port in one form, so that case and a default port do not matter. Nothing else may be in it.
fn authority(scheme: &str, text: &str) -> Option<(String, u16)> {
    if text.contains(['/', '?', '#', '@', '\\']) || text.is_empty() {
        return None;
    }
    let url = Url::parse(&format!("{scheme}://{text}/")).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

fn origin_is_allowed(config: &ServerConfig, origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    // An origin is exactly scheme, host and port: what a browser sends has no path, user or query.
    if url.origin().ascii_serialization() != origin.to_ascii_lowercase() {
        return false;
    }
    let own = config.public_url.origin().ascii_serialization();
    own == url.origin().ascii_serialization()
        || config
            .allowed_origins
            .iter()
            .any(|pattern| origin_matches(pattern, &url))
}

/// `https://*.example.com` admits every subdomain, however deep, but not `example.com` itself.
fn origin_matches(pattern: &str, origin: &Url) -> bool {
    match pattern.split_once("://*.") {
        Some((scheme, suffix)) => {
            let host = origin.host_str().unwrap_or_default();
            let port = origin.port().map_or_else(String::new, |port| format!(":{port}"));
            let sub = format!("{host}{port}");
            let suffix = format!(".{}", suffix.trim_end_matches('/').to_ascii_lowercase());
            origin.scheme() == scheme && sub.len() > suffix.len() && sub.ends_with(&suffix)
        }
        None => Url::parse(pattern).is_ok_and(|allowed| allowed.origin() == origin.origin()),
    }
}

fn refuse(message: &str) -> Response {
    let body = RpcError::new(Code::InvalidRequest, message).response(None);
    (
        StatusCode::FORBIDDEN,
        [(header::CONTENT_TYPE, "application/json")],
        body,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config() -> ServerConfig {
        ServerConfig {
            host: std::net::Ipv4Addr::LOCALHOST.into(),
            port: 0,
            public_url: Url::parse("https://mcp.example.com").unwrap(),
            allowed_hosts: vec!["internal.example.com:8443".to_owned()],
            allowed_origins: vec![
                "https://*.example.org".to_owned(),
                "https://tools.example.net".to_owned(),
            ],
            keep_alive_timeout: Duration::from_secs(350),
            header_timeout: Duration::from_secs(10),
            tcp_keepalive: Duration::from_secs(10),
            max_connections: 10,
            drain_grace: Duration::from_secs(20),
            drain_timeout: Duration::from_secs(110),
            peer_port: 0,
            peer_host: None,
        }
    }

    fn host(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(value).unwrap());
        host_is_ours(&config(), &Uri::from_static("/mcp"), &headers)
    }

    #[test]
    fn only_our_own_hosts_are_served() {
        for good in [
            "mcp.example.com",
            "MCP.example.com",
            "mcp.example.com:443",
            "internal.example.com:8443",
        ] {
            assert!(host(good), "{good}");
        }
        let bad = [
            "evil.example",
            "mcp.example.com.evil.example",
            "mcp.example.com:8443",
            "internal.example.com",
            "mcp.example.com/health?x=",
            "user@mcp.example.com",
            "",
            "127.0.0.1",
            "[::1]",
        ];
        for bad in bad {
            assert!(!host(bad), "{bad}");
        }
    }

    #[test]
    fn two_host_headers_or_a_contradicting_target_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_static("mcp.example.com"));
        assert!(!host_is_ours(
            &config(),
            &Uri::from_static("http://evil.example/mcp"),
            &headers
        ));
        headers.append(header::HOST, HeaderValue::from_static("mcp.example.com"));
        assert!(!host_is_ours(&config(), &Uri::from_static("/mcp"), &headers));
    }

    #[test]
    fn origins_match_exactly_or_by_subdomain() {
        let allowed = |origin: &str| origin_is_allowed(&config(), origin);
        for good in [
            "https://mcp.example.com",
            "https://a.example.org",
            "https://a.b.example.org",
            "https://tools.example.net",
        ] {
            assert!(allowed(good), "{good}");
        }
        let bad = [
            "null",
            "https://example.org",
            "https://a-example.org",
            "https://evilexample.org",
            "http://a.example.org",
            "https://a.example.org.evil.example",
            "https://a.example.org:8443",
            "https://tools.example.net@evil.example",
            "https://mcp.example.com/",
            "https://xtools.example.net",
            "file://",
            "",
        ];
        for bad in bad {
            assert!(!allowed(bad), "{bad}");
        }
    }
}
