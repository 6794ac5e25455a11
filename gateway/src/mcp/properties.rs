//! What holds for every input of the envelope parser and of the decision about the era.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::envelope::{self, Message, RequestId};
use super::era::{self, EraHeaders, META_VERSION, MODERN_VERSION};
use super::error::{Code, RpcError, result_response};
use super::sse;

/// Any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,8}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// An object with the fields of a message, each of them absent, right or anything.
fn almost_a_message() -> impl Strategy<Value = Value> {
    let field = |right: Value| prop_oneof![Just(None), Just(Some(right)), any_json().prop_map(Some)];
    let meta = json!({"_meta": {META_VERSION: MODERN_VERSION}, "name": "whoami"});
    (
        field(json!("2.0")),
        field(json!(1)),
        field(json!("tools/call")),
        field(meta),
        field(json!({})),
        field(json!({"code": 1, "message": "x"})),
    )
        .prop_map(|(jsonrpc, id, method, params, result, error)| {
            let names = ["jsonrpc", "id", "method", "params", "result", "error"];
            let fields = [jsonrpc, id, method, params, result, error];
            let fields = names.into_iter().zip(fields);
            Value::Object(
                fields
                    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                    .collect(),
            )
        })
}

fn any_headers() -> impl Strategy<Value = EraHeaders> {
    let values = |right: &'static str| {
        let value = prop_oneof![Just(right.to_owned()), ".{0,12}", "=\\?base64\\?.{0,8}\\?="];
        prop::collection::vec(value, 0..3)
    };
    (values(MODERN_VERSION), values("tools/call"), values("whoami")).prop_map(
        |(protocol_version, method, name)| EraHeaders {
            protocol_version,
            method,
            name,
        },
    )
}

/// Integers of any size and strings of any text: what JSON-RPC and MCP allow as ids.
fn any_id() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,40}|[\"\\\\\u{0}-\u{1f}\u{7f}\u{2028}]{0,12}".prop_map(Value::from),
    ]
}

/// Parses and classifies; the code of the error, if there is one.
fn outcome(body: &[u8], headers: &EraHeaders) -> Option<Code> {
    let refused = |id: Option<&RequestId>, error: RpcError| {
        let response: Value = serde_json::from_slice(&error.response(id)).expect("an error is JSON");
        assert_eq!(response["jsonrpc"], "2.0");
        assert_eq!(response["error"]["code"], error.code.number());
        error.code
    };
    match envelope::parse(body) {
        Err((id, error)) => Some(refused(id.as_ref(), error)),
        Ok(message) => era::classify(&message, headers)
            .err()
            .map(|error| refused(None, error)),
    }
}

proptest! {
    #[test]
    fn no_bytes_break_the_parser(body in prop::collection::vec(any::<u8>(), 0..200), headers in any_headers()) {
        outcome(&body, &headers);
    }

    #[test]
    fn no_text_made_of_json_breaks_the_parser(
        body in "([\\[\\]{},:\"\\\\0-9.eE+-]|jsonrpc|2\\.0|id|method|params|_meta|null|true| ){0,60}",
        headers in any_headers(),
    ) {
        outcome(body.as_bytes(), &headers);
    }

    #[test]
    fn whatever_is_almost_a_message_is_taken_or_refused_with_a_code_of_the_client_s_fault(
        message in almost_a_message(),
        headers in any_headers(),
    ) {
        let code = outcome(message.to_string().as_bytes(), &headers);
        prop_assert_ne!(code, Some(Code::Internal));
        prop_assert_ne!(code, Some(Code::ParseError), "it is JSON: {}", message);
    }

    #[test]
    fn an_id_comes_back_as_it_was_in_json_and_on_an_event_stream(id in any_id()) {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string();
        let Ok(Message::Request { id: parsed, .. }) = envelope::parse(body.as_bytes()) else {
            panic!("a request: {body}")
        };
        let response = result_response(&parsed, "{}");
        let read: Value = serde_json::from_slice(&response).expect("JSON");
        prop_assert_eq!(&read["id"], &id);
        let event = sse::message(&response);
        let text = std::str::from_utf8(&event).expect("UTF-8");
        let lines: Vec<_> = text.split(['\n', '\r']).collect();
        prop_assert_eq!(lines.len(), 4, "event, data and an empty line: {}", text);
        let data = lines[1].strip_prefix("data: ").expect("data");
        prop_assert_eq!(&serde_json::from_str::<Value>(data).expect("JSON")["id"], &id);
    }

    #[test]
    fn parameters_are_kept_byte_for_byte(params in prop::collection::hash_map(".{0,8}", any_json(), 0..4)) {
        let params = serde_json::to_string_pretty(&params).expect("JSON");
        let body = format!(r#"{{"jsonrpc":"2.0","method":"x","params": {params} }}"#);
        let Ok(Message::Notification { params: Some(kept), .. }) = envelope::parse(body.as_bytes()) else {
            panic!("a notification: {body}")
        };
        prop_assert_eq!(kept.get(), params);
    }

    #[test]
    fn nesting_is_taken_up_to_a_hundred_levels(levels in 1_usize..300) {
        let (open, close) = (r#"{"a":"#.repeat(levels), "}".repeat(levels));
        let nested = format!("{open}1{close}");
        let body = format!(r#"{{"jsonrpc":"2.0","method":"x","params":{nested}}}"#);
        prop_assert_eq!(envelope::parse(body.as_bytes()).is_ok(), levels < 100);
    }
}
