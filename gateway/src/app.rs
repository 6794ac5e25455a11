//! The composition root: builds every part from the configuration, in order, and runs them.

mod follow;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::access::bearer::Bearer;
use crate::clock::Clock;
use crate::config::store::Backend;
use crate::config::{Config, ServerConfig};
use crate::google::Google;
use crate::id::TaskId;
use crate::jwt::{KeyError, SigningKeys};
use crate::lifecycle::{Lifecycle, Patience, StopSignal, StopSignals, Stopped};
use crate::mcp::dispatch::{Mcp, Parts};
use crate::mcp::wheel::Wheel;
use crate::oauth::OAuth;
use crate::oidc::Provider;
use crate::secret::Keyring;
use crate::session::directory::Sessions;
use crate::session::events::CallLog;
use crate::session::peers::auth::PeerKeys;
use crate::session::peers::{self, Link, Peers};
use crate::session::seal::Sealer;
use crate::store::{Store, StoreError};
use crate::web::accept::{self, Connections};
use crate::web::{self, App, AppState};

/// How often a store that was not ready at start is asked again.
const STORE_RETRY: Duration = Duration::from_secs(2);
/// Connections to the private port; each task keeps a few.
const PEER_CONNECTIONS: usize = 1_024;

/// Why the gateway did not start. All of these are found before the socket listens.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on `{address}`; set `HOST` and `PORT` to a free address")]
    Bind {
        /// `HOST:PORT`.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// The local key file or the embedded database cannot be opened.
    #[error("the store cannot be opened")]
    Store(#[source] StoreError),
    /// No signing key comes out of the secret.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Nothing says where other tasks reach this one.
    #[error("no address of this task is known to tell the other tasks; set `PEER_HOST`")]
    OwnAddress(#[source] io::Error),
    /// The HTTP client for Google cannot be built.
    #[error("the TLS client cannot be set up")]
    HttpClient(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The sockets of a task, bound already.
#[derive(Debug)]
pub struct Sockets {
    /// For clients.
    pub public: TcpListener,
    /// For the other tasks; a single task has none.
    pub private: Option<TcpListener>,
}

/// A gateway that listens but does not accept yet.
#[derive(Debug)]
pub struct Gateway {
    sockets: Sockets,
    app: App,
    lifecycle: Lifecycle,
}

impl Gateway {
    /// Builds every part and binds the sockets. No network call to anybody happens here.
    pub fn start(config: Config, clock: &Clock) -> Result<Self, StartError> {
        let bind = |port| {
            let address = SocketAddr::new(config.server.host, port);
            accept::bind(address).map_err(|source| StartError::Bind { address, source })
        };
        let public = bind(config.server.port)?;
        let private = match config.store.backend {
            Backend::DynamoDb { .. } => Some(bind(config.server.peer_port)?),
            // Nobody else can use this store.
            Backend::Memory | Backend::Embedded { .. } => None,
        };
        Self::with_sockets(config, clock, Sockets { public, private })
    }

    /// Builds every part around sockets that are bound already.
    pub fn with_sockets(config: Config, clock: &Clock, sockets: Sockets) -> Result<Self, StartError> {
        let store_clock = clock.clone().with_scale(config.time_scale);
        let store = Store::open(&config.store, store_clock).map_err(StartError::Store)?;
        Self::with_store(config, clock, sockets, store)
    }

    /// Builds every part around sockets that are bound already and a store that is open already: two tasks of a
    /// test share an engine in memory this way.
    pub fn with_store(
        config: Config,
        clock: &Clock,
        sockets: Sockets,
        store: Store,
    ) -> Result<Self, StartError> {
        let lifecycle = Lifecycle::new();
        let clock = clock.clone().with_scale(config.time_scale);
        let link = sockets.private.as_ref().map(|private| link(&config, private));
        let app = assemble(config, &clock, store, link.transpose()?, &lifecycle)?;
        Ok(Self {
            sockets,
            app,
            lifecycle,
        })
    }

    /// The address that is listened on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.sockets.public.local_addr()
    }

    /// What stops this gateway.
    pub fn lifecycle(&self) -> Lifecycle {
        self.lifecycle.clone()
    }

    /// The wired parts, for tests.
    pub fn app(&self) -> App {
        Arc::clone(&self.app)
    }

    /// Serves until the grace of a stop is over; [`drain`] stops it.
    pub async fn serve(self) {
        let router = web::router(Arc::clone(&self.app));
        self.prepare_store();
        let Sockets { public, private } = self.sockets;
        serve_peers(&self.app, private);
        Arc::clone(&self.app.connections).serve(public, router).await;
    }

    /// Serves until a signal asks for a stop, then drains.
    pub async fn run(self, mut signals: StopSignals) -> Stopped {
        let app = self.app();
        let serving = app.lifecycle.spawn(self.serve());
        let signal = signals.next().await;
        let server = &app.config.server;
        let patience = Patience {
            // Nobody at a terminal has a load balancer that has to notice first.
            grace: match signal {
                StopSignal::Terminate => server.drain_grace,
                StopSignal::Interrupt => Duration::ZERO,
            },
            deadline: server.drain_timeout,
        };
        let abort = async {
            let signal = signals.next().await;
            tracing::warn!(signal = signal.name(), "second signal: stopping now");
        };
        tracing::info!(signal = signal.name(), "stop requested");
        let stopped = drain(&app, patience, abort).await;
        serving.abort();
        app.peers.leave().await;
        stopped
    }

    /// Makes the store ready in the background, for as long as it takes: serving does not wait for it.
    fn prepare_store(&self) {
        let store = self.app.store.clone();
        let pause = self.app.clock.interval(STORE_RETRY);
        self.lifecycle.spawn_loop(async move {
            while let Err(error) = store.prepare().await {
                tracing::warn!(%error, "the store is not ready; trying again");
                tokio::time::sleep(pause).await;
            }
            tracing::info!("the store is ready");
        });
    }
}

/// Listens to the other tasks until the process exits: a task that drains still has what they ask for.
fn serve_peers(app: &App, private: Option<TcpListener>) {
    let lifecycle = app.lifecycle.until_exit();
    follow::follow_versions(app, &lifecycle);
    app.peers.start(&lifecycle);
    if let Some(private) = private {
        let config = ServerConfig {
            max_connections: PEER_CONNECTIONS,
            ..app.config.server.clone()
        };
        let connections = Connections::new(config, Arc::clone(&app.mcp.wheel), lifecycle.clone());
        lifecycle.spawn(connections.serve(private, web::peer::router(Arc::clone(app))));
    }
}

/// How this task is reached, and reaches others.
fn link(config: &Config, private: &TcpListener) -> Result<Link, StartError> {
    let server = &config.server;
    let address = private
        .local_addr()
        .and_then(|bound| Ok(SocketAddr::new(own_address(server, bound.ip())?, bound.port())))
        .map_err(StartError::OwnAddress)?;
    let http = http_client()?
        .connect_timeout(peers::CONNECT_DEADLINE)
        // As short as the other side's patience, which is scaled.
        .pool_idle_timeout(config.time_scale.apply(peers::POOL_IDLE))
        .no_proxy()
        .build()
        .map_err(|error| StartError::HttpClient(error.into()))?;
    Ok(Link { address, http })
}

/// Where the other tasks find this one.
fn own_address(server: &ServerConfig, bound: IpAddr) -> io::Result<IpAddr> {
    if let Some(host) = server.peer_host {
        return Ok(host);
    }
    if !bound.is_unspecified() {
        return Ok(bound);
    }
    // Connecting a datagram socket picks the route and sends nothing. The targets are of documentation's networks.
    let target: IpAddr = match bound {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    let socket = UdpSocket::bind((bound, 0))?;
    socket.connect((target, 9))?;
    Ok(socket.local_addr()?.ip())
}

/// Stops an app that serves: not ready from now on, streams are told to come back and end, requests are served until
/// the grace is over, calls in flight finish.
pub async fn drain(app: &App, patience: Patience, abort: impl Future<Output = ()>) -> Stopped {
    let began = Instant::now();
    app.lifecycle.begin_drain();
    let streams = app.mcp.drain();
    tracing::info!(
        streams,
        grace_ms = millis(patience.grace),
        deadline_ms = millis(patience.deadline),
        "assuming drain: streams are closed, calls in flight finish"
    );
    let stopped = app.lifecycle.drain(patience, abort).await;
    let streams = app.mcp.wheel.cut();
    tracing::info!(outcome = ?stopped, streams_cut = streams, ms = millis(began.elapsed()), "stopped");
    stopped
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn assemble(
    config: Config,
    clock: &Clock,
    store: Store,
    link: Option<Link>,
    lifecycle: &Lifecycle,
) -> Result<App, StartError> {
    let previous = config.session_secret_previous.iter().cloned().collect();
    let keyring = Keyring::new(config.session_secret.clone(), previous);
    let keys = SigningKeys::derive(&keyring)?;
    let http = google_http_client()?;
    let provider = Provider::new(&config.google, http.clone(), clock.clone());
    let google = Google::new(
        &config.google,
        http,
        provider.clone(),
        store.clone(),
        clock.clone(),
        lifecycle.clone(),
    );
    let bearer = Bearer::new(keys.clone(), config.server.origin(), clock.clone());
    let oauth = OAuth::new(
        &config,
        keyring.clone(),
        keys,
        store.clone(),
        provider,
        clock.clone(),
    );
    let sealer = Sealer::new(&keyring);
    let peer_keys = PeerKeys::derive(&keyring);
    let me = TaskId::random();
    let peers = Peers::new(me, store.clone(), clock.clone(), peer_keys, link);
    let sessions = Sessions::new(sealer, store.clone(), clock.clone(), config.mcp.session_idle_ttl);
    let wheel = Wheel::start(config.mcp.keepalive_interval, clock.clone(), lifecycle);
    let budget = config.mcp.request_timeout;
    let parts = Parts {
        google: google.clone(),
        sessions,
        wheel: Arc::clone(&wheel),
        log: CallLog::new(&keyring, store.clone(), clock.clone(), budget, me),
        lifecycle: lifecycle.clone(),
        clock: clock.clone(),
        #[cfg(debug_assertions)]
        test_store: Some(store.clone()),
        peers: peers.clone(),
    };
    let mcp = Mcp::new(&config.mcp, parts);
    let connections = Connections::new(config.server.clone(), wheel, lifecycle.clone());
    Ok(Arc::new(AppState {
        started: clock.now(),
        clock: clock.clone(),
        store,
        bearer,
        oauth,
        google,
        mcp: Arc::new(mcp),
        peers,
        connections,
        lifecycle: lifecycle.clone(),
        config,
    }))
}

/// One pool for all calls to Google: building a client per call costs more than the call.
fn google_http_client() -> Result<reqwest::Client, StartError> {
    http_client()?
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_mins(1))
        // Google compresses only for clients that also say so here.
        .user_agent(concat!("mcp-gateway/", env!("CARGO_PKG_VERSION"), " (gzip)"))
        .build()
        .map_err(|error| StartError::HttpClient(error.into()))
}

/// A client that follows no redirects.
///
/// The roots are compiled in, because the production image has no certificate store, and because reading
/// the one of a machine is most of the time of a start.
fn http_client() -> Result<reqwest::ClientBuilder, StartError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::HttpClient(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none()))
}
