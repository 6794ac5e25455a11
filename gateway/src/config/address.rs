//! URLs, origins and hosts as settings: pure checks.

use std::net::IpAddr;

use url::{Host, Url};

use super::parse::Refusal;

/// Accepts an IP address to listen on.
pub(super) fn ip(value: &str) -> Result<IpAddr, Refusal> {
    value.parse().map_err(|_| {
        Refusal::new(
            "an IP address",
            "`127.0.0.1` for this machine only, `0.0.0.0` for every interface",
        )
    })
}

/// Accepts an https URL, or an http one whose host is this machine: what goes there is secret.
pub(super) fn secure(value: &str) -> Result<Url, Refusal> {
    const MUST: &str = "an https URL, or an http one on a loopback host";
    let url = absolute(value).ok_or_else(|| Refusal::new(MUST, "write it like `https://api.example.com`"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(Refusal::new(
            MUST,
            "plain http would put credentials on the network",
        )),
    }
}

/// Accepts the public origin: scheme, host and port, nothing else.
pub(super) fn public_origin(value: &str) -> Result<Url, Refusal> {
    const MUST: &str = "an https origin, or an http one on a loopback host";
    let refuse = |hint: &str| Refusal::new(MUST, hint);
    let url = absolute(value).ok_or_else(|| refuse("write it like `https://mcp.example.com`"))?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(refuse(
            "leave out path, query and fragment; the gateway adds `/mcp` itself",
        ));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(refuse(
            "MCP clients refuse an http issuer; use the load balancer's public https name",
        )),
    }
}

/// Accepts an http or https URL, for an endpoint inside a private network.
pub(super) fn endpoint(value: &str) -> Result<Url, Refusal> {
    absolute(value)
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| Refusal::new("an http or https URL", "write it like `http://localhost:8000`"))
}

/// Accepts a value of the `Host` header (RFC 9110 section 7.2) and returns it in lower case.
pub(super) fn host(value: &str) -> Result<String, Refusal> {
    let refuse = || {
        Refusal::new(
            "a list of `host` or `host:port`",
            "write it like `mcp.example.com`, without scheme and path",
        )
    };
    let url = absolute(&format!("gateway://{value}")).ok_or_else(refuse)?;
    if value.contains(['/', '?', '#', '@', '*', '%']) || url.host_str().is_none() {
        return Err(refuse());
    }
    Ok(value.to_ascii_lowercase())
}

/// Accepts an origin (RFC 6454 section 6.2) or a pattern for all subdomains of a domain, and returns it in the
/// form in which browsers send it.
pub(super) fn origin(value: &str) -> Result<String, Refusal> {
    const MUST: &str = "a list of origins or of `https://*.example.com` patterns";
    let refuse = |hint: &str| Refusal::new(MUST, hint);
    if value == "*" {
        return Err(refuse(
            "`*` would let every web page call; list the origins that may",
        ));
    }
    let (probe, pattern) = match value.split_once("://*.") {
        Some((scheme, rest)) => (format!("{scheme}://{rest}"), true),
        None => (value.to_owned(), false),
    };
    let url = absolute(&probe).ok_or_else(|| refuse("write it like `https://app.example.com`"))?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !bare || probe.ends_with('/') {
        return Err(refuse("an origin has no path and no trailing slash"));
    }
    let host = url.host_str().unwrap_or_default();
    if host.contains('*') {
        return Err(refuse("`*.` may stand only in front of a whole domain"));
    }
    if pattern && (url.scheme() != "https" || !host.contains('.')) {
        return Err(refuse(
            "a pattern is https and has at least two labels after `*.`",
        ));
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(refuse(
            "a page loaded by plain http can be changed on the way; use https",
        ));
    }
    let star = if pattern { "*." } else { "" };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!(
        "{}://{star}{}{port}",
        url.scheme(),
        host.to_ascii_lowercase()
    ))
}

/// Accepts a domain in lower case. Consumer domains are refused: their accounts have no `hd` claim.
pub(super) fn workspace_domain(value: &str) -> Result<String, Refusal> {
    const CONSUMER: [&str; 2] = ["gmail.com", "googlemail.com"];
    let refuse = |hint: &str| Refusal::new("a domain such as `example.com`", hint);
    let domain = value.to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if !domain.contains('.') || !domain.split('.').all(label) {
        return Err(refuse("write the part behind the `@` of your people's addresses"));
    }
    if CONSUMER.contains(&domain.as_str()) {
        return Err(refuse(
            "consumer accounts belong to no Workspace domain, so nobody could log in",
        ));
    }
    Ok(domain)
}

/// A URL with a host and without credentials.
fn absolute(value: &str) -> Option<Url> {
    Url::parse(value).ok().filter(|url| {
        url.host_str().is_some_and(|host| !host.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
    })
}

/// Whether what is sent to this URL stays on this machine (RFC 6761 section 6.3 for names).
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
