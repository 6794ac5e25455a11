//! The refresh grant (RFC 6749 section 6) with rotation: one conditional write, and a grace window for retries.

use crate::model::client::Client;
use crate::model::grant::RefreshFamily;
use crate::oauth::OAuth;
use crate::oauth::params::Params;
use crate::oauth::refresh_token::{self, FamilyId, Verdict};
use crate::oauth::scope;
use crate::oauth::token::{Holder, REFRESH_SECONDS, TokenRefusal, Tokens};
use crate::store::StoreError;

impl OAuth {
    /// Exchanges a refresh token for its successor and an access token.
    ///
    /// Any number of requests with the same token get the same successor within the grace window, because a
    /// client that lost the answer, or shares the token among windows, must not lose the login.
    pub(super) async fn refresh(&self, params: &Params, client: &Client) -> Result<Tokens, TokenRefusal> {
        let token = params
            .one("refresh_token")?
            .ok_or(TokenRefusal::Missing("refresh_token"))?;
        let (family_id, generation) =
            refresh_token::decode(&self.inner.keyring, token).ok_or(TokenRefusal::UnknownRefresh)?;
        let family_hash = family_id.hash();
        let family = self.family(&family_hash).await?;
        if family.client_id != client.id {
            return Err(TokenRefusal::ForeignRefresh);
        }
        if params
            .one("resource")?
            .is_some_and(|asked| !self.is_resource(asked, &family.resource))
        {
            return Err(TokenRefusal::WrongResource);
        }
        scope::grant(params.one("scope")?).map_err(|_| TokenRefusal::WrongScope)?;

        let request = Presented {
            family_id,
            generation,
            client,
        };
        match refresh_token::judge(&family, generation, self.now()) {
            Verdict::Rotate => self.rotate(&request, &family_hash, &family).await,
            Verdict::Repeat => self.successor(&request, &family_hash, &family),
            Verdict::Replay => self.end_family(&family_hash).await,
            Verdict::Dead => Err(TokenRefusal::UnknownRefresh),
        }
    }

    async fn rotate(
        &self,
        request: &Presented<'_>,
        family_hash: &str,
        family: &RefreshFamily,
    ) -> Result<Tokens, TokenRefusal> {
        // Signed before the token is spent, so that nothing can fail afterwards.
        let tokens = self.successor(request, family_hash, family)?;
        let now = self.now();
        let rotated = self
            .inner
            .store
            .rotate_refresh(family_hash, request.generation, now, now + REFRESH_SECONDS)
            .await;
        let failure = match rotated {
            Ok(()) => return Ok(tokens),
            Err(failure @ (StoreError::Throttled { .. } | StoreError::Corrupt { .. })) => {
                return Err(failure.into());
            }
            Err(failure) => failure,
        };
        // Another request was faster, or the write happened and its answer got lost. One look tells; without
        // it the client would be told to retry, perhaps after the grace window.
        let family = self.family(family_hash).await?;
        match refresh_token::judge(&family, request.generation, self.now()) {
            Verdict::Repeat => self.successor(request, family_hash, &family),
            Verdict::Rotate => Err(failure.into()),
            Verdict::Replay => self.end_family(family_hash).await,
            Verdict::Dead => Err(TokenRefusal::UnknownRefresh),
        }
    }

    /// The response with the token that follows the presented one.
    fn successor(
        &self,
        request: &Presented<'_>,
        family_hash: &str,
        family: &RefreshFamily,
    ) -> Result<Tokens, TokenRefusal> {
        let holder = Holder {
            user: &family.user,
            email: &family.email,
            client: request.client,
            scope: &family.scope,
            resource: &family.resource,
            family_hash,
        };
        let next = request.generation.saturating_add(1);
        self.tokens(
            &holder,
            refresh_token::encode(&self.inner.keyring, &request.family_id, next),
        )
    }

    async fn family(&self, family_hash: &str) -> Result<RefreshFamily, TokenRefusal> {
        let family = self.inner.store.refresh_family(family_hash).await?;
        family.ok_or(TokenRefusal::UnknownRefresh)
    }

    async fn end_family(&self, family_hash: &str) -> Result<Tokens, TokenRefusal> {
        self.end_grant(family_hash).await?;
        Err(TokenRefusal::RefreshReplayed)
    }
}

/// The refresh token of a request, taken apart.
#[derive(Clone, Copy, Debug)]
struct Presented<'a> {
    family_id: FamilyId,
    generation: u32,
    client: &'a Client,
}
