//! What clients read first: protected resource metadata (RFC 9728) and authorization server metadata (RFC 8414).

use serde_json::{Value, json};

use crate::oauth::OAuth;
use crate::oauth::register::{AUTH_METHODS, GRANT_TYPES};
use crate::oauth::resource::{self, RESOURCES};
use crate::oauth::scope::SCOPE;

/// Where RFC 9728 section 3 puts the metadata; the resource's path follows.
pub const PROTECTED_RESOURCE_PATH: &str = "/.well-known/oauth-protected-resource";

/// Where RFC 8414 section 3 puts the metadata.
pub const AUTHORIZATION_SERVER_PATH: &str = "/.well-known/oauth-authorization-server";

impl OAuth {
    /// The protected resource metadata of an MCP path; `resource` is, byte for byte, the URL that users paste.
    ///
    /// `None` when the path is no resource. The scopes are the least there is: clients ask for all of them.
    pub fn resource_metadata(&self, path: &str) -> Option<Value> {
        RESOURCES.contains(&path).then(|| {
            json!({
                "resource": resource::identifier(self.issuer(), path),
                "authorization_servers": [self.issuer()],
                "scopes_supported": [SCOPE],
                "bearer_methods_supported": ["header"],
                "resource_name": "MCP gateway",
            })
        })
    }

    /// Where the protected resource metadata of an MCP path is: the `resource_metadata` of a challenge.
    pub fn resource_metadata_url(&self, path: &str) -> String {
        format!("{}{PROTECTED_RESOURCE_PATH}{path}", self.issuer())
    }

    /// The authorization server metadata. The same document for every resource, as there is one issuer.
    pub fn server_metadata(&self) -> Value {
        let url = |path: &str| format!("{}{path}", self.issuer());
        json!({
            "issuer": self.issuer(),
            "authorization_endpoint": url("/oauth/authorize"),
            "token_endpoint": url("/oauth/token"),
            "registration_endpoint": url("/oauth/register"),
            "jwks_uri": url("/oauth/jwks"),
            "scopes_supported": [SCOPE],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": GRANT_TYPES,
            "token_endpoint_auth_methods_supported": AUTH_METHODS,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }
}
