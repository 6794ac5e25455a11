//! What a connection gets for which there is no place: the health of the process, or 503.
//!
//! A load balancer whose health check fails replaces the task, and with it every connection that it holds. A task that
//! is full is not ill.

use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower::Service as _;

/// Connections over the cap that are served at once; those beyond are closed without a word. A load balancer opens a
/// connection when it has a request for it, so that none of them is held for long.
const MAX_SPARE: usize = 256;
/// How long one of them may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// What has to arrive in one piece to be understood.
const MAX_HEAD: usize = 4 << 10;
/// How the requests begin that are served.
const SERVED: [&str; 4] = ["GET /health ", "HEAD /health ", "GET /ready ", "HEAD /ready "];
/// What a connection is told that cannot be served, before it is closed.
pub(super) const UNAVAILABLE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The places beyond the last one.
#[derive(Debug)]
pub(super) struct Spare(Arc<Semaphore>);

impl Spare {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_SPARE)))
    }

    /// Answers the first request of a connection, and closes it. `None`: too many of them are at it.
    pub(super) fn serve(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        router: Router,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let turn = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(async move {
            let _ = tokio::time::timeout(PATIENCE, answer(socket, peer, router)).await;
            drop(turn);
        })
    }
}

async fn answer(mut socket: TcpStream, peer: SocketAddr, router: Router) -> io::Result<()> {
    let mut head = Vec::with_capacity(512);
    let complete = |head: &[u8]| head.windows(4).any(|four| four == b"\r\n\r\n");
    // An answer before the request is an error to most clients.
    while !complete(&head) && head.len() < MAX_HEAD {
        if socket.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    if SERVED.iter().any(|start| head.starts_with(start.as_bytes())) {
        return serve_one(socket, head, peer, router).await;
    }
    socket.write_all(UNAVAILABLE).await?;
    socket.shutdown().await?;
    // Closing with unread bytes resets the connection, and the answer may be lost with it.
    let mut rest = [0; 4 << 10];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Lets the router answer the request whose head was read already.
async fn serve_one(mut socket: TcpStream, head: Vec<u8>, peer: SocketAddr, router: Router) -> io::Result<()> {
    let (reader, writer) = socket.split();
    let io = TokioIo::new(tokio::io::join(Cursor::new(head).chain(reader), writer));
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    let serving = http1::Builder::new()
        .header_read_timeout(None)
        .keep_alive(false)
        .serve_connection(io, service);
    serving.await.map_err(io::Error::other)
}
