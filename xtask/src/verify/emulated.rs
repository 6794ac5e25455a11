//! What is not looked at on the local target.

/// The assertions that are left out there, and why.
pub(crate) const LEFT_OUT: [(&str, &str); 1] = [("F7", "nobody attests an image that is built here")];
