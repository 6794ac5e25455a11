//! The one place that talks to Google's APIs: base URLs, deadlines, retries, bounds, cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::Reachability;
use super::credentials::{Bearer, Credentials};
use super::error::{ErrorCode, Refusal, ToolError};
use super::request::Request;
use super::retry;
use crate::clock::Clock;
use crate::id;
use crate::model::call::{CallContext, CallEvent};
use crate::oidc::Provider;

/// Tries of one request, the first one included.
const TRIES: u32 = 3;
/// What a caller is told to wait when Google names no time: its quotas are counted per minute.
const QUOTA_WINDOW: Duration = Duration::from_mins(1);
/// How long before the end of its budget a call gives up by itself, so that it can say what was silent
/// before the dispatcher cuts it off.
const CALL_MARGIN: Duration = Duration::from_millis(50);
/// What a call waits for when it needs a token.
const TOKEN_ENDPOINT: &str = "Google's token endpoint";
/// The largest error body that is read.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// The bounds of a call. Tests shorten them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// One attempt, from the first byte sent to the last one received.
    pub(crate) attempt: Duration,
    /// One tool call with all its requests and pauses: below the 60 s after which clients give up.
    pub(crate) call: Duration,
    /// The ceiling of the first pause; it doubles.
    pub(crate) backoff: Duration,
    /// The largest body.
    pub(crate) body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(20),
            call: Duration::from_secs(55),
            backoff: Duration::from_millis(500),
            body_bytes: 10 * 1024 * 1024,
        }
    }
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The whole body.
    pub(crate) body: Vec<u8>,
    /// `Content-Type`.
    pub(crate) content_type: Option<String>,
}

/// Why an attempt has no answer.
enum Failure {
    /// Google said no, and perhaps when to come back.
    Refused(Refusal, Option<Duration>),
    /// The attempt's time was over.
    Silent,
    /// The connection failed before the last byte.
    Broken(String),
    /// Another attempt would end the same way.
    Final(ToolError),
}

/// The client of all APIs, for all people.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Option<Url>,
    pub(crate) credentials: Credentials,
    pub(crate) provider: Provider,
    pub(crate) clock: Clock,
    limits: Limits,
}

impl Client {
    /// Wires the client. No network.
    pub(crate) fn new(
        http: reqwest::Client,
        base: Option<Url>,
        credentials: Credentials,
        provider: Provider,
        clock: Clock,
        limits: Limits,
    ) -> Self {
        Self {
            http,
            base,
            credentials,
            provider,
            clock,
            limits,
        }
    }

    /// How the last request went.
    pub(crate) fn reachability(&self) -> Reachability {
        self.credentials.last_answer.reachability()
    }

    fn observe(&self, reachable: bool) {
        self.credentials.last_answer.note(reachable);
    }

    /// One attempt. The caller bounds its time.
    async fn attempt(&self, url: &Url, bearer: &Bearer) -> Result<Answer, Failure> {
        let request = self
            .http
            .get(url.clone())
            .bearer_auth(bearer.token.expose_secret());
        let response = request.send().await.map_err(broken)?;
        let status = response.status();
        self.observe(!status.is_server_error());
        let header = |name| response.headers().get(name);
        if !status.is_success() {
            let retry_after = retry::retry_after(header(RETRY_AFTER), self.clock.now());
            // A refusal whose body is cut off or endless still has a status.
            let body = read(response, REFUSAL_BYTES_MAX).await.unwrap_or_default();
            return Err(Failure::Refused(Refusal::read(status, &body), retry_after));
        }
        let content_type = header(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = read(response, self.limits.body_bytes).await?;
        Ok(Answer { body, content_type })
    }
}

/// One tool call of one person: all its requests share the deadline.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The client.
    pub(crate) client: &'a Client,
    /// Who asks, and until when.
    pub(crate) context: &'a CallContext,
    deadline: Instant,
    pauses: AtomicU32,
}

impl<'a> Call<'a> {
    /// Starts the clock of a call.
    pub(crate) fn new(client: &'a Client, context: &'a CallContext) -> Self {
        let remaining = context.remaining().saturating_sub(CALL_MARGIN);
        let budget = client.limits.call.min(remaining);
        Self {
            client,
            context,
            deadline: Instant::now() + budget,
            pauses: AtomicU32::new(0),
        }
    }

    /// The person's token, for facts about it.
    pub(crate) async fn bearer(&self) -> Result<Arc<Bearer>, ToolError> {
        let credentials = &self.client.credentials;
        self.waiting(TOKEN_ENDPOINT, credentials.bearer(&self.context.principal.user))
            .await?
    }

    /// A JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ToolError> {
        let api = request.product.name();
        parse(api, &self.bytes(request).await?)
    }

    /// Any answer.
    pub(crate) async fn bytes(&self, request: &Request) -> Result<Answer, ToolError> {
        let url = request.url(self.client.base.as_ref())?;
        self.fetch(&url, request.product.name()).await
    }

    /// A JSON answer of the identity provider's endpoint that tells who the token's owner is.
    pub(crate) async fn userinfo<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        const API: &str = "Google userinfo";
        let metadata = self.waiting(API, self.client.provider.metadata()).await?;
        let metadata = metadata.map_err(|error| {
            tracing::warn!(%error, "no discovery document");
            self.client.observe(false);
            ToolError::new(
                ErrorCode::UpstreamUnavailable,
                "Google's identity service did not answer",
            )
        })?;
        parse(API, &self.fetch(&metadata.userinfo_endpoint, API).await?)
    }

    /// Tries until there is an answer, or none is to be expected within the deadline.
    async fn fetch(&self, url: &Url, api: &str) -> Result<Answer, ToolError> {
        let user = &self.context.principal.user;
        let credentials = &self.client.credentials;
        let mut bearer = self.waiting(TOKEN_ENDPOINT, credentials.bearer(user)).await??;
        let mut renewed = false;
        let mut tried = 0;
        loop {
            let limit = self.client.limits.attempt;
            let attempt = tokio::time::timeout(limit, self.client.attempt(url, &bearer));
            let failure = match self.waiting(api, attempt).await? {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Silent,
            };
            match &failure {
                Failure::Refused(refusal, _) if refusal.status == 401 && !renewed => {
                    let renewal = credentials.renewed(user, &bearer);
                    bearer = self.waiting(TOKEN_ENDPOINT, renewal).await??;
                    renewed = true;
                    continue;
                }
                Failure::Refused(refusal, _) if refusal.code() == ErrorCode::InsufficientScope => {
                    credentials.forget(user).await;
                }
                Failure::Silent | Failure::Broken(_) => self.client.observe(false),
                Failure::Refused(..) | Failure::Final(_) => {}
            }
            tried += 1;
            self.pause(failure, tried, api).await?;
        }
    }

    /// Waits before the next try, or gives up.
    async fn pause(&self, failure: Failure, tried: u32, api: &str) -> Result<(), ToolError> {
        let (transient, asked, error) = match failure {
            Failure::Refused(refusal, asked) => {
                (refusal.is_transient(), asked, refusal.into_error(api, asked))
            }
            Failure::Silent => (true, None, late(api)),
            Failure::Broken(detail) => {
                tracing::warn!(api, detail, "the connection to Google failed");
                let message = format!("the connection to {api} failed");
                (
                    true,
                    None,
                    ToolError::new(ErrorCode::UpstreamUnavailable, message),
                )
            }
            Failure::Final(error) => return Err(error),
        };
        let draw = u64::from_le_bytes(id::random());
        let wait = asked.unwrap_or_else(|| retry::backoff(self.client.limits.backoff, tried, draw));
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        if !transient || tried >= TRIES || wait >= remaining {
            let limited = error.code == ErrorCode::RateLimited;
            let retry_after = asked.or(limited.then_some(QUOTA_WINDOW));
            return Err(error.after(retry_after));
        }
        self.report(&error, wait, tried);
        self.waiting(api, tokio::time::sleep(wait)).await
    }

    /// A slow call tells why, so that neither the client nor the person thinks it is stuck.
    fn report(&self, error: &ToolError, wait: Duration, tried: u32) {
        tracing::info!(code = error.code.as_str(), tried, ?wait, "asking Google again");
        let seconds = wait.as_secs_f64();
        let next = tried + 1;
        self.context.report(CallEvent::Warning {
            message: format!("{error}; trying again in {seconds:.1} s (try {next} of {TRIES})"),
        });
        let done = self.pauses.fetch_add(1, Ordering::Relaxed) + 1;
        self.context.report(CallEvent::Progress {
            done: f64::from(done),
            total: None,
            message: format!("waiting {seconds:.1} s for Google"),
        });
    }

    /// Waits for `work` of `api` until the call is cancelled or out of time.
    async fn waiting<T>(&self, api: &str, work: impl Future<Output = T>) -> Result<T, ToolError> {
        let bounded = tokio::time::timeout_at(self.deadline, work);
        match self.context.cancel.run_until_cancelled(bounded).await {
            None => Err(ToolError::new(ErrorCode::Cancelled, "the call was cancelled")),
            Some(Err(_)) => {
                self.client.observe(false);
                Err(late(api))
            }
            Some(Ok(value)) => Ok(value),
        }
    }
}

fn late(api: &str) -> ToolError {
    ToolError::new(ErrorCode::Timeout, format!("{api} did not answer in time"))
}

fn parse<T: DeserializeOwned>(api: &str, answer: &Answer) -> Result<T, ToolError> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        tracing::warn!(api, %error, "an answer of Google is not what its API promises");
        let message = format!("{api} gave an unreadable answer");
        ToolError::new(ErrorCode::UpstreamUnavailable, message)
    })
}

fn broken(error: reqwest::Error) -> Failure {
    // A shared client may have a shorter timeout of its own.
    if error.is_timeout() {
        return Failure::Silent;
    }
    Failure::Broken(format!("{:?}", error.without_url()))
}

/// Reads a body that must not be longer than `max` bytes.
async fn read(mut response: reqwest::Response, max: usize) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        let message = format!("the content is larger than {} MiB", max / (1024 * 1024));
        Failure::Final(ToolError::new(ErrorCode::TooLarge, message))
    };
    if response
        .content_length()
        .is_some_and(|length| length > max as u64)
    {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > max {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
