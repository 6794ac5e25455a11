//! What cannot be looked at where ministack plays AWS, because it does not keep it or does not have it.
//!
//! `infra/emulate/gaps.ts` says how each is verified instead.

/// The assertions that are left out, and why.
pub(crate) const LEFT_OUT: [(&str, &str); 3] = [
    ("F5", "images are not scanned"),
    ("F7", "what refers to an image is not listed"),
    ("J1", "the version of the protocol is not kept"),
];
