//! The authorization request (RFC 6749 section 4.1.1): checked, stored, and answered with a consent page.

use crate::id;
use crate::model::authorization::{Authorization, Stage};
use crate::model::client::Client;
use crate::oauth::consent::ConsentPrompt;
use crate::oauth::error::{PageError, RedirectError};
use crate::oauth::params::Params;
use crate::oauth::redirect::Destination;
use crate::oauth::{LOGIN_SECONDS, OAuth, pkce, redirect, resource, scope};

/// Longer than any client's `state`, which is stored for ten minutes.
const STATE_LENGTH_MAX: usize = 4096;

/// What the browser gets.
#[derive(Debug)]
pub enum Authorized {
    /// The consent page, and the value of the cookie that binds it to this browser.
    Ask {
        /// What the page shows.
        prompt: ConsentPrompt,
        /// The browser's cookie; the same for all its consent pages.
        browser: String,
    },
    /// A redirect that tells a client on this computer an error.
    Back(String),
}

/// The part of a request that is checked once it is known where an error may be sent.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    scope: String,
    resource: String,
    code_challenge: String,
}

impl OAuth {
    /// Judges an authorization request. `browser` is the cookie that the browser brought along, if any.
    ///
    /// Client and redirect URI come first, and errors in them are for the person only: a redirect to a URI
    /// that is not registered would make the gateway an open redirector. So would one to a web site that
    /// nobody but a stranger registered: there the person decides (RFC 9700 section 4.11.2).
    pub async fn authorize(&self, params: &Params, browser: Option<&str>) -> Result<Authorized, PageError> {
        let client_id = params.one("client_id")?.ok_or(PageError::UnknownClient)?;
        let client = self.client(client_id).await?.ok_or(PageError::UnknownClient)?;
        let redirect_uri = params
            .one("redirect_uri")?
            .filter(|uri| {
                client
                    .redirect_uris
                    .iter()
                    .any(|registered| redirect::matches(registered, uri))
            })
            .ok_or(PageError::UnknownRedirect)?;
        let state = params.one("state").unwrap_or_default();
        match self.start(params, &client, redirect_uri, browser).await {
            Ok((prompt, browser)) => Ok(Authorized::Ask { prompt, browser }),
            Err(error) => {
                tracing::warn!(%client_id, %error, "an authorization request was refused");
                let back = self.error_redirect(redirect_uri, state, &error);
                match redirect::destination(redirect_uri) {
                    Destination::Site(site) => Err(PageError::BadRequest { error, site, back }),
                    Destination::ThisComputer(_) | Destination::App(_) => Ok(Authorized::Back(back)),
                }
            }
        }
    }

    async fn start(
        &self,
        params: &Params,
        client: &Client,
        redirect_uri: &str,
        browser: Option<&str>,
    ) -> Result<(ConsentPrompt, String), RedirectError> {
        let state = params.one("state")?;
        if state.is_some_and(|state| state.len() > STATE_LENGTH_MAX) {
            return Err(RedirectError::invalid_request("`state` is too long"));
        }
        let request = check(params, self.issuer())?;
        // One cookie serves all consent pages of a browser, so that two logins at a time do not disturb
        // each other. Anything that is not of our making is replaced.
        let ours = |value: &&str| id::from_base64url(value).is_some_and(|bytes| bytes.len() == 32);
        let browser = browser.filter(ours).map_or_else(id::random_token, str::to_owned);
        let authorization = Authorization {
            client_id: client.id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            state: state.map(str::to_owned),
            scope: request.scope,
            resource: request.resource,
            code_challenge: request.code_challenge,
            stage: Stage::Consent {
                browser_hash: id::hashed(&browser),
            },
            expires_at: self.now() + LOGIN_SECONDS,
        };
        let login = id::random_token();
        self.inner
            .store
            .put_authorization(&id::hashed(&login), &authorization)
            .await
            .map_err(|error| {
                tracing::error!(%error, "a login could not be stored");
                RedirectError::from(&error)
            })?;
        self.keep_client(client).await;
        Ok((self.prompt(login, &authorization, client, &browser), browser))
    }

    /// A redirect that tells the client an error, with `iss` (RFC 9207).
    pub(super) fn error_redirect(
        &self,
        redirect_uri: &str,
        state: Option<&str>,
        error: &RedirectError,
    ) -> String {
        let mut parameters = vec![("error", error.code), ("error_description", &error.description)];
        parameters.extend(state.map(|state| ("state", state)));
        parameters.push(("iss", self.issuer()));
        redirect::with_parameters(redirect_uri, &parameters)
    }
}

/// The rules, without I/O.
fn check(params: &Params, origin: &str) -> Result<Request, RedirectError> {
    match params.one("response_type")? {
        Some("code") => {}
        None => return Err(RedirectError::invalid_request("`response_type` is missing")),
        Some(_) => {
            return Err(RedirectError::new(
                "unsupported_response_type",
                "`response_type` must be `code`",
            ));
        }
    }
    if params.one("response_mode")?.is_some_and(|mode| mode != "query") {
        return Err(RedirectError::invalid_request("`response_mode` must be `query`"));
    }
    // An absent method means `plain` (RFC 7636 section 4.3), so it is refused like `plain` itself.
    if params.one("code_challenge_method")? != Some("S256") {
        return Err(RedirectError::invalid_request(
            "`code_challenge_method` must be `S256`",
        ));
    }
    let code_challenge = params
        .one("code_challenge")?
        .filter(|challenge| pkce::is_challenge(challenge))
        .ok_or_else(|| RedirectError::invalid_request("`code_challenge` must be an S256 challenge"))?;
    Ok(Request {
        scope: scope::grant(params.one("scope")?)?,
        resource: resource::resolve(origin, params.one("resource")?)?,
        code_challenge: code_challenge.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn judge(query: &str) -> Result<Request, RedirectError> {
        check(&Params::from_form(query.as_bytes()), "https://mcp.example.com")
    }

    #[test]
    fn a_request_without_options_gets_the_defaults() {
        let query = format!("response_type=code&code_challenge_method=S256&code_challenge={CHALLENGE}");
        let expected = Request {
            scope: "mcp".to_owned(),
            resource: "https://mcp.example.com/mcp".to_owned(),
            code_challenge: CHALLENGE.to_owned(),
        };
        assert_eq!(judge(&query), Ok(expected));
    }

    #[test]
    fn every_wrong_parameter_has_its_error_code() {
        let pkce = format!("code_challenge_method=S256&code_challenge={CHALLENGE}");
        for (query, code) in [
            (pkce.clone(), "invalid_request"),
            (format!("response_type=token&{pkce}"), "unsupported_response_type"),
            (
                format!("response_type=code&response_type=code&{pkce}"),
                "invalid_request",
            ),
            (
                format!("response_type=code&response_mode=fragment&{pkce}"),
                "invalid_request",
            ),
            ("response_type=code".to_owned(), "invalid_request"),
            (
                format!("response_type=code&code_challenge={CHALLENGE}"),
                "invalid_request",
            ),
            (
                format!("response_type=code&code_challenge_method=plain&code_challenge={CHALLENGE}"),
                "invalid_request",
            ),
            (
                "response_type=code&code_challenge_method=S256".to_owned(),
                "invalid_request",
            ),
            (
                "response_type=code&code_challenge_method=S256&code_challenge=short".to_owned(),
                "invalid_request",
            ),
            (format!("response_type=code&scope=admin&{pkce}"), "invalid_scope"),
            (
                format!("response_type=code&resource=https%3A%2F%2Fevil.example&{pkce}"),
                "invalid_target",
            ),
        ] {
            assert_eq!(judge(&query).map_err(|error| error.code), Err(code), "{query}");
        }
    }
}
