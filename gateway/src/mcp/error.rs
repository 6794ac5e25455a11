//! JSON-RPC errors and the codes that MCP gives a meaning.

use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::mcp::envelope::RequestId;

/// The codes that the gateway sends (JSON-RPC 2.0 section 5.1, MCP 2026-07-28 basic).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The body is not JSON.
    ParseError,
    /// The body is JSON but not a JSON-RPC message.
    InvalidRequest,
    /// No such method.
    MethodNotFound,
    /// The parameters do not fit.
    InvalidParams,
    /// Our fault.
    Internal,
    /// No such resource, as the legacy era says it (2025-11-25 server/resources, error handling).
    ResourceNotFound,
    /// The session id is not served (HTTP 404 of the Streamable HTTP transport).
    SessionNotFound,
    /// A header that must repeat the body is missing or differs (2026-07-28).
    HeaderMismatch,
    /// The protocol version is not served (2026-07-28).
    UnsupportedVersion,
}

impl Code {
    /// The number on the wire.
    pub fn number(self) -> i32 {
        match self {
            Self::ParseError => -32700,
            Self::InvalidRequest => -32600,
            Self::MethodNotFound => -32601,
            Self::InvalidParams => -32602,
            Self::Internal => -32603,
            Self::ResourceNotFound => -32002,
            Self::SessionNotFound => -32001,
            Self::HeaderMismatch => -32020,
            Self::UnsupportedVersion => -32022,
        }
    }
}

/// A JSON-RPC error object.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    /// What kind.
    pub code: Code,
    /// A lower-case sentence that names the field and the fix.
    pub message: String,
    /// `data`, where the specification asks for it.
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// `-32602`.
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidParams, message)
    }

    /// `-32601` for `method`.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(
            Code::MethodNotFound,
            format!("there is no method `{}`", printable(method)),
        )
    }

    /// The whole response message. An unknown id is `null` (JSON-RPC 2.0 section 5).
    pub fn response(&self, id: Option<&RequestId>) -> Vec<u8> {
        let mut error = json!({"code": self.code.number(), "message": self.message});
        if let (Some(data), Some(object)) = (&self.data, error.as_object_mut()) {
            object.insert("data".to_owned(), data.clone());
        }
        let id = id.map_or("null", RequestId::as_json);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into_bytes()
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code.number())
    }
}

/// A response message around a result that is already JSON.
pub fn result_response(id: &RequestId, result: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, id.as_json()).into_bytes()
}

/// A notification message.
pub fn notification(method: &str, params: &impl Serialize) -> Vec<u8> {
    let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
    message.to_string().into_bytes()
}

/// Untrusted text made fit for a message: no control characters, at most 100 characters.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// The JSON text of `value`; `null` for what cannot be JSON, which our own types never are.
pub fn to_json(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
