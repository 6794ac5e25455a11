//! The mapping of Google's refusals, with bodies as Google sends them.

use super::*;

fn refusal(status: u16, body: &str) -> Refusal {
    Refusal::read(StatusCode::from_u16(status).unwrap(), body.as_bytes())
}

const SCOPE: &str = r#"{"error":{"code":403,"message":"Request had insufficient authentication scopes.",
    "errors":[{"message":"Insufficient Permission","domain":"global","reason":"insufficientPermissions"}],
    "status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",
    "reason":"ACCESS_TOKEN_SCOPE_INSUFFICIENT","domain":"googleapis.com","metadata":{"method":
    "caribou.api.proto.MailboxService.ListMessages","service":"gmail.googleapis.com"}}]}}"#;
const DISABLED: &str = r#"{"error":{"code":403,"message":"Google Docs API has not been used in project 123456789012 before or it is disabled.","status":"PERMISSION_DENIED","details":[{"@type":
    "type.googleapis.com/google.rpc.Help","links":[{"description":"Google developers console API activation"}]},
    {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED","domain":"googleapis.com"}]}}"#;
const DISABLED_DRIVE: &str = r#"{"error":{"errors":[{"domain":"usageLimits","reason":"accessNotConfigured",
    "message":"Access Not Configured."}],"code":403,"message":"Access Not Configured."}}"#;
const BURST: &str = r#"{"error":{"errors":[{"domain":"usageLimits","reason":"userRateLimitExceeded",
    "message":"User Rate Limit Exceeded"}],"code":403,"message":"User Rate Limit Exceeded"}}"#;
const DAILY: &str = r#"{"error":{"errors":[{"domain":"usageLimits","reason":"dailyLimitExceeded",
    "message":"Daily Limit Exceeded"}],"code":403,"message":"Daily Limit Exceeded"}}"#;
const QUOTA: &str = r#"{"error":{"code":429,"message":"Quota exceeded for quota metric 'Read requests'",
    "status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",
    "reason":"RATE_LIMIT_EXCEEDED","domain":"googleapis.com"}]}}"#;
const FILE: &str = r#"{"error":{"errors":[{"domain":"global","reason":"insufficientFilePermissions",
    "message":"The user does not have sufficient permissions for file abc."}],"code":403,
    "message":"The user does not have sufficient permissions for file abc."}}"#;
const EXPORT: &str = r#"{"error":{"errors":[{"domain":"global","reason":"exportSizeLimitExceeded",
    "message":"This file is too large to be exported."}],"code":403,
    "message":"This file is too large to be exported."}}"#;
const MISSING: &str =
    r#"{"error":{"code":404,"message":"Requested entity was not found.","status":"NOT_FOUND"}}"#;
const RANGE: &str =
    r#"{"error":{"code":400,"message":"Unable to parse range: Nope!A1","status":"INVALID_ARGUMENT"}}"#;
const EXPIRED: &str = r#"{"error":{"code":401,"message":"Request had invalid authentication credentials.",
    "errors":[{"message":"Invalid Credentials","domain":"global","reason":"authError"}],"status":"UNAUTHENTICATED"}}"#;
const BACKEND: &str = r#"{"error":{"errors":[{"domain":"global","reason":"backendError","message":"Backend Error"}],
    "code":503,"message":"Backend Error"}}"#;

#[test]
fn every_refusal_has_its_code_and_only_passing_ones_are_asked_again() {
    for (status, body, code, transient) in [
        (403, SCOPE, ErrorCode::InsufficientScope, false),
        (403, DISABLED, ErrorCode::ApiNotEnabled, false),
        (403, DISABLED_DRIVE, ErrorCode::ApiNotEnabled, false),
        (403, BURST, ErrorCode::RateLimited, true),
        (403, DAILY, ErrorCode::RateLimited, false),
        (403, FILE, ErrorCode::PermissionDenied, false),
        (403, EXPORT, ErrorCode::TooLarge, false),
        (403, "<html>Forbidden</html>", ErrorCode::PermissionDenied, false),
        (429, QUOTA, ErrorCode::RateLimited, true),
        (429, DAILY, ErrorCode::RateLimited, false),
        (429, "", ErrorCode::RateLimited, true),
        (404, MISSING, ErrorCode::NotFound, false),
        (410, "", ErrorCode::NotFound, false),
        (400, RANGE, ErrorCode::InvalidArgument, false),
        (401, EXPIRED, ErrorCode::ReauthRequired, false),
        (413, "", ErrorCode::TooLarge, false),
        (500, BACKEND, ErrorCode::UpstreamUnavailable, true),
        (501, "", ErrorCode::UpstreamUnavailable, false),
        (502, "<html>", ErrorCode::UpstreamUnavailable, true),
        (503, BACKEND, ErrorCode::UpstreamUnavailable, true),
        (504, r#"{"error":"string"}"#, ErrorCode::UpstreamUnavailable, true),
    ] {
        let refusal = refusal(status, body);
        assert_eq!(refusal.code(), code, "{status} {body}");
        assert_eq!(refusal.is_transient(), transient, "{status} {body}");
    }
}

#[test]
fn the_failure_passes_googles_message_on_without_control_characters_and_bounded() {
    let error = refusal(400, RANGE).into_error("Google Sheets", None);
    assert_eq!(error.message, "Google Sheets: Unable to parse range: Nope!A1");
    let long = format!(r#"{{"error":{{"message":"a\u0000\n{}"}}}}"#, "ü".repeat(5_000));
    let error = refusal(400, &long).into_error("Gmail", None);
    assert_eq!(error.message.chars().count(), "Gmail: ".len() + MESSAGE_CHARS_MAX);
    assert!(error.message.starts_with("Gmail: aü"));
    assert_eq!(
        refusal(502, "<html>").into_error("Gmail", None).message,
        "Gmail answered 502 Bad Gateway"
    );
}

#[test]
fn a_failure_tells_its_code_hint_field_and_when_to_come_back() {
    let error = refusal(429, "").into_error("Gmail", Some(Duration::from_millis(1500)));
    assert_eq!(
        error.to_json(),
        json!({
            "code": "rate_limited",
            "message": "Gmail answered 429 Too Many Requests",
            "retryAfterMs": 1500,
            "hint": "wait as long as `retryAfterMs` says, or a minute, and call again",
        })
    );
    let error = ToolError::argument("range", "`range` is required".to_owned());
    assert_eq!(
        error.to_json(),
        json!({ "code": "invalid_argument", "message": "`range` is required", "field": "range" })
    );
}
