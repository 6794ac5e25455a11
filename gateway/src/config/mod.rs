//! Every setting of the gateway, typed and checked. Read once at start, from the environment and one optional file.

pub mod env;
pub mod google;
pub mod mcp;
pub mod server;
pub mod store;

use secrecy::SecretString;

pub use google::GoogleConfig;
pub use mcp::McpConfig;
pub use server::ServerConfig;
pub use store::StoreConfig;

/// The whole configuration. A component takes its section, never all of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Sockets, timeouts, names and limits of the HTTP side.
    pub server: ServerConfig,
    /// Streams and calls.
    pub mcp: McpConfig,
    /// Google as identity provider and as API.
    pub google: GoogleConfig,
    /// Where state lives.
    pub store: StoreConfig,
    /// `SESSION_SECRET`: every symmetric key is derived from it. At least 32 characters.
    pub session_secret: SecretString,
    /// `SESSION_SECRET_PREVIOUS`: still opens and verifies during a rotation.
    pub session_secret_previous: Option<SecretString>,
    /// `LOG_LEVEL`.
    pub log_level: String,
    /// `LOG_FORMAT`.
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for machines.
    Json,
    /// One line of text, for people.
    Text,
}
