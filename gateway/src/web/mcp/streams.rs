//! Responses that are event streams: of a call at work, of a call that is taken up again, and idle ones.

use std::convert::Infallible;
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
use crate::web::App;
use crate::web::accept::Takeover;

/// A fast call is one JSON response; a slow or talkative one turns into an event stream.
pub(super) async fn answer_call(app: &App, mut call: RunningCall) -> Response {
    let first = match tokio::time::timeout(app.config.mcp.slow_after, call.next()).await {
        Ok(Step::Response(body)) => return json_response(200, body),
        Ok(message) => Some(message),
        Err(_) => None,
    };
    event_stream(app.mcp.events(call, first), app.config.mcp.keepalive_interval)
}

/// Events as they come, a comment at once, and one whenever nothing was sent for `interval`.
pub(super) fn event_stream(events: BoxStream<'static, Bytes>, interval: Duration) -> Response {
    let commented = stream::unfold((events, Instant::now()), move |(mut events, last)| async move {
        let event = match tokio::time::timeout_at(last + interval, events.next()).await {
            Ok(event) => event?,
            Err(_) => Bytes::from_static(sse::KEEP_ALIVE),
        };
        Some((event, (events, Instant::now())))
    });
    let start = stream::iter([Bytes::from_static(sse::KEEP_ALIVE)]);
    let body = start.chain(commented).map(Ok::<_, Infallible>);
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
