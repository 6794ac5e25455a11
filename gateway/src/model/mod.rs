//! The data of the domain and its invariants. No I/O, no protocol, no storage attributes.

pub mod authorization;
pub mod call;
pub mod call_log;
pub mod client;
pub mod fleet;
pub mod google;
pub mod grant;
pub mod principal;
pub mod session;
pub mod user;
