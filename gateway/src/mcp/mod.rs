//! MCP itself: eras, envelopes, dispatch of methods, streams.
//!
//! Nothing here knows HTTP: `web::mcp` turns requests into calls of [`dispatch::Mcp`] and replies into responses.

pub mod asks;
mod back;
pub mod catalog;
pub mod deliver;
pub mod dispatch;
pub mod durable;
pub mod envelope;
pub mod era;
pub mod error;
mod hear;
pub mod inflight;
mod leave;
pub mod legacy;
mod lost;
pub mod modern;
pub mod running;
pub mod sse;
pub mod standalone;
#[cfg(debug_assertions)]
mod test_tools;
pub mod tools;
mod wait;
pub mod wheel;

#[cfg(test)]
mod properties;
