//! Redirect URIs: which ones may be registered, which presented one matches, and what a person is told of it.

use url::{Host, Url, form_urlencoded};

/// Custom schemes that may be registered: the editors that have one. Any other scheme may belong to any program.
const APP_SCHEMES: [(&str, &str); 4] = [
    ("cursor", "Cursor"),
    ("vscode", "VS Code"),
    ("vscode-insiders", "VS Code Insiders"),
    ("code-oss", "Code - OSS"),
];

/// Hosts that never leave the machine of the browser (RFC 8252 sections 7.3 and 8.3).
const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Longer than any client's, and short enough to store ten of.
const LENGTH_MAX: usize = 2048;

/// Why a redirect URI cannot be registered; the text goes to the client's developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectProblem {
    /// See [`LENGTH_MAX`].
    #[error("is longer than {LENGTH_MAX} characters")]
    TooLong,
    /// No URL, or none with a scheme and an authority.
    #[error("is not an absolute URI")]
    NotAbsolute,
    /// A space, a quote, a backslash, or something beyond ASCII (RFC 3986 section 2).
    #[error("has a character that a URI cannot have")]
    Character,
    /// It could be read as something else than what it says.
    #[error("is not in normal form; write it as `{0}`")]
    NotNormal(String),
    /// RFC 6749 section 3.1.2.
    #[error("has a fragment")]
    Fragment,
    /// User information only serves to disguise the host.
    #[error("has user information")]
    UserInfo,
    /// Codes would cross the network in clear text.
    #[error("must be https; http is for `localhost`, `127.0.0.1` and `[::1]` only")]
    PlainHttp,
    /// Neither https nor a scheme on the list.
    #[error("has scheme `{0}`, which is not accepted; use https or a loopback address")]
    Scheme(String),
}

/// Whether a URI may be registered.
///
/// The URI must be in the normal form of the URL standard, so that this function, the browser and the
/// person who reads it on the consent page all see the same host.
pub fn check(uri: &str) -> Result<(), RedirectProblem> {
    if uri.len() > LENGTH_MAX {
        return Err(RedirectProblem::TooLong);
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    if !uri.bytes().all(allowed) {
        return Err(RedirectProblem::Character);
    }
    let url = Url::parse(uri).map_err(|_| RedirectProblem::NotAbsolute)?;
    let app = APP_SCHEMES.iter().any(|(scheme, _)| *scheme == url.scheme());
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(RedirectProblem::PlainHttp),
        _ if app => {}
        other => return Err(RedirectProblem::Scheme(other.to_owned())),
    }
    if url.fragment().is_some() {
        return Err(RedirectProblem::Fragment);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RedirectProblem::UserInfo);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(RedirectProblem::NotAbsolute);
    }
    // A URI without a path gets a slash in the normal form; both spellings are common.
    if url.as_str() != uri && url.as_str().strip_suffix('/') != Some(uri) {
        return Err(RedirectProblem::NotNormal(url.into()));
    }
    Ok(())
}

/// Whether a presented URI is a registered one: byte by byte, but for the port of a loopback address, which
/// native programs pick at run time (RFC 8252 section 7.3).
pub fn matches(registered: &str, presented: &str) -> bool {
    registered == presented
        || loopback_parts(registered)
            .zip(loopback_parts(presented))
            .is_some_and(|(registered, presented)| registered == presented)
}

/// Host and everything after the port of an http loopback URI; `None` for anything else.
fn loopback_parts(uri: &str) -> Option<(&'static str, &str)> {
    let after_scheme = uri.strip_prefix("http://")?;
    let (host, after_host) = LOOPBACK_HOSTS
        .iter()
        .find_map(|host| Some((*host, after_scheme.strip_prefix(host)?)))?;
    let rest = match after_host.strip_prefix(':') {
        None => after_host,
        Some(with_port) => {
            let rest = with_port.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = with_port.strip_suffix(rest)?;
            let port: u16 = digits.parse().ok()?;
            if port == 0 || digits.starts_with('0') {
                return None;
            }
            rest
        }
    };
    let path_or_nothing = rest.is_empty() || rest.starts_with(['/', '?']);
    path_or_nothing.then_some((host, rest))
}

/// Where the browser goes after the login, in the terms of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A web site, by its host.
    Site(String),
    /// A program that listens on the person's own machine, by host and port.
    ThisComputer(String),
    /// An installed application, by its name.
    App(&'static str),
}

/// Where an accepted URI leads. Anything unexpected is shown whole, as a site.
pub fn destination(uri: &str) -> Destination {
    let Ok(url) = Url::parse(uri) else {
        return Destination::Site(uri.to_owned());
    };
    if let Some((_, name)) = APP_SCHEMES.iter().find(|(scheme, _)| *scheme == url.scheme()) {
        return Destination::App(name);
    }
    let host = url.host_str().unwrap_or(uri);
    let host = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    if is_loopback(&url) {
        Destination::ThisComputer(host)
    } else {
        Destination::Site(host)
    }
}

/// The URI with parameters added to its query, otherwise byte for byte as it was registered.
pub fn with_parameters(uri: &str, parameters: &[(&str, &str)]) -> String {
    let separator = if uri.contains('?') { '&' } else { '?' };
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    format!("{uri}{separator}{query}")
}

fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
            Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
            None => false,
        }
}

#[cfg(test)]
mod tests;
