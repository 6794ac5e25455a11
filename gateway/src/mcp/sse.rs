//! Server-sent events as bytes (HTML Living Standard section 9.2).

use bytes::Bytes;

/// The comment that keeps every idle timeout on the path from firing. 14 bytes.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// A `message` event that carries one JSON-RPC message. The JSON must be on one line, which serde's is.
pub fn message(json: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(json.len() + 24);
    event.extend_from_slice(b"event: message\ndata: ");
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

/// How long the client is to wait before it reconnects, in milliseconds.
pub fn retry(milliseconds: u64) -> Bytes {
    format!("retry: {milliseconds}\n\n").into()
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
    fn a_chunk_says_its_length_in_hexadecimal() {
        assert_eq!(chunk(KEEP_ALIVE), "e\r\n: keep-alive\n\n\r\n");
    }
}
