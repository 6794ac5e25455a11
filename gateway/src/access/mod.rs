//! Who may do what, and how much: bearer verification, the challenge for those without one, calls at once.

pub mod bearer;
pub mod challenge;
pub mod quota;
