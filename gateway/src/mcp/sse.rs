//! Server-sent events as bytes (HTML Living Standard section 9.2).

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;

/// The comment that keeps every idle timeout on the path from firing. 14 bytes.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// A `message` event that carries one JSON-RPC message.
pub fn message(json: &[u8]) -> Bytes {
    with_head(b"event: message\ndata: ", json)
}

/// The same with a place that the client can come back to (`Last-Event-ID`).
pub fn message_at(place: impl Display, json: &[u8]) -> Bytes {
    with_head(format!("id: {place}\nevent: message\ndata: ").as_bytes(), json)
}

/// An event without a message, which gives the client a place to come back to before there is one, and says how
/// long to wait with that (2025-11-25 basic/transports, sending messages to the server).
pub fn primer(place: impl Display, wait: Duration) -> Bytes {
    format!("id: {place}\nretry: {}\ndata: \n\n", wait.as_millis()).into()
}

fn with_head(head: &[u8], json: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(head.len() + json.len() + 2);
    event.extend_from_slice(head);
    // Raw client text (an id, say) may hold line breaks between tokens; they would end the data line.
    event.extend(json.iter().map(|byte| {
        if matches!(byte, b'\n' | b'\r') {
            b' '
        } else {
            *byte
        }
    }));
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// The first event of the HTTP+SSE transport: where the client has to POST to.
pub fn endpoint(url: &str) -> Bytes {
    format!("event: endpoint\ndata: {url}\n\n").into()
}

/// How long the client is to wait before it reconnects.
pub fn retry(wait: Duration) -> Bytes {
    format!("retry: {}\n\n", wait.as_millis()).into()
}

/// One chunk of a chunked body (RFC 9112 section 7.1).
pub fn chunk(data: &[u8]) -> Bytes {
    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    chunk.into()
}

/// The end of a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_data_line_whatever_the_json_holds() {
        assert_eq!(message(b"{\"id\":\n1}"), "event: message\ndata: {\"id\": 1}\n\n");
    }

    #[test]
    fn a_place_goes_before_the_data_and_a_primer_has_no_message() {
        assert_eq!(message_at("c.1", b"{}"), "id: c.1\nevent: message\ndata: {}\n\n");
        assert_eq!(
            primer("c.0", Duration::from_secs(2)),
            "id: c.0\nretry: 2000\ndata: \n\n"
        );
    }

    #[test]
    fn a_chunk_says_its_length_in_hexadecimal() {
        assert_eq!(chunk(KEEP_ALIVE), "e\r\n: keep-alive\n\n\r\n");
    }
}
