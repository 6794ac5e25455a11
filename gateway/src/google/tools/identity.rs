//! `whoami` and `test_auth`: who the caller is to Google, and whether the login works.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CoreTool;
use crate::google::client::Call;
use crate::google::error::ToolError;

/// What the tools of the `core` profile need, as in the authorization request.
const NEEDED: [&str; 5] = [
    "https://www.googleapis.com/auth/gmail.readonly",
    "https://www.googleapis.com/auth/calendar.readonly",
    "https://www.googleapis.com/auth/drive.readonly",
    "https://www.googleapis.com/auth/documents.readonly",
    "https://www.googleapis.com/auth/spreadsheets.readonly",
];

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// `OpenID` Connect Core 1.0 section 5.3.2, with Google's `hd`.
#[derive(Debug, Deserialize)]
struct UserInfo {
    sub: String,
    email: Option<String>,
    name: Option<String>,
    hd: Option<String>,
}

/// `whoami`.
pub(super) struct Whoami;

/// The account behind the connection.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    /// Address of the Google account.
    email: String,
    /// Name of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Google Workspace domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// Google's permanent identifier of the account.
    subject: String,
    /// The MCP client that acts for the person, as registered with this gateway.
    client_id: String,
    /// What that client may do at this gateway.
    gateway_scopes: Vec<String>,
}

impl CoreTool for Whoami {
    const NAME: &'static str = "whoami";
    const TITLE: &'static str = "Who am I";
    const DESCRIPTION: &'static str = "Tells which Google account this connection acts for: e-mail address, \
        name and Workspace domain. Use it when the user says \"me\" or \"my\" and an address is needed.";
    type Args = Nothing;
    type Output = Identity;

    async fn run(call: &Call<'_>, _: Nothing) -> Result<Identity, ToolError> {
        let info: UserInfo = call.userinfo().await?;
        let principal = &call.context.principal;
        Ok(Identity {
            email: info.email.unwrap_or_else(|| principal.email.to_string()),
            name: info.name,
            domain: info.hd,
            subject: info.sub,
            client_id: principal.client.to_string(),
            gateway_scopes: words(&principal.scope),
        })
    }
}

/// `test_auth`.
pub(super) struct TestAuth;

/// The state of the login.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthState {
    /// Google accepted the login just now.
    authenticated: bool,
    /// Address that Google knows the login by.
    email: String,
    /// Permissions that Google granted.
    scopes: Vec<String>,
    /// Permissions that some tool needs and the login lacks; log in again to grant them.
    missing_scopes: Vec<String>,
    /// Seconds until the present Google token ends.
    expires_in_seconds: i64,
    /// The gateway renews the token by itself.
    refreshable: bool,
}

impl CoreTool for TestAuth {
    const NAME: &'static str = "test_auth";
    const TITLE: &'static str = "Test the Google login";
    const DESCRIPTION: &'static str = "Checks with Google that the login works and tells which permissions \
        it has, which are missing, and when it is renewed. Use it when another tool reports \
        `reauth_required`, `insufficient_scope` or `permission_denied`.";
    type Args = Nothing;
    type Output = AuthState;

    async fn run(call: &Call<'_>, _: Nothing) -> Result<AuthState, ToolError> {
        let info: UserInfo = call.userinfo().await?;
        // Read after the check, which may have renewed the token.
        let bearer = call.bearer().await?;
        let scopes = words(&bearer.scope);
        let missing_scopes = NEEDED
            .iter()
            .filter(|needed| !scopes.iter().any(|scope| scope == *needed))
            .map(|&needed| needed.to_owned())
            .collect();
        Ok(AuthState {
            authenticated: true,
            email: info
                .email
                .unwrap_or_else(|| call.context.principal.email.to_string()),
            scopes,
            missing_scopes,
            expires_in_seconds: bearer.expires_at - call.client.clock.unix_seconds(),
            refreshable: bearer.refreshable,
        })
    }
}

fn words(scope: &str) -> Vec<String> {
    scope.split_ascii_whitespace().map(str::to_owned).collect()
}
