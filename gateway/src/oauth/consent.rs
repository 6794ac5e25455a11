//! The consent page's answer: back to the client, or on to Google.
//!
//! Google sees one client, ours, and does not ask again for people it knows. Which program gets the access
//! is therefore asked here, every time, before the browser leaves for Google.

use subtle::ConstantTimeEq as _;

use crate::id;
use crate::model::authorization::{Authorization, Stage};
use crate::model::client::Client;
use crate::oauth::error::{PageError, RedirectError};
use crate::oauth::redirect::{self, Destination};
use crate::oauth::{CALLBACK_PATH, LOGIN_SECONDS, OAuth, login, pkce};
use crate::oidc::ProviderMetadata;
use crate::secret::hmac_sha256;

/// The keyring purpose of the form's token.
const CSRF_PURPOSE: &str = "consent form";

/// What the gateway asks of Google: who the person is, and to read what the tools read.
pub const GOOGLE_SCOPES: &str = "openid email profile \
    https://www.googleapis.com/auth/gmail.readonly \
    https://www.googleapis.com/auth/calendar.readonly \
    https://www.googleapis.com/auth/drive.readonly \
    https://www.googleapis.com/auth/documents.readonly \
    https://www.googleapis.com/auth/spreadsheets.readonly";

/// What the consent page shows and sends back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentPrompt {
    /// Names the login; sent back by the form.
    pub login: String,
    /// Proves that the form came from our page in this browser.
    pub csrf: String,
    /// The client's name for itself. Untrusted text.
    pub client_name: Option<String>,
    /// Where the answer goes.
    pub destination: Destination,
    /// The exact redirect URI.
    pub redirect_uri: String,
    /// The MCP URL that the access is for.
    pub resource: String,
    /// The domain whose people may log in.
    pub allowed_domain: String,
}

/// The submitted form.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// [`ConsentPrompt::login`].
    pub login: &'a str,
    /// [`ConsentPrompt::csrf`].
    pub csrf: &'a str,
    /// Which button.
    pub approved: bool,
}

/// What the browser gets.
#[derive(Debug)]
pub enum Decided {
    /// To Google, with the cookie that the return is checked against: only now, because a cookie set
    /// earlier would let somebody skip the consent page with a link of their own.
    Google {
        /// Google's authorization endpoint with our request.
        url: String,
        /// The cookie of this login.
        ticket: Ticket,
    },
    /// To the client: the person said no.
    Back(String),
    /// The same page again: Google does not answer, and nothing was spent.
    Again(ConsentPrompt),
}

/// A cookie for one login, so that several can be under way in a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// What the cookie's name ends in; see [`login::ticket_name`].
    pub name: String,
    /// The secret.
    pub value: String,
}

impl OAuth {
    /// Judges the answer to the consent page. `browser` is the cookie that [`OAuth::authorize`] set.
    ///
    /// A login is spent by the right browser only, and not while Google or the store is out of reach.
    pub async fn decide(&self, decision: &Decision<'_>, browser: Option<&str>) -> Result<Decided, PageError> {
        let store = &self.inner.store;
        let key = id::hashed(decision.login);
        let authorization = store.authorization(&key).await?;
        let authorization = authorization
            .filter(|a| a.expires_at > self.now())
            .ok_or(PageError::UnknownLogin)?;
        let Stage::Consent { browser_hash } = &authorization.stage else {
            return Err(PageError::UnknownLogin);
        };
        let browser = browser.ok_or(PageError::OtherBrowser)?;
        if !super::is_preimage(browser, browser_hash) || !self.is_csrf(decision, browser) {
            return Err(PageError::OtherBrowser);
        }
        if !decision.approved {
            store
                .take_authorization_once(&key)
                .await?
                .ok_or(PageError::UnknownLogin)?;
            let error = RedirectError::new("access_denied", "the person did not allow the access");
            return Ok(Decided::Back(self.answer_error(&authorization, &error)));
        }
        let metadata = match self.inner.provider.metadata().await {
            Ok(metadata) => metadata,
            Err(error) => {
                tracing::error!(%error, "a login cannot go on to the identity provider");
                let client = self.client(authorization.client_id.as_str()).await?;
                let client = client.ok_or(PageError::UnknownClient)?;
                let login = decision.login.to_owned();
                return Ok(Decided::Again(self.prompt(
                    login,
                    &authorization,
                    &client,
                    browser,
                )));
            }
        };
        let (url, ticket) = self.leave(&authorization, &metadata).await?;
        // Taken last: a failure before this point leaves the page usable, and the row made in `leave` is
        // reachable only through the URL and the cookie that a lost race does not hand out.
        store
            .take_authorization_once(&key)
            .await?
            .ok_or(PageError::UnknownLogin)?;
        Ok(Decided::Google { url, ticket })
    }

    /// Stores the approved login and builds the URL at Google.
    async fn leave(
        &self,
        authorization: &Authorization,
        metadata: &ProviderMetadata,
    ) -> Result<(String, Ticket), PageError> {
        let (state, verifier) = login::new_state(&self.inner.keyring);
        let (ticket, nonce) = (id::random_token(), id::random_token());
        let approved = Authorization {
            stage: Stage::Google {
                browser_hash: id::hashed(&ticket),
                nonce: nonce.clone(),
            },
            expires_at: self.now() + LOGIN_SECONDS,
            ..authorization.clone()
        };
        self.inner
            .store
            .put_authorization(&id::hashed(&state), &approved)
            .await?;
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.inner.google_client_id)
            .append_pair("redirect_uri", &format!("{}{CALLBACK_PATH}", self.issuer()))
            .append_pair("scope", GOOGLE_SCOPES)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &pkce::challenge(&verifier))
            .append_pair("code_challenge_method", "S256")
            .append_pair("hd", &self.inner.allowed_domain)
            // Google sends a refresh token only for `offline`, and again only when the person is asked.
            .append_pair("access_type", "offline")
            .append_pair("prompt", "consent");
        let ticket = Ticket {
            name: login::ticket_name(&state),
            value: ticket,
        };
        Ok((url.into(), ticket))
    }

    /// What the consent page of a login shows.
    pub(super) fn prompt(
        &self,
        login: String,
        authorization: &Authorization,
        client: &Client,
        browser: &str,
    ) -> ConsentPrompt {
        let key = self.inner.keyring.current(CSRF_PURPOSE).bytes;
        ConsentPrompt {
            csrf: id::base64url(&hmac_sha256(&key, &csrf_message(&login, browser))),
            login,
            client_name: client.name.clone(),
            destination: redirect::destination(&authorization.redirect_uri),
            redirect_uri: authorization.redirect_uri.clone(),
            resource: authorization.resource.clone(),
            allowed_domain: self.inner.allowed_domain.clone(),
        }
    }

    fn is_csrf(&self, decision: &Decision<'_>, browser: &str) -> bool {
        let message = csrf_message(decision.login, browser);
        let Some(presented) = id::from_base64url(decision.csrf) else {
            return false;
        };
        self.inner
            .keyring
            .all(CSRF_PURPOSE)
            .iter()
            .any(|key| hmac_sha256(&key.bytes, &message).ct_eq(&presented).into())
    }

    /// An error for the client of a login.
    pub(super) fn answer_error(&self, authorization: &Authorization, error: &RedirectError) -> String {
        self.error_redirect(&authorization.redirect_uri, authorization.state.as_deref(), error)
    }
}

/// The token covers the login and the browser, so that it fits no other page.
fn csrf_message(login: &str, browser: &str) -> Vec<u8> {
    format!("{login} {browser}").into_bytes()
}
