//! The pages for people: server-rendered, without JavaScript.

/// What the gateway calls itself on its pages.
pub const PRODUCT: &str = "MCP Gateway";

pub mod consent;
pub mod error;
pub mod icons;
pub mod landing;
pub mod layout;
pub mod links;
