//! The gateway from outside: a real listener, a real store in memory, a clock that tests move, and the
//! Google emulator where Google is needed.

mod bad_input;
mod login;
mod sessions;
mod streams;
mod support;
