//! Legacy MCP sessions: sealed ids and what is kept beside them.
