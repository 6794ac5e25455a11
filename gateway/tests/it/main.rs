//! The gateway from outside: a real listener, a real store in memory, a clock that tests move, and the
//! Google emulator where Google is needed.

#![expect(
    unreachable_pub,
    reason = "nothing outside of this test can reach anything here"
)]

mod bad_input;
#[cfg(test)]
mod hostile;
mod login;
mod sessions;
mod streams;
#[cfg(test)]
mod support;
