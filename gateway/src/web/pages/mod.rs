//! The pages for people: server-rendered, without JavaScript, one shell for all.

pub mod consent;
pub mod error;
pub mod layout;
