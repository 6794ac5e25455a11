//! The composition root: builds every part from the configuration, in order, and runs them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpListener;

use crate::access::bearer::Bearer;
use crate::clock::Clock;
use crate::config::Config;
use crate::google::Google;
use crate::id::TaskId;
use crate::jwt::{KeyError, SigningKeys};
use crate::lifecycle::{Lifecycle, StopSignals, Stopped};
use crate::mcp::dispatch::{Mcp, Parts};
use crate::mcp::wheel::Wheel;
use crate::oauth::OAuth;
use crate::oidc::Provider;
use crate::secret::Keyring;
use crate::session::directory::Sessions;
use crate::session::events::CallLog;
use crate::session::seal::Sealer;
use crate::store::{Store, StoreError};
use crate::web::accept::{self, Connections};
use crate::web::{self, App, AppState};

/// How often a store that was not ready at start is asked again.
const STORE_RETRY: Duration = Duration::from_secs(2);

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
    /// The HTTP client for Google cannot be built.
    #[error("the TLS client cannot be set up")]
    HttpClient(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A gateway that listens but does not accept yet.
#[derive(Debug)]
pub struct Gateway {
    listener: TcpListener,
    app: App,
    lifecycle: Lifecycle,
}

impl Gateway {
    /// Builds every part and binds the socket. No network call to anybody happens here.
    pub fn start(config: Config, clock: &Clock) -> Result<Self, StartError> {
        let address = SocketAddr::new(config.server.host, config.server.port);
        let listener = accept::bind(address).map_err(|source| StartError::Bind { address, source })?;
        Self::with_listener(config, clock, listener)
    }

    /// Builds every part around a socket that is bound already.
    pub fn with_listener(config: Config, clock: &Clock, listener: TcpListener) -> Result<Self, StartError> {
        let store_clock = clock.clone().with_scale(config.time_scale);
        let store = Store::open(&config.store, store_clock).map_err(StartError::Store)?;
        Self::with_store(config, clock, listener, store)
    }

    /// Builds every part around a socket that is bound already and a store that is open already: two tasks of a
    /// test share an engine in memory this way.
    pub fn with_store(
        config: Config,
        clock: &Clock,
        listener: TcpListener,
        store: Store,
    ) -> Result<Self, StartError> {
        let lifecycle = Lifecycle::new();
        let clock = clock.clone().with_scale(config.time_scale);
        let app = assemble(config, &clock, store, &lifecycle)?;
        Ok(Self {
            listener,
            app,
            lifecycle,
        })
    }

    /// The address that is listened on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What stops this gateway.
    pub fn lifecycle(&self) -> Lifecycle {
        self.lifecycle.clone()
    }

    /// The wired parts, for tests.
    pub fn app(&self) -> App {
        Arc::clone(&self.app)
    }

    /// Serves until a stop begins; the caller then drains.
    pub async fn serve(self) {
        let router = web::router(Arc::clone(&self.app));
        self.prepare_store();
        Arc::clone(&self.app.connections)
            .serve(self.listener, router)
            .await;
    }

    /// Serves until a signal asks for a stop, then drains: streams first, then the calls in flight.
    pub async fn run(self, mut signals: StopSignals) -> Stopped {
        let (lifecycle, app) = (self.lifecycle(), self.app());
        let serving = lifecycle.spawn(self.serve());
        let signal = signals.next().await;
        let streams = app.mcp.wheel.drain();
        tracing::info!(
            signal,
            streams,
            "assuming drain: streams are closed, calls in flight finish"
        );
        let abort = async {
            let signal = signals.next().await;
            tracing::warn!(signal, "second signal: stopping now");
        };
        let stopped = lifecycle.drain(app.config.server.drain_timeout, abort).await;
        serving.abort();
        tracing::info!(outcome = ?stopped, "stopped");
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

fn assemble(config: Config, clock: &Clock, store: Store, lifecycle: &Lifecycle) -> Result<App, StartError> {
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
    let sessions = Sessions::new(sealer, store.clone(), clock.clone(), config.mcp.session_idle_ttl);
    let wheel = Wheel::start(config.mcp.keepalive_interval, lifecycle);
    let me = TaskId::random();
    let budget = config.mcp.request_timeout;
    let parts = Parts {
        google: google.clone(),
        sessions,
        wheel: Arc::clone(&wheel),
        log: CallLog::new(&keyring, store.clone(), clock.clone(), budget, me),
        lifecycle: lifecycle.clone(),
        me,
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
        connections,
        lifecycle: lifecycle.clone(),
        config,
    }))
}

/// One pool for all calls to Google: building a client per call costs more than the call.
///
/// The roots are compiled in, because the production image has no certificate store, and because reading
/// the one of a machine is most of the time of a start.
fn google_http_client() -> Result<reqwest::Client, StartError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::HttpClient(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_mins(1))
        .redirect(reqwest::redirect::Policy::none())
        // Google compresses only for clients that also say so here.
        .user_agent(concat!("mcp-gateway/", env!("CARGO_PKG_VERSION"), " (gzip)"))
        .build()
        .map_err(|error| StartError::HttpClient(error.into()))
}
