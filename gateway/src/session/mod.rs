//! Legacy MCP sessions: the sealed id that any task can open, and what is kept beside it.

pub mod directory;
pub mod events;
pub mod seal;
