//! Sockets, timeouts, names and limits of the HTTP side.

use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use super::parse::Reader;
use super::{address, env};

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
    /// `DRAIN_GRACE`: how long requests are served after SIGTERM. Below `drain_timeout`.
    pub drain_grace: Duration,
    /// `DRAIN_TIMEOUT`: how long a stop may take.
    pub drain_timeout: Duration,
    /// `PEER_PORT`: the private port; 0 picks a free one.
    pub peer_port: u16,
    /// `PEER_HOST`: where other tasks reach this one, when it is not found out.
    pub peer_host: Option<IpAddr>,
}

impl ServerConfig {
    /// Reads the section; `None` when a problem was noted.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let public_url = reader.get(env::PUBLIC_URL, address::public_origin);
        let host = reader.get(env::HOST, address::ip);
        let port = reader.number(env::PORT);
        let allowed_hosts = reader.list(env::ALLOWED_HOSTS, address::host);
        let allowed_origins = reader.list(env::ALLOWED_ORIGINS, address::origin);
        let keep_alive_timeout = reader.millis(env::KEEP_ALIVE_TIMEOUT);
        let header_timeout = reader.millis(env::HEADER_TIMEOUT);
        let tcp_keepalive = reader.millis(env::TCP_KEEPALIVE);
        let max_connections = reader.number(env::MAX_CONNECTIONS);
        let drain_grace = reader.millis(env::DRAIN_GRACE);
        let drain_timeout = reader.millis(env::DRAIN_TIMEOUT);
        let peer_port = reader.number(env::PEER_PORT);
        let peer_host = reader.optional(env::PEER_HOST, address::ip);
        let read = Self {
            host: host?,
            port: u16::try_from(port?).ok()?,
            public_url: public_url?,
            allowed_hosts: allowed_hosts?,
            allowed_origins: allowed_origins?,
            keep_alive_timeout: keep_alive_timeout?,
            header_timeout: header_timeout?,
            tcp_keepalive: tcp_keepalive?,
            max_connections: usize::try_from(max_connections?).ok()?,
            drain_grace: drain_grace?,
            drain_timeout: drain_timeout?,
            peer_port: u16::try_from(peer_port?).ok()?,
            peer_host: peer_host?,
        };
        if read.drain_grace >= read.drain_timeout {
            let message = format!(
                "`DRAIN_GRACE` is `{}`, which is not below `DRAIN_TIMEOUT`, which is `{}`",
                read.drain_grace.as_millis(),
                read.drain_timeout.as_millis()
            );
            let hint = "lower `DRAIN_GRACE`, else no time is left for the calls in flight";
            reader.complain(env::DRAIN_GRACE, message, hint);
            return None;
        }
        Some(read)
    }

    /// The public origin without a trailing slash: the issuer string, compared byte by byte by clients.
    pub fn origin(&self) -> String {
        self.public_url.as_str().trim_end_matches('/').to_owned()
    }
}
