//! The MCP gateway as a library, so that the binary and the integration tests share one composition root.
//!
//! Reading order: `app` wires the parts; `web` is the HTTP surface; `mcp` speaks the protocol; the five
//! domains below it do not know each other; `store` keeps what outlives a request.

pub mod app;

pub mod web;

pub mod mcp;

pub mod access;
pub mod google;
pub mod oauth;
pub mod session;

pub mod store;

pub mod model;

pub mod clock;
pub mod config;
pub mod id;
pub mod jwt;
pub mod lifecycle;
pub mod limits;
pub mod oidc;
pub mod secret;
pub mod telemetry;
pub mod version;
