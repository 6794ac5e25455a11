//! Scopes (RFC 6749 section 3.3): there is one, and it means "use the tools as me".

/// The one scope of an access token.
pub const SCOPE: &str = "mcp";

/// Nothing that was asked for is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("none of the requested scopes is known; ask for `{SCOPE}`")]
pub struct UnknownScope;

/// The granted scopes for what a client asks for; nothing asked means all there is.
///
/// Scopes that are not ours are left out rather than refused (RFC 6749 section 3.3 allows it, and the
/// token response tells): clients add `offline_access` or `profile` to every request by habit.
pub fn grant(requested: Option<&str>) -> Result<String, UnknownScope> {
    match requested {
        None => Ok(SCOPE.to_owned()),
        Some(list) if list.split(' ').any(|scope| scope == SCOPE) => Ok(SCOPE.to_owned()),
        Some(_) => Err(UnknownScope),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_part_of_a_request_is_granted() {
        for requested in [None, Some("mcp"), Some("mcp offline_access"), Some("openid mcp")] {
            assert_eq!(grant(requested), Ok("mcp".to_owned()), "{requested:?}");
        }
        for requested in ["openid email profile", "MCP", "mcp:admin", "*"] {
            assert_eq!(grant(Some(requested)), Err(UnknownScope), "{requested}");
        }
    }
}
