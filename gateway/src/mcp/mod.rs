//! MCP itself: eras, envelopes, dispatch, streams.
