//! The gateway from outside: a real listener, a real store in memory, a clock that tests move, and the
//! Google emulator where Google is needed.

// Tells clippy that helpers are test code as well.
#![cfg(test)]
#![expect(
    unreachable_pub,
    reason = "nothing outside of this test can reach anything here"
)]

mod access;
mod bad_input;
mod clock;
#[cfg(test)]
mod connections;
mod drain;
mod durable;
mod fleet;
mod hostile;
mod http_edges;
mod http_reference;
mod http_sse;
mod isolation;
mod limits;
mod login;
mod memory;
mod offers;
mod outage;
mod peers;
mod sessions;
mod slow_calls;
mod status;
mod store_outage;
mod streams;
mod support;
mod tools;
mod versions;
mod wait;
