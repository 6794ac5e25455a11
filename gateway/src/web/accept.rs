//! The connection loop: timeouts of every phase, the connection cap, and the take-over of idle streams.
//!
//! hyper parses and answers. When a handler asks for it, the loop takes the connection away from hyper
//! before anything of the response is written, and hands the bare socket to the keep-alive wheel.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, HeaderValue, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tower::Service as _;

use crate::config::ServerConfig;
use crate::lifecycle::Lifecycle;
use crate::mcp::wheel::{Framing, IdleStream, Return, StreamKind, Wheel};
use crate::web::phase::{Phase, PhaseBody, PhaseIo};
use crate::web::spare::{Spare, UNAVAILABLE};

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
/// How long a browser remembers that this name is served over https only: a year. Names below it are left out, as
/// they may not be ours.
const HSTS: &str = "max-age=31536000";

/// What every connection shares.
#[derive(Debug)]
pub struct Connections {
    config: ServerConfig,
    places: Arc<Semaphore>,
    spare: Spare,
    wheel: Arc<Wheel>,
    lifecycle: Lifecycle,
}

/// Lets a handler take its connection away from hyper. In the extensions of every request.
#[derive(Clone, Debug)]
pub struct Takeover {
    state: Arc<TakeoverState>,
    framing: Framing,
}

#[derive(Debug, Default)]
struct TakeoverState {
    wanted: Mutex<Option<(Framing, IdleStream)>>,
    asked: Notify,
}

impl Takeover {
    /// Turns the response into an idle stream. Never returns: the connection loop drops the handler together with
    /// hyper's side of the connection.
    pub async fn become_idle(&self, stream: IdleStream) -> Infallible {
        *self.state.lock() = Some((self.framing, stream));
        self.state.asked.notify_waiters();
        std::future::pending().await
    }
}

impl TakeoverState {
    /// Completes once a handler asked; again at every call after that.
    async fn asked(&self) {
        loop {
            let asked = self.asked.notified();
            if self.lock().is_some() {
                return;
            }
            asked.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Framing, IdleStream)>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
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
            spare: Spare::new(),
            config,
            places,
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

    /// Accepts until the grace of a stop is over. Whoever is connected by then is still served.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, router: Router) {
        loop {
            let accepted = tokio::select! {
                biased;
                accepted = listener.accept() => accepted,
                () = self.lifecycle.closing().cancelled() => return,
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
                "all places are taken: a connection gets `/health`, `/ready` or 503"
            );
            if let Some(serving) = self.spare.serve(socket, peer, router) {
                lifecycle.spawn(serving);
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
        let takeover = Arc::<TakeoverState>::default();
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            phase.request_begins();
            let framing = match request.version() {
                Version::HTTP_10 => Framing::UntilClose,
                _ => Framing::Chunked,
            };
            let state = Arc::clone(&takeover);
            request.extensions_mut().insert(Takeover { state, framing });
            request.extensions_mut().insert(ConnectInfo(peer));
            let (answer, phase) = (router.clone().call(request.map(Body::new)), Arc::clone(&phase));
            let this = &self;
            async move {
                let mut response = answer.await?;
                this.complete(response.headers_mut());
                Ok::<_, Infallible>(response.map(|body| PhaseBody::new(body, phase)))
            }
        });
        let io = TokioIo::new(PhaseIo::new(socket, Arc::clone(&phase)));
        let mut connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_header_size(MAX_HEAD)
            .serve_connection(io, service);
        let mut closing = false;
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
                () = self.lifecycle.closing().cancelled(), if !closing => {
                    closing = true;
                    if phase.is_fresh() {
                        return;
                    }
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        }
        let socket = connection.into_parts().io.into_inner().into_inner();
        let wanted = takeover.lock().take();
        if let Some((framing, stream)) = wanted {
            self.hand_over(socket, framing, stream, place);
        }
    }

    /// Headers that do not depend on the route.
    fn complete(&self, headers: &mut HeaderMap) {
        if self.lifecycle.is_draining() {
            // Else the load balancer would use the connection again just when it closes.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.is_https() {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
        }
    }

    fn is_https(&self) -> bool {
        self.config.public_url.scheme() == "https"
    }

    /// Leaves a connection to the wheel, or says that it comes too late.
    fn hand_over(
        &self,
        socket: TcpStream,
        framing: Framing,
        stream: IdleStream,
        place: OwnedSemaphorePermit,
    ) {
        let head = self.stream_head(framing);
        let http_sse = matches!(stream.kind, StreamKind::HttpSse { .. });
        if let Err(socket) = self
            .wheel
            .adopt(socket, (&head, framing), stream, Box::new(place))
        {
            // A stop came between the handler's look and now. The answer fits into any socket's buffer.
            let answer = if http_sse {
                [
                    self.stream_head(Framing::UntilClose),
                    self.wheel.come_back(Return::HttpSse).to_vec(),
                ]
                .concat()
            } else {
                UNAVAILABLE.to_vec()
            };
            let _ = socket.try_write(&answer);
        }
    }

    /// The head of the response that an idle stream is.
    fn stream_head(&self, framing: Framing) -> Vec<u8> {
        let mut head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
            cache-control: no-cache, no-transform\r\nx-accel-buffering: no\r\nconnection: close\r\n"
            .to_vec();
        if framing == Framing::Chunked {
            head.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        if self.is_https() {
            head.extend_from_slice(format!("strict-transport-security: {HSTS}\r\n").as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}
