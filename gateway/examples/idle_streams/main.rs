//! Measures what an idle stream costs: this gateway beside a plain axum SSE server, in one run.
//!
//! Run by `cargo xtask bench idle`. The load goes to loopback only, and the run ends by itself.

mod report;
mod start;

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Idle streams: memory each, a comment per interval on every one, and how fast a close is noticed.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// The release binary of the gateway.
    #[arg(long, default_value = "target/release/gateway")]
    gateway: std::path::PathBuf,
    /// Streams to open.
    #[arg(long, default_value_t = 10_000)]
    streams: usize,
    /// Sessions that the streams belong to.
    #[arg(long, default_value_t = 100)]
    sessions: usize,
    /// How long the streams are watched, in seconds.
    #[arg(long, default_value_t = 47)]
    seconds: u64,
    /// How often the gateway is started anew to see how long it takes.
    #[arg(long, default_value_t = 9)]
    starts: usize,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Be the plain axum server instead (started by the measurement itself).
    #[arg(long, hide = true)]
    axum_server: bool,
}

const INTERVAL: Duration = Duration::from_secs(15);

/// 0: within all limits; 1: not; 2: it could not be measured.
fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if options.axum_server {
        return runtime.block_on(axum_server()).map(|()| true);
    }
    // First, as long as nothing else keeps the machine busy.
    let starts = start::measure(options)?;
    let gateway = runtime.block_on(measure_gateway(options))?;
    let axum = runtime.block_on(measure_axum(options))?;
    report::print(options, &starts, &gateway, &axum)
}

/// What one server showed.
#[derive(Debug)]
struct Measured {
    resident_at_start_kib: u64,
    per_stream_kib: f64,
    first_at_once: bool,
    fewest_comments: u64,
    dropped: usize,
    close_noticed: Option<Duration>,
}

/// A server process, ended with the measurement.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .context("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
    }
}

async fn measure_gateway(options: &Options) -> Result<Measured> {
    let gateway = start::Gateway::start(options)?;
    let (server, token) = (&gateway.server, &gateway.token);
    let address = server.address;
    gateway.first_list()?;
    let sessions = sessions(address, token, options.sessions).await?;
    let request = |index: usize| {
        let session = sessions.get(index % sessions.len()).map_or("", String::as_str);
        format!(
            "GET /mcp HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             accept: text/event-stream\r\nmcp-session-id: {session}\r\n\r\n"
        )
    };
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let warm_up = post(address, token, None, &ping);
    watch_streams(options, server, request, Some(&warm_up)).await
}

async fn measure_axum(options: &Options) -> Result<Measured> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--axum-server")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let stdout = child.stdout.take().context("no stdout")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
    let server = Server {
        child,
        address: line.trim().parse()?,
    };
    let address = server.address;
    let request = |_| format!("GET /sse HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n");
    let warm_up = format!("GET / HTTP/1.1\r\nhost: {address}\r\n\r\n");
    watch_streams(options, &server, request, Some(&warm_up)).await
}

/// The anchor: what axum gives without further thought.
async fn axum_server() -> Result<()> {
    use axum::response::sse::{Event, KeepAlive, Sse};
    use axum::routing::get;
    let sse = || async {
        let silent = futures_util::stream::pending::<Result<Event, std::convert::Infallible>>();
        Sse::new(silent).keep_alive(KeepAlive::new().interval(INTERVAL).text("keep-alive"))
    };
    let router = axum::Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/sse", get(sse));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    std::io::stdout().write_all(format!("{}\n", listener.local_addr()?).as_bytes())?;
    Ok(axum::serve(listener, router).await?)
}

/// Opens the streams, watches them, then closes a tenth and sees how long the server takes to notice.
async fn watch_streams(
    options: &Options,
    server: &Server,
    request: impl Fn(usize) -> String,
    warm_up: Option<&str>,
) -> Result<Measured> {
    let resident_at_start_kib = server.resident_kib()?;
    let counts: Vec<Arc<AtomicU64>> = (0..options.streams).map(|_| Arc::default()).collect();
    let dropped = Arc::new(AtomicUsize::new(0));
    let (stop, stopped) = watch::channel(0_usize);
    let mut tasks = Vec::with_capacity(options.streams);
    for (index, count) in counts.iter().enumerate() {
        let mut socket = TcpStream::connect(server.address).await?;
        if let Some(warm_up) = warm_up {
            exchange(&mut socket, warm_up.as_bytes()).await?;
        }
        socket.write_all(request(index).as_bytes()).await?;
        let (count, dropped, stopped) = (Arc::clone(count), Arc::clone(&dropped), stopped.clone());
        #[expect(clippy::disallowed_methods, reason = "the load generator has no lifecycle")]
        tasks.push(tokio::spawn(read_comments(
            socket,
            count,
            dropped,
            (index, stopped),
        )));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Comments during the set-up differ by stream; from here on every stream has the same time.
    let before: Vec<u64> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    let first_at_once = before.iter().all(|count| *count > 0);
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let resident = server.resident_kib()?;
    let gained = counts
        .iter()
        .zip(&before)
        .map(|(count, before)| count.load(Ordering::Relaxed) - before);
    let fewest_comments = gained.min().unwrap_or_default();
    let closed = options.streams / 10;
    let open = descriptors(server);
    stop.send(closed)?;
    let close_noticed = noticed(server, open, closed).await;
    let dropped = dropped.load(Ordering::Relaxed);
    stop.send(usize::MAX)?;
    for task in tasks {
        task.await?;
    }
    let gained_kib = resident.saturating_sub(resident_at_start_kib);
    #[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
    let per_stream_kib = gained_kib as f64 / options.streams as f64;
    Ok(Measured {
        resident_at_start_kib,
        per_stream_kib,
        first_at_once,
        fewest_comments,
        dropped,
        close_noticed,
    })
}

/// Counts the comments of one stream until it is told to close (streams below a number close).
async fn read_comments(
    mut socket: TcpStream,
    count: Arc<AtomicU64>,
    dropped: Arc<AtomicUsize>,
    (index, mut stopped): (usize, watch::Receiver<usize>),
) {
    let mut buffer = [0; 1024];
    loop {
        tokio::select! {
            read = socket.read(&mut buffer) => match read {
                Ok(0) | Err(_) => {
                    dropped.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Ok(n) => {
                    // A comment is short and written at once, so it does not straddle two reads.
                    let text = String::from_utf8_lossy(buffer.get(..n).unwrap_or_default());
                    let comments = text.matches(": keep-alive").count();
                    count.fetch_add(u64::try_from(comments).unwrap_or(0), Ordering::Relaxed);
                }
            },
            changed = stopped.changed() => if changed.is_err() || index < *stopped.borrow() { return },
        }
    }
}

/// How long until the server has closed `closed` of its `open` descriptors.
async fn noticed(server: &Server, open: usize, closed: usize) -> Option<Duration> {
    let began = Instant::now();
    while began.elapsed() < INTERVAL * 2 {
        if descriptors(server) + closed <= open {
            return Some(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).map_or(0, Iterator::count)
}

/// Sends a request and reads its complete, length-delimited answer; returns head and body.
async fn exchange(socket: &mut TcpStream, request: &[u8]) -> Result<(String, String)> {
    socket.write_all(request).await?;
    let mut answer = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let n = socket.read(&mut buffer).await?;
        ensure!(n > 0, "the server closed the connection");
        answer.extend_from_slice(buffer.get(..n).unwrap_or_default());
        let text = String::from_utf8_lossy(&answer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = header(head, "content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        if body.len() >= length {
            return Ok((head.to_owned(), body.to_owned()));
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

async fn sessions(address: SocketAddr, token: &str, count: usize) -> Result<Vec<String>> {
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}});
    let mut socket = TcpStream::connect(address).await?;
    let mut sessions = Vec::new();
    for _ in 0..count {
        let (head, body) = exchange(&mut socket, post(address, token, None, &initialize).as_bytes()).await?;
        let id = header(&head, "mcp-session-id").with_context(|| format!("no session: {head} {body}"))?;
        sessions.push(id.to_owned());
    }
    Ok(sessions)
}

fn post(address: SocketAddr, token: &str, session: Option<&str>, body: &Value) -> String {
    let body = body.to_string();
    let session = session.map_or_else(String::new, |id| format!("mcp-session-id: {id}\r\n"));
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{session}\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}
