//! The connection loop: timeouts of every phase, the connection cap, and the take-over of idle streams.
//!
//! hyper parses and answers. When a handler asks for it, the loop takes the connection away from hyper
//! before anything of the response is written, and hands the bare socket to the keep-alive wheel.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tower::Service as _;

use crate::config::ServerConfig;
use crate::lifecycle::Lifecycle;
use crate::mcp::wheel::{IdleStream, Wheel};
use crate::web::phase::{Phase, PhaseBody, PhaseIo};

/// Connections that the kernel may hold until we accept them. With the usual 1,024, half of 5,000
/// reconnecting streams would wait for a retransmitted SYN.
const BACKLOG: i32 = 4_096;
/// Data that nobody acknowledges for this long ends the connection. A client that vanished is sent its next comment up to
/// one `SSE_KEEPALIVE_INTERVAL` (at most 30 s) later, and has to be gone within a minute.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request; beyond it hyper answers 431. Its own bound of 400 KiB, times all connections, would
/// be more memory than there is.
const MAX_HEAD: usize = 64 << 10;
/// Pause after a failed accept: the usual cause, no free descriptors, needs time, not a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections over the cap that are being told so; those beyond are closed without a word.
const MAX_REFUSALS: usize = 256;
/// How long telling may take.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// What a connection is told that cannot be served, before it is closed.
const UNAVAILABLE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// What every connection shares.
#[derive(Debug)]
pub struct Connections {
    config: ServerConfig,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    wheel: Arc<Wheel>,
    lifecycle: Lifecycle,
}

/// Lets a handler take its connection away from hyper. In the extensions of every request.
#[derive(Clone, Debug, Default)]
pub struct Takeover(Arc<TakeoverState>);

#[derive(Debug, Default)]
struct TakeoverState {
    wanted: Mutex<Option<(Bytes, IdleStream)>>,
    asked: Notify,
}

impl Takeover {
    /// Turns the response into an idle stream with this head. Never returns: the connection loop drops
    /// the handler together with hyper's side of the connection.
    pub async fn become_idle(&self, head: Bytes, stream: IdleStream) -> Infallible {
        *self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some((head, stream));
        self.0.asked.notify_waiters();
        std::future::pending().await
    }

    /// Completes once a handler asked; again at every call after that.
    async fn asked(&self) {
        loop {
            let asked = self.0.asked.notified();
            if self
                .0
                .wanted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some()
            {
                return;
            }
            asked.await;
        }
    }

    fn take(&self) -> Option<(Bytes, IdleStream)> {
        self.0
            .wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Binds the listener.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl Connections {
    /// Shared state for connections under `config`.
    pub fn new(config: ServerConfig, wheel: Arc<Wheel>, lifecycle: Lifecycle) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(config.max_connections));
        Arc::new(Self {
            config,
            places,
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            wheel,
            lifecycle,
        })
    }

    /// Open connections, idle streams included.
    pub fn active(&self) -> usize {
        self.config
            .max_connections
            .saturating_sub(self.places.available_permits())
    }

    /// Accepts until a stop begins.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, router: Router) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.lifecycle.soft().cancelled() => return,
            };
            match accepted {
                Ok((socket, peer)) => self.clone().welcome(socket, peer, router.clone()),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn welcome(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, router: Router) {
        if let Err(error) = self.tune(&socket) {
            tracing::debug!(%error, "socket options were refused");
        }
        let lifecycle = self.lifecycle.clone();
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            lifecycle.spawn(async move { self.converse(socket, peer, router, place).await });
        } else {
            tracing::warn!(
                limit = self.config.max_connections,
                "connection refused: all places are taken"
            );
            if let Ok(turn) = Arc::clone(&self.refusals).try_acquire_owned() {
                lifecycle.spawn(async move {
                    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, turn_away(socket)).await;
                    drop(turn);
                });
            }
        }
    }

    fn tune(&self, socket: &TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let probe = self.config.tcp_keepalive;
        let socket = socket2::SockRef::from(socket);
        socket.set_tcp_keepalive(
            &TcpKeepalive::new()
                .with_time(probe)
                .with_interval(probe)
                .with_retries(3),
        )?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT))?;
        Ok(())
    }

    /// Serves one connection until it ends, or until a stream of the wheel has taken it over.
    async fn converse(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        router: Router,
        place: OwnedSemaphorePermit,
    ) {
        let phase = Arc::new(Phase::new(
            self.config.header_timeout,
            self.config.keep_alive_timeout,
        ));
        let takeover = Takeover::default();
        let service = service_fn(|request: hyper::Request<Incoming>| {
            phase.request_begins();
            let (mut router, phase, takeover) = (router.clone(), Arc::clone(&phase), takeover.clone());
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(takeover);
                request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
                let response = router.call(request).await?;
                Ok::<_, Infallible>(response.map(|body| PhaseBody::new(body, phase)))
            }
        });
        let io = TokioIo::new(PhaseIo::new(socket, Arc::clone(&phase)));
        let mut connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_header_size(MAX_HEAD)
            .serve_connection(io, service);
        let mut draining = false;
        loop {
            tokio::select! {
                biased;
                () = phase.flushed(takeover.asked()) => break,
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "connection ended");
                    }
                    return;
                }
                () = phase.expired() => return,
                () = self.lifecycle.soft().cancelled(), if !draining => {
                    draining = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        }
        let socket = connection.into_parts().io.into_inner().into_inner();
        if let Some((head, stream)) = takeover.take()
            && let Err(socket) = self.wheel.adopt(socket, &head, stream, Box::new(place))
        {
            // A stop came between the handler's look and now. The answer fits into any socket's buffer.
            let _ = socket.try_write(UNAVAILABLE);
        }
    }
}

/// Answers the first request of a connection that there is no place for.
async fn turn_away(mut socket: TcpStream) -> io::Result<()> {
    let mut request = [0; 4096];
    // An answer before the request is an error to most clients.
    if socket.read(&mut request).await? == 0 {
        return Ok(());
    }
    socket.write_all(UNAVAILABLE).await?;
    socket.shutdown().await?;
    // Closing with unread bytes resets the connection, and the answer may be lost with it.
    while socket.read(&mut request).await? > 0 {}
    Ok(())
}
