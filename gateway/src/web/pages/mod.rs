//! Pages for people.

pub mod icons;
pub mod landing;
pub mod links;
