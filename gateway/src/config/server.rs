//! Sockets, timeouts, names and limits of the HTTP side.

use std::net::IpAddr;
use std::time::Duration;

use url::Url;

/// Settings of the listener and of every connection.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `HOST`: address to listen on.
    pub host: IpAddr,
    /// `PORT`: port to listen on; 0 picks a free one.
    pub port: u16,
    /// `PUBLIC_URL`: the origin that users paste and that tokens name as issuer. No path, no trailing slash.
    pub public_url: Url,
    /// `ALLOWED_HOSTS`: further `Host` values that are served, besides that of `PUBLIC_URL`.
    pub allowed_hosts: Vec<String>,
    /// `ALLOWED_ORIGINS`: browser origins that may call, `https://*.example.com` patterns included.
    pub allowed_origins: Vec<String>,
    /// `KEEP_ALIVE_TIMEOUT`: how long an idle connection lives. Above the load balancer's idle timeout.
    pub keep_alive_timeout: Duration,
    /// `HEADER_TIMEOUT`: how long a request's headers may take to arrive.
    pub header_timeout: Duration,
    /// `TCP_KEEPALIVE`: idle time before the kernel probes a connection.
    pub tcp_keepalive: Duration,
    /// `MAX_CONNECTIONS`: further ones are answered 503.
    pub max_connections: usize,
    /// `DRAIN_TIMEOUT`: how long a stop may take.
    pub drain_timeout: Duration,
}

impl ServerConfig {
    /// The public origin without a trailing slash: the issuer string, compared byte by byte by clients.
    pub fn origin(&self) -> String {
        self.public_url.as_str().trim_end_matches('/').to_owned()
    }
}
