//! What a connection is doing, so that each phase has its own timeout.
//!
//! hyper's own header timeout also runs on idle connections, so it cannot tell a slow attacker (10 s) from
//! a load balancer that keeps a connection for later (more than 300 s). Watching the bytes can.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Accepted, and no byte arrived yet. It owes us a request as soon as one whose head arrives.
    Fresh,
    /// Between requests.
    Idle,
    /// Bytes of a request head arrive.
    Head,
    /// A request is answered; its own budgets apply.
    Busy,
}

/// The phase of one connection.
#[derive(Debug)]
pub struct Phase {
    now: Mutex<Now>,
    clean: Notify,
    header_timeout: Duration,
    keep_alive_timeout: Duration,
}

#[derive(Debug)]
struct Now {
    state: State,
    since: Instant,
    /// Whether bytes were written that the socket did not take yet.
    dirty: bool,
}

impl Phase {
    /// A connection that was just accepted.
    pub fn new(header_timeout: Duration, keep_alive_timeout: Duration) -> Self {
        let now = Mutex::new(Now {
            state: State::Fresh,
            since: Instant::now(),
            dirty: false,
        });
        Self {
            now,
            clean: Notify::new(),
            header_timeout,
            keep_alive_timeout,
        }
    }

    /// Whether nothing arrived yet.
    pub fn is_fresh(&self) -> bool {
        self.lock().state == State::Fresh
    }

    /// A request head is complete.
    pub fn request_begins(&self) {
        self.enter(State::Busy);
    }

    /// Completes when the current phase has lasted too long.
    ///
    /// To be polled by the task that serves the connection, after the connection itself: every change of
    /// phase happens in there, so that no wake-up of its own is needed to see an earlier deadline.
    pub async fn expired(&self) {
        let mut timer = pin!(tokio::time::sleep(self.header_timeout));
        poll_fn(|cx| {
            loop {
                let Some(deadline) = self.deadline() else {
                    return Poll::Pending;
                };
                // A timer that fires too early is moved on; moving it at every request would cost more.
                if deadline < timer.deadline() || timer.is_elapsed() {
                    timer.as_mut().reset(deadline);
                }
                ready!(timer.as_mut().poll(cx));
                if deadline <= timer.deadline() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    /// Completes after `asked`, once everything that hyper wrote is in the kernel's hands.
    pub async fn flushed(&self, asked: impl Future<Output = ()>) {
        asked.await;
        loop {
            let clean = self.clean.notified();
            if !self.lock().dirty {
                return;
            }
            clean.await;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let now = self.lock();
        match now.state {
            State::Idle => Some(now.since + self.keep_alive_timeout),
            State::Fresh | State::Head => Some(now.since + self.header_timeout),
            State::Busy => None,
        }
    }

    fn enter(&self, state: State) {
        let mut now = self.lock();
        now.state = state;
        now.since = Instant::now();
    }

    fn bytes_arrived(&self) {
        let mut now = self.lock();
        match now.state {
            State::Idle => {
                now.state = State::Head;
                now.since = Instant::now();
            }
            State::Fresh => now.state = State::Head,
            State::Head | State::Busy => {}
        }
    }

    fn set_dirty(&self, dirty: bool) {
        self.lock().dirty = dirty;
        if !dirty {
            self.clean.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket, telling the phase what passes through it.
#[derive(Debug)]
pub struct PhaseIo {
    socket: TcpStream,
    phase: Arc<Phase>,
}

impl PhaseIo {
    /// Watches `socket`.
    pub fn new(socket: TcpStream, phase: Arc<Phase>) -> Self {
        Self { socket, phase }
    }

    /// Gives the socket back.
    pub fn into_inner(self) -> TcpStream {
        self.socket
    }
}

impl AsyncRead for PhaseIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.phase.bytes_arrived();
        }
        polled
    }
}

impl AsyncWrite for PhaseIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.phase.set_dirty(true);
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    /// hyper flushes only after its own buffer is empty, so a flush that succeeds means that all is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.socket).poll_flush(cx);
        if polled.is_ready() {
            self.phase.set_dirty(false);
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.phase.set_dirty(true);
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// A response body that tells the phase when it is over.
#[derive(Debug)]
pub struct PhaseBody {
    body: Body,
    phase: Arc<Phase>,
}

impl PhaseBody {
    /// Watches `body`.
    pub fn new(body: Body, phase: Arc<Phase>) -> Self {
        Self { body, phase }
    }
}

impl Drop for PhaseBody {
    fn drop(&mut self) {
        self.phase.enter(State::Idle);
    }
}

impl HttpBody for PhaseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
