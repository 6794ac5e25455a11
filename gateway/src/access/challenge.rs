//! The `WWW-Authenticate` value that starts a login (RFC 6750 section 3, RFC 9728 section 5.1).

use crate::access::bearer::BearerError;

/// The challenge for a request without a usable bearer.
///
/// `resource_metadata` is where the client finds the authorization server; without it some clients report a
/// failed connection instead of logging in. The error is named only when there was a token: RFC 6750
/// section 3.1 asks for silence towards those who did not try.
pub fn challenge(resource_metadata: &str, scope: &str, error: BearerError) -> String {
    let base = format!("Bearer resource_metadata=\"{resource_metadata}\", scope=\"{scope}\"");
    match error {
        BearerError::Missing => base,
        BearerError::Invalid | BearerError::Expired | BearerError::Revoked => {
            format!("{base}, error=\"invalid_token\", error_description=\"{error}\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_names_the_metadata_and_the_error_of_a_presented_token() {
        let url = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
        assert_eq!(
            challenge(url, "mcp", BearerError::Missing),
            format!("Bearer resource_metadata=\"{url}\", scope=\"mcp\"")
        );
        let expired = challenge(url, "mcp", BearerError::Expired);
        assert!(
            expired.ends_with(", error=\"invalid_token\", error_description=\"the bearer token expired\""),
            "{expired}"
        );
    }
}
