//! Legacy MCP sessions: the sealed id that any task can open, what is kept beside it, and what tasks tell each other.

pub mod directory;
pub mod events;
pub mod peers;
pub mod seal;
