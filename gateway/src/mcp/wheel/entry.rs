//! One idle stream: its socket, how its bytes are framed, and what waits for its reader.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{CloseReason, IdleStream, Place, StreamKind};
use crate::mcp::sse;
use crate::session::directory::SessionKey;

/// Bytes that may wait for a slow reader before its stream is cut. The largest tool result fits twice.
const MAX_OUTBOX: usize = 4 << 20;
/// How long a reader may take none of the bytes that wait for it.
pub(super) const MAX_STALL: Duration = Duration::from_mins(1);
/// The same once the stream is over but for these bytes.
const MAX_STALL_AT_END: Duration = Duration::from_secs(5);

/// How the end of a stream is told from a broken connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// HTTP/1.1: chunks, the last of them empty.
    Chunked,
    /// HTTP/1.0, which knows no chunks: the end of the connection.
    UntilClose,
}

impl Framing {
    /// Whole events as bytes of the body.
    pub(super) fn frame(self, events: &[u8]) -> Bytes {
        match self {
            Self::Chunked => sse::chunk(events),
            Self::UntilClose => Bytes::copy_from_slice(events),
        }
    }

    /// The last events of the body.
    pub(super) fn last(self, events: &[u8]) -> Bytes {
        match self {
            Self::Chunked => [&sse::chunk(events), sse::LAST_CHUNK].concat().into(),
            Self::UntilClose => Bytes::copy_from_slice(events),
        }
    }
}

/// One stream of the wheel.
pub(super) struct Entry {
    pub(super) socket: Arc<TcpStream>,
    pub(super) session: SessionKey,
    pub(super) kind: StreamKind,
    pub(super) grant: Arc<str>,
    pub(super) framing: Framing,
    pub(super) opened: Instant,
    pub(super) slot: usize,
    /// The client was asked to wait longer than others before it opens the next one.
    pub(super) slowed: bool,
    /// Why the stream is over, once it only waits for its reader to take the rest.
    pub(super) ending: Option<CloseReason>,
    outbox: Option<Box<Outbox>>,
    /// Gives the connection's place back when the stream ends.
    _place: Place,
}

/// Bytes that the socket did not take yet. Exists only while there are any.
struct Outbox {
    queue: VecDeque<Bytes>,
    bytes: usize,
    progress: Instant,
}

impl Entry {
    /// A stream that was just opened.
    pub(super) fn new(
        socket: TcpStream,
        framing: Framing,
        slot: usize,
        stream: IdleStream,
        place: Place,
    ) -> Self {
        Self {
            socket: Arc::new(socket),
            session: stream.session,
            kind: stream.kind,
            grant: stream.grant,
            framing,
            opened: Instant::now(),
            slot,
            slowed: false,
            ending: None,
            outbox: None,
            _place: place,
        }
    }

    /// Whether bytes wait for the reader.
    pub(super) fn waits(&self) -> bool {
        self.outbox.is_some()
    }

    /// Why the stream is over, if it is: read readiness tells of EOF without a system call per stream.
    pub(super) fn end_seen(&self) -> Option<CloseReason> {
        let mut scratch = [0; 256];
        let read = self.socket.try_read(&mut scratch);
        match read {
            Ok(0) => Some(CloseReason::Client),
            // Whatever a client sends on a stream that only flows one way is ignored.
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let patience = self.ending.map_or(MAX_STALL, |_| MAX_STALL_AT_END);
                let stalled = self
                    .outbox
                    .as_ref()
                    .is_some_and(|outbox| outbox.progress.elapsed() > patience);
                stalled.then_some(CloseReason::SlowReader)
            }
            Err(_) => Some(CloseReason::Transport),
        }
    }

    /// Adds data and writes what the socket takes.
    pub(super) fn push(&mut self, data: Bytes) -> Result<(), CloseReason> {
        let outbox = self.outbox.get_or_insert_with(|| {
            Box::new(Outbox {
                queue: VecDeque::new(),
                bytes: 0,
                progress: Instant::now(),
            })
        });
        if outbox.bytes + data.len() > MAX_OUTBOX {
            return Err(CloseReason::SlowReader);
        }
        outbox.bytes += data.len();
        outbox.queue.push_back(data);
        self.flush()
    }

    /// Writes what the socket takes of what waits.
    pub(super) fn flush(&mut self) -> Result<(), CloseReason> {
        let Some(outbox) = &mut self.outbox else {
            return Ok(());
        };
        while let Some(front) = outbox.queue.front_mut() {
            match self.socket.try_write(front) {
                Ok(written) => {
                    outbox.bytes -= written;
                    outbox.progress = Instant::now();
                    front.advance(written);
                    if front.is_empty() {
                        outbox.queue.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(CloseReason::Transport),
            }
        }
        self.outbox = None;
        Ok(())
    }
}
