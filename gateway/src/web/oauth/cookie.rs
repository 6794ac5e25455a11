//! The two cookies of a login: one binds the consent page to its browser, one binds the return from Google.

use http::{HeaderMap, HeaderValue, header};

use crate::oauth::LOGIN_SECONDS;

/// Names and attributes of cookies on one origin.
///
/// On https they are `__Host-` cookies: only this very host can set them, so a sibling domain cannot plant
/// its own. Browsers refuse that prefix on plain http, which is for a loopback origin only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies {
    secure: bool,
}

impl Cookies {
    /// For the gateway's own origin.
    pub(super) fn new(origin: &str) -> Self {
        Self {
            secure: origin.starts_with("https://"),
        }
    }

    /// The name of the cookie that the consent page is bound to.
    pub(super) fn browser(self) -> String {
        self.name("mcp-browser")
    }

    /// The name of the cookie that the return from Google is bound to.
    pub(super) fn login(self, suffix: &str) -> String {
        self.name(&format!("mcp-login-{suffix}"))
    }

    /// A `Set-Cookie` value that lives as long as a login may take.
    pub(super) fn set(self, name: &str, value: &str) -> Option<HeaderValue> {
        self.cookie(name, value, LOGIN_SECONDS)
    }

    /// A `Set-Cookie` value that removes the cookie.
    pub(super) fn clear(self, name: &str) -> Option<HeaderValue> {
        self.cookie(name, "", 0)
    }

    fn name(self, name: &str) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        format!("{prefix}{name}")
    }

    /// `None` for a value that cannot stand in a header, which ours never are.
    fn cookie(self, name: &str, value: &str, max_age_seconds: i64) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let attributes = format!("Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_seconds}{secure}");
        HeaderValue::try_from(format!("{name}={value}; {attributes}")).ok()
    }
}

/// The value of a request's cookie. HTTP/2 may split the cookies over several headers.
pub(super) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_https_origin_gets_host_cookies_and_a_loopback_origin_plain_ones() {
        let https = Cookies::new("https://mcp.example.com");
        assert_eq!(
            https.set(&https.browser(), "v").unwrap(),
            "__Host-mcp-browser=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=600; Secure"
        );
        let http = Cookies::new("http://localhost:8080");
        assert_eq!(
            http.clear(&http.login("x")).unwrap(),
            "mcp-login-x=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }

    #[test]
    fn a_cookie_is_found_among_others_and_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; b-x=2;b=3=4"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=5"));
        assert_eq!(find(&headers, "b"), Some("3=4"));
        assert_eq!(find(&headers, "c"), Some("5"));
        assert_eq!(find(&headers, "x"), None);
    }
}
