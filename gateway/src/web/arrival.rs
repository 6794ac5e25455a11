//! The bodies of requests have to arrive in time, whichever route reads them.
//!
//! Heads and idle connections have timeouts of their own (`phase`); once a head is complete only the body can hold
//! a connection without end.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// How long a body may take as a whole.
const WHOLE: Duration = Duration::from_secs(30);
/// How long a body may pause.
const PAUSE: Duration = Duration::from_secs(10);

/// A body that paused or took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body took too long to arrive")]
pub(super) struct TooSlow;

impl TooSlow {
    /// Whether `error`, or what caused it, is this.
    pub(super) fn caused(error: &(dyn std::error::Error + 'static)) -> bool {
        error.is::<Self>() || error.source().is_some_and(Self::caused)
    }
}

/// The body of one request, with an end. A body that is there already costs no timer.
#[derive(Debug)]
pub(super) struct Arriving<B> {
    body: B,
    began: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B> Arriving<B> {
    /// Starts the clock of `body`.
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            began: Instant::now(),
            timer: None,
        }
    }
}

impl<B> HttpBody for Arriving<B>
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let end = self.began + WHOLE;
        let timer = self.timer.get_or_insert_with(|| {
            let deadline = end.min(Instant::now() + PAUSE);
            Box::pin(tokio::time::sleep_until(deadline))
        });
        timer.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;

    /// Two bytes every `pause`, `count` times; how long it took and what came of it.
    async fn arrival(pause: Duration, count: usize) -> (Duration, Result<usize, bool>) {
        let bytes = stream::unfold(0, move |sent| async move {
            tokio::time::sleep(pause).await;
            (sent < count).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(b"xy")), sent + 1))
        });
        let began = Instant::now();
        let body = Arriving::new(Body::from_stream(bytes)).collect().await;
        let outcome = body.map(|body| body.to_bytes().len());
        (began.elapsed(), outcome.map_err(|error| TooSlow::caused(&*error)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_coming_arrives() {
        assert_eq!(arrival(Duration::from_secs(4), 5).await.1, Ok(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_is_too_slow() {
        let (took, outcome) = arrival(Duration::from_secs(11), 2).await;
        assert_eq!(outcome, Err(true));
        assert!(took < Duration::from_secs(11), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drip_is_too_slow_in_the_end() {
        let (took, outcome) = arrival(Duration::from_secs(4), 100).await;
        assert_eq!(outcome, Err(true));
        assert!(took < Duration::from_secs(31), "{took:?}");
    }
}
