//! Responses that are event streams: of a call at work, of a call that is taken up again, and idle ones.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http::{HeaderValue, header};
use tokio::time::Instant;

use super::{Refused, json_response, unavailable};
use crate::mcp::running::{RunningCall, Step};
use crate::mcp::sse;
use crate::mcp::wheel::IdleStream;
use crate::model::principal::Principal;
use crate::web::App;
use crate::web::accept::Takeover;

/// How long a response may stay without its first byte. Proxies that give up on one do so after 29 s and more.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(25);

/// A fast call is one JSON response; a slow or talkative one turns into an event stream.
///
/// A client that cannot come back for its result gets a stream only when something has to be written, lest a proxy take
/// the connection for dead: that a response which had not begun was broken off every client learns at once, while it
/// waits for the rest of a stream until its own patience is over.
pub(super) async fn answer_call(app: &App, principal: &Principal, mut call: RunningCall) -> Response {
    let config = &app.config.mcp;
    let patience = if call.can_be_resumed() {
        config.slow_after
    } else {
        app.clock.interval(SILENT_MAX)
    };
    let first = match tokio::time::timeout(patience, call.next()).await {
        Ok(Step::Response(body)) => return json_response(200, body),
        Ok(message) => Some(message),
        Err(_) => None,
    };
    event_stream(app, principal, app.mcp.events(call, first).await)
}

/// Events as they come, a comment at once, and one whenever nothing was sent for `SSE_KEEPALIVE_INTERVAL`. The stream
/// ends when the grant that it was opened under is denied.
pub(super) fn event_stream(app: &App, principal: &Principal, events: BoxStream<'static, Bytes>) -> Response {
    let interval = app.config.mcp.keepalive_interval;
    let denial = app.bearer.denial(Arc::clone(&principal.grant));
    let commented = stream::unfold((events, Instant::now()), move |(mut events, last)| async move {
        let event = match tokio::time::timeout_at(last + interval, events.next()).await {
            Ok(event) => event?,
            Err(_) => Bytes::from_static(sse::KEEP_ALIVE),
        };
        Some((event, (events, Instant::now())))
    });
    let start = stream::iter([Bytes::from_static(sse::KEEP_ALIVE)]);
    let body = start.chain(commented).take_until(denial).map(Ok::<_, Infallible>);
    event_response(Body::from_stream(body))
}

/// A response with these events.
pub(super) fn event_response(events: Body) -> Response {
    let mut response = Response::new(events);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Leaves hyper: the wheel answers this request.
pub(super) async fn idle(stream: IdleStream, takeover: Option<Takeover>) -> Result<Response, Refused> {
    let Some(takeover) = takeover else {
        return Err(unavailable(
            "streams need a connection of the gateway's own listener",
        ));
    };
    match takeover.become_idle(stream).await {}
}
