//! The JSON-RPC envelope: parsed once, parameters kept as the text they came in.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::mcp::error::{Code, RpcError};

/// Deepest nesting of a message. No honest client comes near; parsers below recurse.
const MAX_DEPTH: usize = 100;
/// Longest request id, in bytes of JSON. It is repeated in every message about the request.
const MAX_ID: usize = 512;

/// A JSON-RPC id as the client wrote it: a string or an integer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// The id as JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// Reads an id that another task took from a message.
    pub fn from_json(text: &str) -> Option<Self> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        Self::parse(raw).ok()
    }

    /// Takes an id from a message; `-32600` for what cannot be one.
    pub fn parse(raw: &RawValue) -> Result<Self, RpcError> {
        let text = raw.get();
        let is_string = text.starts_with('"');
        let is_integer = text
            .strip_prefix('-')
            .unwrap_or(text)
            .bytes()
            .all(|b| b.is_ascii_digit());
        if (is_string || is_integer) && text.len() <= MAX_ID {
            return Ok(Self(text.into()));
        }
        Err(RpcError::new(
            Code::InvalidRequest,
            "`id` must be a string or an integer of at most 512 bytes",
        ))
    }
}

/// A message from a client.
#[derive(Debug)]
pub enum Message<'a> {
    /// Wants an answer.
    Request {
        id: RequestId,
        method: Cow<'a, str>,
        params: Option<&'a RawValue>,
    },
    /// Wants none.
    Notification {
        method: Cow<'a, str>,
        params: Option<&'a RawValue>,
    },
    /// Answers a request of the server. `text` is the whole message.
    Response { id: RequestId, text: &'a str },
}

#[derive(Deserialize)]
struct Wire<'a> {
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Keeps `null` apart from an absent field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// Parses a body. The error says what is wrong and, where it could be read, for which id.
pub fn parse(body: &[u8]) -> Result<Message<'_>, (Option<RequestId>, RpcError)> {
    let text = std::str::from_utf8(body)
        .map_err(|_| (None, RpcError::new(Code::ParseError, "the body is not UTF-8")))?;
    if depth(text.as_bytes()) > MAX_DEPTH {
        let message = format!("the body is nested deeper than {MAX_DEPTH} levels");
        return Err((None, RpcError::new(Code::ParseError, message)));
    }
    if text.trim_start().starts_with('[') {
        let message = "batches are not served; send one message per request";
        return Err((None, RpcError::new(Code::InvalidRequest, message)));
    }
    let wire: Wire<'_> = serde_json::from_str(text).map_err(|error| (None, malformed(&error)))?;
    let id = wire
        .id
        .map(RequestId::parse)
        .transpose()
        .map_err(|error| (None, error))?;
    let invalid = |message: &str| (id.clone(), RpcError::new(Code::InvalidRequest, message));
    if wire.jsonrpc.as_deref() != Some("2.0") {
        return Err(invalid("`jsonrpc` must be \"2.0\""));
    }
    if wire.params.is_some_and(|params| !params.get().starts_with('{')) {
        return Err((id, RpcError::invalid_params("`params` must be an object")));
    }
    match (id, wire.method) {
        (Some(id), Some(method)) => Ok(Message::Request {
            id,
            method,
            params: wire.params,
        }),
        (None, Some(method)) => Ok(Message::Notification {
            method,
            params: wire.params,
        }),
        (Some(id), None) if wire.result.is_some() != wire.error.is_some() => {
            Ok(Message::Response { id, text })
        }
        (id, None) => {
            let message = "the body is neither a request, a notification nor a response";
            Err((id, RpcError::new(Code::InvalidRequest, message)))
        }
    }
}

fn malformed(error: &serde_json::Error) -> RpcError {
    let place = format!("at line {}, column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => RpcError::new(
            Code::InvalidRequest,
            format!("the body is not a JSON-RPC message ({place})"),
        ),
        _ => RpcError::new(Code::ParseError, format!("the body is not JSON ({place})")),
    }
}

/// The deepest nesting of arrays and objects, by counting brackets outside of strings.
fn depth(json: &[u8]) -> usize {
    let (mut deepest, mut depth, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> i32 {
        parse(body.as_bytes()).unwrap_err().1.code.number()
    }

    #[test]
    fn a_request_keeps_its_id_and_parameters_as_they_came() {
        let body = br#"{"jsonrpc":"2.0","id":"a\u0041","method":"tools/call","params":{"x": 1.0}}"#;
        let Message::Request { id, method, params } = parse(body).unwrap() else {
            panic!("a request")
        };
        assert_eq!((id.as_json(), method.as_ref()), (r#""a\u0041""#, "tools/call"));
        assert_eq!(params.unwrap().get(), r#"{"x": 1.0}"#);
    }

    #[test]
    fn notifications_and_responses_are_told_apart() {
        let note = parse(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).unwrap();
        assert!(matches!(note, Message::Notification { .. }));
        let response = parse(br#"{"jsonrpc":"2.0","id":7,"result":{}}"#).unwrap();
        assert!(matches!(response, Message::Response { .. }));
    }

    #[test]
    fn junk_gets_the_code_that_json_rpc_gives_it() {
        let rows = [
            ("", -32700),
            ("{", -32700),
            ("nonsense", -32700),
            ("[]", -32600),
            ("7", -32600),
            ("{}", -32600),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, -32602),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, -32600),
        ];
        for (body, expected) in rows {
            assert_eq!(code(body), expected, "{body}");
        }
        assert_eq!(parse(b"\xff\xfe").unwrap_err().1.code, Code::ParseError);
    }

    #[test]
    fn nesting_is_bounded_and_brackets_in_strings_do_not_count() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{}{}}}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        assert_eq!(code(&deep), -32700);
        let strings = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":"{}\""}}}}"#,
            "[".repeat(500)
        );
        assert!(parse(strings.as_bytes()).is_ok());
    }
}
