//! The gateway from outside: a real listener, a real store in memory, a clock that tests move, and the
//! Google emulator where Google is needed.

#![expect(
    unreachable_pub,
    reason = "nothing outside of this test can reach anything here"
)]

// `cfg(test)` tells clippy that helpers in these files are test code as well.
#[cfg(test)]
mod access;
mod bad_input;
#[cfg(test)]
mod connections;
mod hostile;
#[cfg(test)]
mod http_edges;
mod http_reference;
#[cfg(test)]
mod isolation;
mod login;
#[cfg(test)]
mod outage;
mod sessions;
#[cfg(test)]
mod slow_calls;
mod status;
mod streams;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod versions;
