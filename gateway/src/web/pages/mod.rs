//! The pages for people: server-rendered, without JavaScript.

pub mod consent;
pub mod error;
pub mod icons;
pub mod landing;
pub mod layout;
pub mod links;
