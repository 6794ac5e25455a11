//! A small HTTP server for tests.
