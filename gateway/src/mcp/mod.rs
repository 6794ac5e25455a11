//! MCP itself: eras, envelopes, dispatch of methods, streams.
//!
//! Nothing here knows HTTP: `web::mcp` turns requests into calls of [`dispatch::Mcp`] and replies into responses.

pub mod catalog;
pub mod dispatch;
pub mod envelope;
pub mod era;
pub mod error;
pub mod inflight;
pub mod legacy;
pub mod modern;
pub mod sse;
pub mod wheel;

#[cfg(test)]
mod properties;
