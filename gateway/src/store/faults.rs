//! A layer in front of the engine in memory: it counts requests, and plays an engine that throttles, fails, takes its
//! time, hangs, loses answers or is gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None: the request goes through.
    Pass,
    /// The engine refuses with this status, error type and (for a transaction) reason.
    Refuse(u16, &'static str, Option<&'static str>),
    /// No answer, ever.
    Hang,
    /// The engine does its work; the answer gets lost.
    LoseAnswer,
    /// Nobody listens.
    Gone,
}

impl Fault {
    /// DynamoDB's refusal of one request too many.
    pub const THROTTLE: Self = Self::Refuse(400, "ProvisionedThroughputExceededException", None);
    /// An engine that fails.
    pub const BREAK: Self = Self::Refuse(500, "InternalServerError", None);
}

/// Decides what happens to requests on their way to the engine. Clones are the same layer.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// For the next requests, one each.
    next: VecDeque<Fault>,
    /// For every request while it lasts.
    always: Option<Fault>,
    /// Of a hundred requests, how many are throttled.
    throttled_percent: u64,
    latency: Duration,
    counts: BTreeMap<String, usize>,
    /// The idempotency token of every transaction that was sent.
    tokens: Vec<String>,
    /// A sequence that looks random and is the same in each run.
    dice: u64,
}

impl Faults {
    /// Gives each of the next requests its fault; what waited before is dropped.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().next = faults.into_iter().collect();
    }

    /// How many of those still wait for their request.
    pub fn left(&self) -> usize {
        self.state().next.len()
    }

    /// Gives every request this fault from now on.
    pub fn always(&self, fault: Fault) {
        self.state().always = Some(fault);
    }

    /// Throttles so many of a hundred requests.
    pub fn throttle(&self, percent: u64) {
        self.state().throttled_percent = percent;
    }

    /// Lets every request wait before it reaches the engine.
    pub fn delay(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Ends every fault.
    pub fn end(&self) {
        let mut state = self.state();
        state.next.clear();
        state.always = None;
        state.throttled_percent = 0;
        state.latency = Duration::ZERO;
    }

    /// Requests so far by operation and row type (`GetItem session`), whatever became of them.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.state().counts.clone()
    }

    /// Requests so far, every attempt counted.
    pub fn requests(&self) -> usize {
        self.state().counts.values().sum()
    }

    /// The idempotency tokens of the transactions so far, one per attempt.
    pub fn tokens(&self) -> Vec<String> {
        self.state().tokens.clone()
    }

    /// This layer in front of `engine`.
    pub(super) fn before(&self, engine: impl HttpConnector + 'static) -> impl HttpConnector + 'static {
        Layer {
            faults: self.clone(),
            engine: SharedHttpConnector::new(engine),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and decides what happens to it, and how long it waits before.
    fn decide(&self, request: &HttpRequest) -> (Option<Fault>, Duration) {
        let mut state = self.state();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let pk = ["/Key/pk/S", "/Item/pk/S"]
            .iter()
            .find_map(|path| body.pointer(path).and_then(Value::as_str));
        let name = match pk.and_then(|pk| pk.split('#').next()) {
            Some(row_type) => format!("{operation} {row_type}"),
            None => operation.to_owned(),
        };
        *state.counts.entry(name).or_default() += 1;
        if let Some(token) = body.get("ClientRequestToken").and_then(Value::as_str) {
            state.tokens.push(token.to_owned());
        }
        let fault = state.next.pop_front().or(state.always);
        let throttled = state.roll() < state.throttled_percent;
        (fault.or(throttled.then_some(Fault::THROTTLE)), state.latency)
    }
}

impl State {
    /// From 0 to 99.
    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.dice ^ (self.dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % 100
    }
}

#[derive(Debug)]
struct Layer {
    faults: Faults,
    engine: SharedHttpConnector,
}

impl HttpConnector for Layer {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (fault, latency) = self.faults.decide(&request);
        let engine = self.engine.clone();
        HttpConnectorFuture::new(async move {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            match fault {
                None | Some(Fault::Pass) => engine.call(request).await,
                Some(Fault::Refuse(status, error, reason)) => refuse(status, error, reason),
                Some(Fault::Hang) => std::future::pending().await,
                Some(Fault::LoseAnswer) => {
                    engine.call(request).await?;
                    std::future::pending().await
                }
                Some(Fault::Gone) => Err(ConnectorError::io("connection refused".into())),
            }
        })
    }
}

/// An error as the engine words it.
fn refuse(status: u16, error: &str, reason: Option<&str>) -> Result<HttpResponse, ConnectorError> {
    let reasons: Vec<_> = reason.iter().map(|code| json!({ "Code": code })).collect();
    let body = json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{error}"),
        "CancellationReasons": reasons,
    });
    let status = StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
    Ok(HttpResponse::new(status, SdkBody::from(body.to_string())))
}

/// A store in memory whose clock stands still, and the layer in front of its engine.
#[cfg(test)]
pub(crate) async fn store() -> (super::Store, Faults) {
    use crate::clock::Clock;
    use crate::config::StoreConfig;
    use crate::config::store::Backend;

    let config = StoreConfig {
        backend: Backend::Memory,
        sessions_table: "sessions".into(),
        tokens_table: "tokens".into(),
    };
    let clock = Clock::manual(jiff::Timestamp::from_second(1_800_000_000).unwrap());
    let store = super::Store::open(&config, clock).unwrap();
    store.prepare().await.unwrap();
    let faults = store.faults().unwrap().clone();
    (store, faults)
}
