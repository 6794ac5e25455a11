//! The gateway from outside: a real listener, a real store in memory, a clock that tests move, and the
//! Google emulator where Google is needed.

#![expect(
    unreachable_pub,
    reason = "nothing outside of this test can reach anything here"
)]

mod bad_input;
mod clock;
#[cfg(test)]
mod connections;
mod hostile;
mod http_reference;
mod isolation;
mod login;
mod offers;
mod outage;
mod sessions;
mod slow_calls;
mod streams;
#[cfg(test)]
mod support;
mod tools;
mod versions;
