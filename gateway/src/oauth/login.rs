//! The return from Google: who is it, may they come in, and the code for the client.

use crate::id::{self, UserId};
use crate::model::authorization::{Authorization, Stage};
use crate::model::google::GoogleGrant;
use crate::model::grant::CodeGrant;
use crate::model::user::User;
use crate::oauth::consent::GOOGLE_SCOPES;
use crate::oauth::error::{PageError, RedirectError, Refusal};
use crate::oauth::params::Params;
use crate::oauth::{CALLBACK_PATH, OAuth, redirect};
use crate::oidc::{IdClaims, OidcError, TokenResponse};
use crate::secret::{Keyring, hmac_sha256};
use crate::store::StoreError;

/// A code is redeemed by a program at once; RFC 6749 section 4.1.2 recommends at most ten minutes.
const CODE_SECONDS: i64 = 60;

/// The keyring purpose of our PKCE verifiers towards Google.
const VERIFIER_PURPOSE: &str = "google pkce verifier";

/// A fresh `state` for Google and the PKCE verifier that belongs to it.
///
/// The verifier is derived, so it is stored nowhere. The state starts with the name of the key, so that
/// the login survives a rotation of the secret.
pub(super) fn new_state(keyring: &Keyring) -> (String, String) {
    let key = keyring.current(VERIFIER_PURPOSE);
    let state = format!("{}.{}", key.id, id::random_token());
    let verifier = id::base64url(&hmac_sha256(&key.bytes, state.as_bytes()));
    (state, verifier)
}

/// The verifier of a `state` that we made.
fn verifier(keyring: &Keyring, state: &str) -> Option<String> {
    let (key_id, _) = state.split_once('.')?;
    let keys = keyring.all(VERIFIER_PURPOSE);
    let key = keys.iter().find(|key| key.id == key_id)?;
    Some(id::base64url(&hmac_sha256(&key.bytes, state.as_bytes())))
}

/// What the name of a login's cookie ends in: enough of the state's hash to tell logins apart.
pub fn ticket_name(state: &str) -> String {
    id::hashed(state).chars().take(12).collect()
}

/// Whether a verified identity may use this gateway. `hd` is Google's word on the Workspace domain; the
/// domain of the address proves nothing, because anybody can have a Google account for any address.
fn admit(claims: &IdClaims, allowed_domain: &str) -> Result<(), Refusal> {
    match claims.hosted_domain.as_deref() {
        None => Err(Refusal::NoDomain),
        Some(domain) if domain != allowed_domain => Err(Refusal::OtherDomain),
        Some(_) if !claims.email_verified => Err(Refusal::Unverified),
        Some(_) => Ok(()),
    }
}

impl OAuth {
    /// Takes the browser back from Google; the result is where it goes next. `ticket` is the cookie of this
    /// login.
    ///
    /// The login is spent once its outcome is certain. While Google is out of reach it is not, so that
    /// loading the same URL again can succeed.
    pub async fn finish(&self, params: &Params, ticket: Option<&str>) -> Result<String, PageError> {
        let state = params.one("state")?.ok_or(PageError::UnknownLogin)?;
        let key = id::hashed(state);
        let authorization = self.inner.store.authorization(&key).await?;
        let authorization = authorization
            .filter(|a| a.expires_at > self.now())
            .ok_or(PageError::UnknownLogin)?;
        let Stage::Google { browser_hash, nonce } = &authorization.stage else {
            return Err(PageError::UnknownLogin);
        };
        if !ticket.is_some_and(|ticket| super::is_preimage(ticket, browser_hash)) {
            return Err(PageError::OtherBrowser);
        }
        if let Some(code) = params.one("error")? {
            return self.end(&key, &authorization, &provider_error(code)).await;
        }
        let code = params.one("code")?.ok_or(PageError::UnknownLogin)?;
        let verifier = verifier(&self.inner.keyring, state).ok_or(PageError::UnknownLogin)?;
        // Google's code works only once: not while what it brings could not be kept.
        self.inner.store.check_sealing().await?;
        match self.identify(code, &verifier, nonce).await {
            Ok((tokens, claims)) => self.welcome(&key, &authorization, tokens, claims).await,
            Err(error @ OidcError::Unreachable { .. }) => Err(PageError::Provider(error)),
            // Google's code was used before, perhaps by the same page loaded twice: that one decides.
            Err(OidcError::InvalidGrant) => Err(PageError::UnknownLogin),
            Err(error) => {
                tracing::error!(%error, "the identity provider's answer ends a login");
                let told = RedirectError::new(
                    "server_error",
                    "the gateway could not verify the login with Google; start again",
                );
                self.end(&key, &authorization, &told).await
            }
        }
    }

    /// Exchanges Google's code. The keys are fetched first, because the code works only once.
    async fn identify(
        &self,
        code: &str,
        verifier: &str,
        nonce: &str,
    ) -> Result<(TokenResponse, IdClaims), OidcError> {
        let provider = &self.inner.provider;
        provider.prepare().await?;
        let callback = format!("{}{CALLBACK_PATH}", self.issuer());
        let tokens = provider.exchange(code, &callback, verifier).await?;
        let id_token = tokens.id_token.as_deref().ok_or_else(|| OidcError::Malformed {
            detail: "the token response carries no ID token".to_owned(),
        })?;
        let claims = provider.verify_id_token(id_token, nonce).await?;
        Ok((tokens, claims))
    }

    /// Admits the person, keeps what Google granted, and issues the code.
    async fn welcome(
        &self,
        key: &str,
        authorization: &Authorization,
        tokens: TokenResponse,
        claims: IdClaims,
    ) -> Result<String, PageError> {
        if let Err(refusal) = admit(&claims, &self.inner.allowed_domain) {
            let denied = RedirectError::new("access_denied", refusal.to_string());
            return Err(PageError::NotAdmitted {
                refusal,
                email: claims.email,
                allowed_domain: self.inner.allowed_domain.clone(),
                back: self.end(key, authorization, &denied).await?,
            });
        }
        let store = &self.inner.store;
        let user = UserId::new(claims.subject);
        if !self.keep_google_grant(&user, tokens).await? {
            let told = RedirectError::new(
                "server_error",
                "Google sent no refresh token; remove the gateway's access in the Google account and log in again",
            );
            return self.end(key, authorization, &told).await;
        }
        store
            .put_user(&User {
                id: user.clone(),
                email: claims.email.clone(),
                name: claims.name,
                domain: self.inner.allowed_domain.clone(),
                last_login_at: self.now(),
            })
            .await?;
        self.take(key).await?;
        let code = id::random_token();
        let grant = CodeGrant {
            user,
            email: claims.email,
            client_id: authorization.client_id.clone(),
            redirect_uri: authorization.redirect_uri.clone(),
            code_challenge: authorization.code_challenge.clone(),
            scope: authorization.scope.clone(),
            resource: authorization.resource.clone(),
            expires_at: self.now() + CODE_SECONDS,
        };
        if let Err(error) = store.put_code(&id::hashed(&code), &grant).await {
            tracing::error!(%error, "a code could not be stored");
            return Ok(self.answer_error(authorization, &RedirectError::from(&error)));
        }
        tracing::info!(user = %grant.user, client_id = %grant.client_id, "a person logged in");
        let mut parameters = vec![("code", code.as_str())];
        parameters.extend(authorization.state.as_deref().map(|state| ("state", state)));
        parameters.push(("iss", self.issuer()));
        Ok(redirect::with_parameters(
            &authorization.redirect_uri,
            &parameters,
        ))
    }

    /// Stores Google's tokens. Google may leave out the refresh token for a person it knows; then a stored one that
    /// still works serves on. `false`: there is none at all.
    async fn keep_google_grant(&self, user: &UserId, tokens: TokenResponse) -> Result<bool, PageError> {
        let store = &self.inner.store;
        let grant = |refresh_token| GoogleGrant {
            access_token: tokens.access_token.clone(),
            refresh_token,
            scope: if tokens.scope.is_empty() {
                GOOGLE_SCOPES.to_owned()
            } else {
                tokens.scope.clone()
            },
            expires_at: tokens.expires_at.as_second(),
            reauth_required: false,
        };
        if let Some(refresh_token) = tokens.refresh_token.clone() {
            store.put_google_grant(user, &grant(refresh_token)).await?;
            return Ok(true);
        }
        loop {
            let stored = store.stored_google_grant(user).await?;
            let Some(stored) = stored.filter(|stored| !stored.grant.reauth_required) else {
                return Ok(false);
            };
            let next = grant(stored.grant.refresh_token.clone());
            match store.replace_google_grant(user, &stored, next).await {
                Ok(_) => return Ok(true),
                // A refresh of this moment may have brought another refresh token.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Spends the login and tells the client an error.
    async fn end(
        &self,
        key: &str,
        authorization: &Authorization,
        error: &RedirectError,
    ) -> Result<String, PageError> {
        self.take(key).await?;
        tracing::warn!(client_id = %authorization.client_id, %error, "a login failed");
        Ok(self.answer_error(authorization, error))
    }

    async fn take(&self, key: &str) -> Result<(), PageError> {
        let taken = self.inner.store.take_authorization_once(key).await?;
        taken.map(|_| ()).ok_or(PageError::UnknownLogin)
    }
}

/// Google's `error` in our words; its own text is not passed on.
fn provider_error(code: &str) -> RedirectError {
    match code {
        "access_denied" => RedirectError::new("access_denied", "the person did not sign in with Google"),
        "temporarily_unavailable" | "server_error" => RedirectError::new(
            "temporarily_unavailable",
            "Google is not available now; try again",
        ),
        _ => RedirectError::new("access_denied", "Google refused the sign-in"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(hosted_domain: Option<&str>, email: &str, email_verified: bool) -> IdClaims {
        IdClaims {
            subject: "1001".into(),
            email: email.into(),
            email_verified,
            hosted_domain: hosted_domain.map(str::to_owned),
            name: None,
        }
    }

    #[test]
    fn only_a_verified_account_of_the_domain_is_admitted() {
        for (hosted_domain, email, verified, expected) in [
            (Some("example.com"), "ana@example.com", true, Ok(())),
            // A secondary domain of the same Workspace.
            (Some("example.com"), "ana@sub.example.com", true, Ok(())),
            (None, "ana@example.com", true, Err(Refusal::NoDomain)),
            (
                Some("example.org"),
                "ana@example.com",
                true,
                Err(Refusal::OtherDomain),
            ),
            (
                Some("sub.example.com"),
                "ana@example.com",
                true,
                Err(Refusal::OtherDomain),
            ),
            (
                Some("example.com.evil.example"),
                "ana@example.com",
                true,
                Err(Refusal::OtherDomain),
            ),
            (Some(""), "ana@example.com", true, Err(Refusal::OtherDomain)),
            (
                Some("example.com"),
                "ana@example.com",
                false,
                Err(Refusal::Unverified),
            ),
        ] {
            let claims = claims(hosted_domain, email, verified);
            assert_eq!(admit(&claims, "example.com"), expected, "{claims:?}");
        }
    }

    #[test]
    fn the_verifier_follows_from_the_state_even_after_a_rotation() {
        let old = Keyring::new("first".to_owned().into(), Vec::new());
        let (state, made) = new_state(&old);
        assert_eq!(verifier(&old, &state), Some(made.clone()));
        let rotated = Keyring::new("second".to_owned().into(), vec!["first".to_owned().into()]);
        assert_eq!(verifier(&rotated, &state), Some(made.clone()));
        assert_ne!(verifier(&old, &format!("{state}x")), Some(made));
        assert_eq!(verifier(&old, "no dot"), None);
        let unrelated = Keyring::new("third".to_owned().into(), Vec::new());
        assert_eq!(verifier(&unrelated, &state), None);
    }
}
