//! Who may do what: bearer verification and the challenge for those without one.

pub mod bearer;
pub mod challenge;
