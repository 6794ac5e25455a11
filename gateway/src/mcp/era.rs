//! Which era a request belongs to (2026-07-28 basic/versioning): decided per request, without state.

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::mcp::envelope::Message;
use crate::mcp::error::{Code, RpcError, printable};
use crate::session::seal::LEGACY_VERSIONS;

/// The version of the modern era.
pub const MODERN_VERSION: &str = "2026-07-28";

/// Key of the protocol version in `_meta`.
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// Every version that is served, newest first.
pub fn supported_versions() -> Vec<&'static str> {
    std::iter::once(MODERN_VERSION)
        .chain(LEGACY_VERSIONS.into_iter().rev())
        .collect()
}

/// The era of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Era {
    /// `initialize`, sessions: up to 2025-11-25. The version the header names, if it names one.
    Legacy { header_version: Option<&'static str> },
    /// 2026-07-28: no handshake, no session.
    Modern(ModernMeta),
}

/// What a modern request says about itself in `_meta`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ModernMeta {
    /// Lowest level of `notifications/message` that the client wants for this request.
    pub log_level: Option<String>,
}

/// The request headers that take part in the decision, decoded as text.
#[derive(Clone, Debug, Default)]
pub struct EraHeaders {
    /// All values of `MCP-Protocol-Version`.
    pub protocol_version: Vec<String>,
    /// All values of `Mcp-Method`.
    pub method: Vec<String>,
    /// All values of `Mcp-Name`.
    pub name: Vec<String>,
}

#[derive(Deserialize)]
struct MetaOnly {
    #[serde(rename = "_meta")]
    meta: Option<Value>,
}

/// Decides the era of a message and checks the rules that come with it.
pub fn classify(message: &Message<'_>, headers: &EraHeaders) -> Result<Era, RpcError> {
    let (method, params) = match message {
        Message::Request { method, params, .. } | Message::Notification { method, params } => {
            (method.as_ref(), *params)
        }
        // Only the legacy era has responses from clients.
        Message::Response { .. } => ("", None),
    };
    let header = single(&headers.protocol_version, "MCP-Protocol-Version")?;
    if method == "initialize" && is_handshake(params) {
        // The handshake of the legacy era, whatever version it asks for.
        return Ok(Era::Legacy { header_version: None });
    }
    let meta = params
        .and_then(|params| serde_json::from_str::<MetaOnly>(params.get()).ok())
        .and_then(|p| p.meta);
    let meta_version = meta.as_ref().and_then(|meta| meta.get(META_VERSION));
    let legacy = header.and_then(|header| LEGACY_VERSIONS.into_iter().find(|known| *known == header));
    match (meta_version, header) {
        (None, None) => Ok(Era::Legacy { header_version: None }),
        (None, Some(_)) if legacy.is_some() => Ok(Era::Legacy {
            header_version: legacy,
        }),
        (None, Some(MODERN_VERSION)) if matches!(message, Message::Request { .. }) => {
            Err(RpcError::invalid_params(format!(
                "`params._meta` must carry `{META_VERSION}` and `{META_CAPABILITIES}`"
            )))
        }
        (None, Some(MODERN_VERSION)) => Ok(Era::Modern(ModernMeta::default())),
        (None, Some(other)) => Err(unsupported(other)),
        (Some(version), header) => modern(method, version, header, meta.as_ref(), (params, headers)),
    }
}

/// Whether `initialize` is the real one, which names a version; the modern era has no such method.
fn is_handshake(params: Option<&serde_json::value::RawValue>) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params {
        protocol_version: Option<Value>,
        #[serde(rename = "_meta")]
        meta: Option<Value>,
    }
    let params = params.and_then(|params| serde_json::from_str::<Params>(params.get()).ok());
    params.is_none_or(|params| {
        params.protocol_version.is_some() || params.meta.is_none_or(|meta| meta.get(META_VERSION).is_none())
    })
}

fn modern(
    method: &str,
    version: &Value,
    header: Option<&str>,
    meta: Option<&Value>,
    (params, headers): (Option<&serde_json::value::RawValue>, &EraHeaders),
) -> Result<Era, RpcError> {
    let Some(version) = version.as_str() else {
        return Err(RpcError::invalid_params(format!(
            "`{META_VERSION}` must be a string"
        )));
    };
    if header != Some(version) {
        return Err(mismatch("MCP-Protocol-Version", META_VERSION));
    }
    if version != MODERN_VERSION {
        return Err(unsupported(version));
    }
    if single(&headers.method, "Mcp-Method")? != Some(method) {
        return Err(mismatch("Mcp-Method", "method"));
    }
    check_name(method, params, headers)?;
    if !meta
        .and_then(|meta| meta.get(META_CAPABILITIES))
        .is_some_and(Value::is_object)
    {
        return Err(RpcError::invalid_params(format!(
            "`params._meta` must carry `{META_CAPABILITIES}`"
        )));
    }
    let log_level = meta
        .and_then(|meta| meta.get(META_LOG_LEVEL))
        .and_then(Value::as_str)
        .map(str::to_owned);
    Ok(Era::Modern(ModernMeta { log_level }))
}

/// `Mcp-Name` repeats the name or URI that a request is about.
fn check_name(
    method: &str,
    params: Option<&serde_json::value::RawValue>,
    headers: &EraHeaders,
) -> Result<(), RpcError> {
    #[derive(Deserialize)]
    struct Named {
        name: Option<Value>,
        uri: Option<Value>,
    }
    let field = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(()),
    };
    let named = params.and_then(|params| serde_json::from_str::<Named>(params.get()).ok());
    let value = named.and_then(|named| if field == "name" { named.name } else { named.uri });
    let header = single(&headers.name, "Mcp-Name")?.map(decode_sentinel);
    match (value.as_ref().and_then(Value::as_str), header) {
        (Some(value), Some(Some(header))) if header == value => Ok(()),
        // A missing name is reported by the method itself, as a wrong parameter.
        (None, None) => Ok(()),
        _ => Err(mismatch("Mcp-Name", &format!("params.{field}"))),
    }
}

/// Undoes the `=?base64?…?=` form of a header value that is not plain ASCII.
fn decode_sentinel(value: &str) -> Option<String> {
    use base64::Engine as _;
    let Some(encoded) = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    else {
        return Some(value.to_owned());
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok()
}

fn single<'a>(values: &'a [String], name: &str) -> Result<Option<&'a str>, RpcError> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(RpcError::new(
            Code::HeaderMismatch,
            format!("the header `{name}` is sent more than once"),
        )),
    }
}

fn mismatch(header: &str, field: &str) -> RpcError {
    RpcError::new(
        Code::HeaderMismatch,
        format!("the header `{header}` must be sent and equal `{field}` of the body"),
    )
}

fn unsupported(version: &str) -> RpcError {
    let version = printable(version);
    RpcError {
        code: Code::UnsupportedVersion,
        message: format!("protocol version `{version}` is not served"),
        data: Some(json!({"supported": supported_versions(), "requested": version})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::envelope;

    fn era(
        body: &Value,
        version: Option<&str>,
        method: Option<&str>,
        name: Option<&str>,
    ) -> Result<Era, i32> {
        let list = |value: Option<&str>| value.map(str::to_owned).into_iter().collect();
        let headers = EraHeaders {
            protocol_version: list(version),
            method: list(method),
            name: list(name),
        };
        let body = body.to_string();
        let message = envelope::parse(body.as_bytes()).unwrap();
        classify(&message, &headers).map_err(|error| error.code.number())
    }

    fn call(meta: &Value) -> Value {
        json!({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","_meta":meta}})
    }

    fn good_meta() -> Value {
        json!({META_VERSION: MODERN_VERSION, META_CAPABILITIES: {}})
    }

    #[test]
    fn a_request_without_modern_marks_is_legacy() {
        let ping = json!({"jsonrpc":"2.0","id":1,"method":"ping"});
        assert_eq!(
            era(&ping, None, None, None),
            Ok(Era::Legacy { header_version: None })
        );
        let header_version = Some("2025-06-18");
        assert_eq!(
            era(&ping, header_version, None, None),
            Ok(Era::Legacy { header_version })
        );
    }

    #[test]
    fn initialize_is_legacy_even_if_it_names_the_modern_version() {
        let initialize = json!({"jsonrpc":"2.0","id":1,"method":"initialize",
            "params":{"protocolVersion":MODERN_VERSION,"_meta":good_meta()}});
        assert_eq!(
            era(&initialize, Some(MODERN_VERSION), None, None),
            Ok(Era::Legacy { header_version: None })
        );
    }

    #[test]
    fn a_modern_request_needs_agreeing_headers_and_meta() {
        let m = Some(MODERN_VERSION);
        let (tool, name) = (Some("tools/call"), Some("whoami"));
        assert!(matches!(
            era(&call(&good_meta()), m, tool, name),
            Ok(Era::Modern(_))
        ));
        assert!(matches!(
            era(&call(&good_meta()), m, tool, Some("=?base64?d2hvYW1p?=")),
            Ok(Era::Modern(_))
        ));
        assert_eq!(era(&call(&good_meta()), None, tool, name), Err(-32020));
        assert_eq!(
            era(&call(&good_meta()), Some("2025-11-25"), tool, name),
            Err(-32020)
        );
        assert_eq!(era(&call(&good_meta()), m, None, name), Err(-32020));
        assert_eq!(era(&call(&good_meta()), m, Some("tools/list"), name), Err(-32020));
        assert_eq!(era(&call(&good_meta()), m, tool, None), Err(-32020));
        assert_eq!(era(&call(&good_meta()), m, tool, Some("other")), Err(-32020));
        assert_eq!(
            era(&call(&json!({META_VERSION: MODERN_VERSION})), m, tool, name),
            Err(-32602)
        );
        assert_eq!(era(&call(&json!({})), m, tool, name), Err(-32602));
    }

    #[test]
    fn an_unknown_version_is_named_together_with_the_known_ones() {
        let meta = json!({META_VERSION: "2031-01-01", META_CAPABILITIES: {}});
        assert_eq!(
            era(
                &call(&meta),
                Some("2031-01-01"),
                Some("tools/call"),
                Some("whoami")
            ),
            Err(-32022)
        );
        let error = unsupported("2031-01-01");
        assert_eq!(error.data.unwrap()["supported"][0], MODERN_VERSION);
    }
}
