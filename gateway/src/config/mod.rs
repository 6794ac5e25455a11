//! Every setting of the gateway, typed and checked. Read once at start, from the environment and one optional file.
//!
//! `env` declares the variables, `parse` reads them, one file per section says what they become, `reference`
//! writes them down for people. `env::load` is the only impure function.

pub mod env;
pub mod google;
pub mod mcp;
pub mod server;
pub mod store;
pub mod timeouts;
pub mod variable;

mod address;
mod error;
mod file;
mod names;
mod parse;
mod reference;
mod strength;
mod time_scale;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use parse::Reader;

use crate::clock::TimeScale;

pub use error::{ConfigErrors, Problem};
pub use google::GoogleConfig;
pub use mcp::McpConfig;
pub use reference::reference;
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
    /// `TIME_SCALE`: what the durations of all sections were multiplied by.
    pub time_scale: TimeScale,
    /// What looks like a mistake but does not stop a start, one sentence each. No secret is quoted.
    pub warnings: Vec<String>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for machines.
    Json,
    /// One line of text, for people.
    Text,
}

impl Config {
    /// Reads the configuration from `env` and from the text of the TOML file, if there is one.
    ///
    /// Every problem is in the error, not only the first. Pure: [`env::load`] reads the real environment.
    pub fn load(env: &BTreeMap<String, String>, file: Option<&str>) -> Result<Self, ConfigErrors> {
        let file = file.map(file::parse).transpose()?.unwrap_or_default();
        let mut reader = Reader::new(env, file);
        match Self::read(&mut reader) {
            Some(mut config) if reader.problems.is_empty() => {
                config.warnings = reader.warnings;
                config.scale();
                Ok(config)
            }
            _ => Err(ConfigErrors {
                problems: reader.problems,
            }),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let server = ServerConfig::read(reader);
        let mcp = McpConfig::read(reader);
        let google = GoogleConfig::read(reader);
        let store = StoreConfig::read(reader);
        let session_secret = reader.get(env::SESSION_SECRET, strength::key_material);
        let session_secret_previous = reader.optional(env::SESSION_SECRET_PREVIOUS, strength::key_material);
        let log_level = reader.word(env::LOG_LEVEL);
        let log_format = reader.word(env::LOG_FORMAT);
        let time_scale = time_scale::read(reader);
        let (session_secret, session_secret_previous) = (session_secret?, session_secret_previous?);
        let current = Some(session_secret.expose_secret());
        if session_secret_previous.as_ref().map(SecretString::expose_secret) == current {
            reader.complain(
                env::SESSION_SECRET_PREVIOUS,
                "`SESSION_SECRET_PREVIOUS` equals `SESSION_SECRET`".to_owned(),
                "put the new secret into `SESSION_SECRET`, or unset the previous one",
            );
        }
        Some(Self {
            server: server?,
            mcp: mcp?,
            google: google?,
            store: store?,
            session_secret,
            session_secret_previous,
            log_level: log_level?.to_owned(),
            log_format: if log_format? == "json" {
                LogFormat::Json
            } else {
                LogFormat::Text
            },
            time_scale: time_scale?,
            warnings: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests;
