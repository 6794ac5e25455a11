//! One row of each type, as the tests store it.

use super::START;
use crate::id::{ClientId, TaskId, UserId};
use crate::model::authorization::{Authorization, Stage};
use crate::model::call_log::CallRow;
use crate::model::client::Client;
use crate::model::google::GoogleGrant;
use crate::model::grant::{CodeGrant, RefreshFamily};
use crate::model::session::SessionRow;
use crate::model::user::User;

/// When the rows below expire: before the engine sweeps for the first time, so that they are still there.
pub(super) const END: i64 = START + 300;
pub(super) const ACCESS: &str = "ya29.the-access-token";
pub(super) const REFRESH: &str = "1//the-refresh-token";

pub(super) fn ana() -> UserId {
    UserId::new("1001")
}

pub(super) fn ben() -> UserId {
    UserId::new("1002")
}

/// A log that has just begun, of another task each time.
pub(super) fn call() -> CallRow {
    CallRow {
        user: ana(),
        session: Some("s".into()),
        request_id: "\"seven\"".into(),
        owner: TaskId::random(),
        last_seq: 0,
        ended: false,
        expires_at: END,
    }
}

pub(super) fn client() -> Client {
    Client {
        id: ClientId::new("https://client.example.com/metadata.json"),
        name: Some("Ein Client, \"schön\"".into()),
        redirect_uris: vec![
            "http://127.0.0.1/callback".into(),
            "cursor://anysphere/callback".into(),
        ],
        auth_method: "none".into(),
        secret_hash: None,
        created_at: START,
        expires_at: END,
    }
}

pub(super) fn authorization() -> Authorization {
    Authorization {
        client_id: client().id,
        redirect_uri: "http://127.0.0.1:7777/callback".into(),
        state: Some(String::new()),
        scope: "mcp".into(),
        resource: "https://mcp.example.com/mcp".into(),
        code_challenge: "challenge".into(),
        stage: Stage::Consent {
            browser_hash: "browser".into(),
        },
        expires_at: END,
    }
}

pub(super) fn code() -> CodeGrant {
    CodeGrant {
        user: ana(),
        email: "ana@example.com".into(),
        client_id: client().id,
        redirect_uri: "http://127.0.0.1:7777/callback".into(),
        code_challenge: "challenge".into(),
        scope: "mcp".into(),
        resource: "https://mcp.example.com/mcp".into(),
        expires_at: END,
    }
}

pub(super) fn family() -> RefreshFamily {
    RefreshFamily {
        user: ana(),
        email: "ana@example.com".into(),
        client_id: client().id,
        scope: "mcp".into(),
        resource: "https://mcp.example.com/mcp".into(),
        generation: 0,
        rotated_at: START,
        revoked: false,
        expires_at: END,
    }
}

pub(super) fn google_grant() -> GoogleGrant {
    GoogleGrant {
        access_token: ACCESS.into(),
        refresh_token: REFRESH.into(),
        scope: "openid email".into(),
        // Before every other expiry: it is the access token's, and no reason to hide the row.
        expires_at: START + 1,
        reauth_required: false,
    }
}

pub(super) fn user() -> User {
    User {
        id: ana(),
        email: "ana@example.com".into(),
        name: None,
        domain: "example.com".into(),
        last_login_at: START,
    }
}

pub(super) fn session() -> SessionRow {
    SessionRow {
        user: ana(),
        client_name: "cursor".into(),
        client_version: "1.0".into(),
        log_level: Some("warning".into()),
        ended: false,
        expires_at: END,
    }
}
