//! What the gateway tells its operators, and what it keeps to itself.

pub mod logging;
pub mod redact;
