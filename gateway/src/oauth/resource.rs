//! The MCP URLs that a token can be for (RFC 8707).

use url::Url;

/// The paths of the MCP endpoints, each a resource of its own. The first is meant when a client names none.
pub const RESOURCES: [&str; 2] = ["/mcp", "/mcp/sse"];

/// The `resource` is not one of ours: `invalid_target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the requested resource is not served here")]
pub struct UnknownResource;

/// The resource identifier of an MCP path: the very URL that a user pastes.
pub fn identifier(origin: &str, path: &str) -> String {
    format!("{origin}{path}")
}

/// The resource identifier that a request means.
///
/// URLs are compared in their normal form (RFC 3986 section 6.2.2), so that `HTTPS://Example.com:443/mcp`
/// is the same resource; the result is always our own spelling.
pub fn resolve(origin: &str, requested: Option<&str>) -> Result<String, UnknownResource> {
    let Some(requested) = requested else {
        return Ok(format!("{origin}/mcp"));
    };
    let requested = Url::parse(requested).map_err(|_| UnknownResource)?;
    RESOURCES
        .iter()
        .map(|path| identifier(origin, path))
        .find(|ours| ours == requested.as_str())
        .ok_or(UnknownResource)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://mcp.example.com";

    #[test]
    fn our_urls_resolve_to_our_own_spelling() {
        for (requested, expected) in [
            (None, "/mcp"),
            (Some("https://mcp.example.com/mcp"), "/mcp"),
            (Some("HTTPS://MCP.example.com:443/mcp"), "/mcp"),
            (Some("https://mcp.example.com/mcp/sse"), "/mcp/sse"),
        ] {
            assert_eq!(
                resolve(ORIGIN, requested),
                Ok(format!("{ORIGIN}{expected}")),
                "{requested:?}"
            );
        }
    }

    #[test]
    fn any_other_url_is_no_resource() {
        for requested in [
            "https://mcp.example.com",
            "https://mcp.example.com/",
            "https://mcp.example.com/MCP",
            "https://mcp.example.com/mcp/",
            "https://mcp.example.com/mcp?x=1",
            "https://mcp.example.com/mcp#x",
            "https://u@mcp.example.com/mcp",
            "https://mcp.example.com:8443/mcp",
            "http://mcp.example.com/mcp",
            "https://evil.example/mcp",
            "/mcp",
            "",
        ] {
            assert_eq!(
                resolve(ORIGIN, Some(requested)),
                Err(UnknownResource),
                "{requested}"
            );
        }
    }
}
