//! What goes wrong in a browser during a login: told to the client where that is safe, else on a page.

use crate::oauth::params::Repeated;
use crate::oauth::resource::UnknownResource;
use crate::oauth::scope::UnknownScope;
use crate::oidc::OidcError;
use crate::store::StoreError;

/// An error that the client is told by redirect (RFC 6749 section 4.1.2.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {description}")]
pub struct RedirectError {
    /// The `error` parameter.
    pub code: &'static str,
    /// The `error_description` parameter, for the client's developer.
    pub description: String,
}

impl RedirectError {
    /// An error with a constant text.
    pub fn new(code: &'static str, description: impl Into<String>) -> Self {
        Self {
            code,
            description: description.into(),
        }
    }

    /// `invalid_request`: a parameter is missing or wrong.
    pub fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }
}

impl From<Repeated> for RedirectError {
    fn from(error: Repeated) -> Self {
        Self::invalid_request(error.to_string())
    }
}

impl From<UnknownScope> for RedirectError {
    fn from(error: UnknownScope) -> Self {
        Self::new("invalid_scope", error.to_string())
    }
}

impl From<UnknownResource> for RedirectError {
    fn from(error: UnknownResource) -> Self {
        Self::new("invalid_target", error.to_string())
    }
}

impl From<&StoreError> for RedirectError {
    fn from(_: &StoreError) -> Self {
        Self::new(
            "temporarily_unavailable",
            "the gateway cannot store the login now; try again",
        )
    }
}

/// An error that only the person in front of the browser is told, because there is no trusted redirect URI,
/// or because trying again here is better than failing the client.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The authorization request names no client, or one that is not registered (any more).
    #[error("the client is not registered")]
    UnknownClient,
    /// The redirect URI is missing or not one of the client's.
    #[error("the redirect URI is not registered for the client")]
    UnknownRedirect,
    /// The authorization request of a web site is wrong. Anybody may register a web site, so the browser goes
    /// there only when its person says so.
    #[error("the request of `{site}` is refused: {error}")]
    BadRequest {
        /// What is wrong.
        error: RedirectError,
        /// The host.
        site: String,
        /// Tells the client.
        back: String,
    },
    /// A parameter that decides about trust is ambiguous.
    #[error(transparent)]
    Repeated(#[from] Repeated),
    /// The login does not exist: finished, older than ten minutes, or never started.
    #[error("the login is finished or expired")]
    UnknownLogin,
    /// The login was started in another browser, or its cookie is gone.
    #[error("the login belongs to another browser")]
    OtherBrowser,
    /// The account may not use this gateway.
    #[error("the account is refused: {refusal}")]
    NotAdmitted {
        /// Which rule.
        refusal: Refusal,
        /// Their address, as Google told it.
        email: String,
        /// The domain whose people may log in.
        allowed_domain: String,
        /// Tells the client (`access_denied`).
        back: String,
    },
    /// Google does not answer; nothing was spent, the same URL can be loaded again.
    #[error(transparent)]
    Provider(OidcError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an account of Google's may not log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `hd` claim: a consumer account.
    #[error("the account belongs to no Workspace domain")]
    NoDomain,
    /// Another `hd`.
    #[error("the account belongs to another Workspace domain")]
    OtherDomain,
    /// Google does not vouch for the address.
    #[error("the address is not verified")]
    Unverified,
}
