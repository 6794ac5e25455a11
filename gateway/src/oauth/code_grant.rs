//! The authorization code grant (RFC 6749 section 4.1.3): everything is checked before the code is spent.

use crate::id;
use crate::model::client::Client;
use crate::model::grant::{CodeGrant, RefreshFamily};
use crate::oauth::params::Params;
use crate::oauth::refresh_token::{self, FamilyId};
use crate::oauth::token::{Holder, REFRESH_SECONDS, TokenRefusal, Tokens};
use crate::oauth::{OAuth, pkce, resource};
use crate::store::StoreError;

impl OAuth {
    /// Redeems a code. A request that is refused leaves the code redeemable by the right one; a code that
    /// comes a second time, with everything that only its owner knows, ends the tokens of the first time.
    pub(super) async fn redeem_code(&self, params: &Params, client: &Client) -> Result<Tokens, TokenRefusal> {
        let code = params.one("code")?.ok_or(TokenRefusal::Missing("code"))?;
        let code_hash = id::hashed(code);
        let row = self.inner.store.code(&code_hash).await?;
        let row = row.ok_or(TokenRefusal::UnknownCode)?;
        let grant = row.grant;
        check_owner(params, client, &grant)?;
        if let Some(family_hash) = row.redeemed_by {
            self.end_grant(&family_hash).await?;
            return Err(TokenRefusal::CodeReplayed);
        }
        if params
            .one("resource")?
            .is_some_and(|asked| !self.is_resource(asked, &grant.resource))
        {
            return Err(TokenRefusal::WrongResource);
        }
        let now = self.now();
        if grant.expires_at <= now {
            return Err(TokenRefusal::CodeExpired);
        }

        let family_id = FamilyId::random();
        let family_hash = family_id.hash();
        // Signed before the code is spent, so that nothing can fail afterwards.
        let holder = Holder {
            user: &grant.user,
            email: &grant.email,
            client,
            scope: &grant.scope,
            resource: &grant.resource,
            family_hash: &family_hash,
        };
        let tokens = self.tokens(&holder, refresh_token::encode(&self.inner.keyring, &family_id, 0))?;
        let family = RefreshFamily {
            user: grant.user.clone(),
            email: grant.email.clone(),
            client_id: client.id.clone(),
            scope: grant.scope.clone(),
            resource: grant.resource.clone(),
            generation: 0,
            rotated_at: now,
            revoked: false,
            expires_at: now + REFRESH_SECONDS,
        };
        match self
            .inner
            .store
            .redeem_code_once(&code_hash, &family_hash, &family)
            .await
        {
            Ok(()) => Ok(tokens),
            Err(StoreError::Conflict) => Err(self.lost_code(&code_hash).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Somebody redeemed the code between our look and our write: a replay like any other.
    async fn lost_code(&self, code_hash: &str) -> Result<TokenRefusal, StoreError> {
        let row = self.inner.store.code(code_hash).await?;
        match row.and_then(|row| row.redeemed_by) {
            Some(family_hash) => {
                self.end_grant(&family_hash).await?;
                Ok(TokenRefusal::CodeReplayed)
            }
            None => Ok(TokenRefusal::Store(StoreError::Conflict)),
        }
    }

    /// Whether a requested `resource` is the granted one, in any spelling.
    pub(super) fn is_resource(&self, asked: &str, granted: &str) -> bool {
        resource::resolve(self.issuer(), Some(asked)).is_ok_and(|asked| asked == granted)
    }
}

/// What proves that the request comes from where the code was sent.
fn check_owner(params: &Params, client: &Client, grant: &CodeGrant) -> Result<(), TokenRefusal> {
    if grant.client_id != client.id {
        return Err(TokenRefusal::ForeignCode);
    }
    // OAuth 2.1 (draft 10 and later) sends none: the verifier proves the same and more. One that is sent has to fit.
    let redirect_uri = params.one("redirect_uri")?;
    if redirect_uri.is_some_and(|sent| sent != grant.redirect_uri) {
        return Err(TokenRefusal::WrongRedirect);
    }
    let verifier = params
        .one("code_verifier")?
        .ok_or(TokenRefusal::Missing("code_verifier"))?;
    if !pkce::verify(verifier, &grant.code_challenge) {
        return Err(TokenRefusal::WrongVerifier);
    }
    Ok(())
}
