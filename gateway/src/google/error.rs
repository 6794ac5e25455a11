//! Why a tool call has no result: stable codes, and how Google's answers map to them.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

/// How much of Google's own message is passed on, in characters.
const MESSAGE_CHARS_MAX: usize = 400;

/// The codes that clients and models may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    /// Google no longer accepts the person's login.
    ReauthRequired,
    /// The person did not grant what the tool needs.
    InsufficientScope,
    /// The API is off in the Google Cloud project of the gateway.
    ApiNotEnabled,
    /// Google asks for fewer requests.
    RateLimited,
    /// There is no such thing, or the person must not know of it.
    NotFound,
    /// The person may not do this.
    PermissionDenied,
    /// The content does not fit the limits.
    TooLarge,
    /// Google or the gateway's store is out of order.
    UpstreamUnavailable,
    /// No answer in time.
    Timeout,
    /// The arguments are wrong.
    InvalidArgument,
    /// The client does not want the answer any more.
    Cancelled,
}

impl ErrorCode {
    /// The code on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ReauthRequired => "reauth_required",
            Self::InsufficientScope => "insufficient_scope",
            Self::ApiNotEnabled => "api_not_enabled",
            Self::RateLimited => "rate_limited",
            Self::NotFound => "not_found",
            Self::PermissionDenied => "permission_denied",
            Self::TooLarge => "too_large",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::Timeout => "timeout",
            Self::InvalidArgument => "invalid_argument",
            Self::Cancelled => "cancelled",
        }
    }

    /// What to do about it, when nothing better is known.
    fn hint(self) -> Option<&'static str> {
        match self {
            Self::ReauthRequired => Some(
                "the Google login has ended; disconnect and reconnect this MCP server to log in with Google again",
            ),
            Self::InsufficientScope => Some(
                "log in with Google again and leave every permission ticked; `test_auth` lists what is missing",
            ),
            Self::ApiNotEnabled => {
                Some("an administrator has to enable the API in the Google Cloud project of this gateway")
            }
            Self::RateLimited => Some("wait as long as `retryAfterMs` says, or a minute, and call again"),
            Self::NotFound => Some("check the identifier; it may be deleted or not shared with this account"),
            Self::PermissionDenied => Some("ask the owner for access, or use another account"),
            Self::TooLarge => Some("ask for less, or open the item in Google itself"),
            Self::UpstreamUnavailable | Self::Timeout => Some("try again in a moment"),
            Self::InvalidArgument | Self::Cancelled => None,
        }
    }
}

/// A failure that the caller of a tool sees. Holds no token and no internal text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ToolError {
    /// The stable code.
    pub(crate) code: ErrorCode,
    /// One sentence.
    pub(crate) message: String,
    /// What to do, when the code's own hint does not fit.
    pub(crate) hint: Option<String>,
    /// When to come back.
    pub(crate) retry_after: Option<Duration>,
    /// The argument that is wrong.
    pub(crate) field: Option<String>,
}

impl ToolError {
    /// A failure with the hint of its code.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            retry_after: None,
            field: None,
        }
    }

    /// Arguments that Google or we do not understand.
    pub(crate) fn invalid(message: String) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// An argument that is wrong, and what would be right.
    pub(crate) fn argument(field: &str, message: String) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..Self::invalid(message)
        }
    }

    /// Replaces the hint of the code.
    #[must_use]
    pub(crate) fn hinting(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Says when to come back.
    #[must_use]
    pub(crate) fn after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    /// The object under `error` in a tool's structured content.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code.as_str(), "message": self.message });
        let hint = self.hint.as_deref().or(self.code.hint());
        let retry_after_ms = self
            .retry_after
            .map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        if let Some(members) = error.as_object_mut() {
            members.extend(retry_after_ms.map(|ms| ("retryAfterMs".to_owned(), ms.into())));
            members.extend(
                self.field
                    .as_deref()
                    .map(|field| ("field".to_owned(), field.into())),
            );
            members.extend(hint.map(|hint| ("hint".to_owned(), hint.into())));
        }
        error
    }
}

/// An answer of Google that is not a success, reduced to what decides how to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    reasons: Vec<String>,
    message: Option<String>,
}

impl Refusal {
    /// Reads the error body of Google's APIs in its two forms (`error.errors[].reason`, and
    /// `error.status` with `error.details[].reason`). A body of another form leaves the status.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = body.get("error").unwrap_or(&Value::Null);
        let listed = ["errors", "details"]
            .into_iter()
            .filter_map(|list| error.get(list)?.as_array())
            .flatten()
            .filter_map(|item| item.get("reason")?.as_str());
        let reasons = listed
            .chain(error.get("status").and_then(Value::as_str))
            .map(str::to_owned)
            .collect();
        let message = error.get("message").and_then(Value::as_str).map(|text| {
            let clean: String = text.chars().filter(|c| !c.is_control()).collect();
            clean.chars().take(MESSAGE_CHARS_MAX).collect()
        });
        Self {
            status,
            reasons,
            message,
        }
    }

    fn says(&self, reasons: &[&str]) -> bool {
        self.reasons
            .iter()
            .any(|reason| reasons.contains(&reason.as_str()))
    }

    /// Whether the same request may succeed in a moment: 429, 5xx that are about load or luck, and the
    /// 403 that Gmail, Calendar and Drive send for bursts. A used-up daily quota does not come back.
    pub(crate) fn is_transient(&self) -> bool {
        match self.status.as_u16() {
            429 | 500 | 502 | 503 | 504 => !self.says(&["dailyLimitExceeded", "quotaExceeded"]),
            403 => self.says(&[
                "rateLimitExceeded",
                "userRateLimitExceeded",
                "RATE_LIMIT_EXCEEDED",
            ]),
            _ => false,
        }
    }

    /// The one mapping of Google's refusals to our codes.
    pub(crate) fn code(&self) -> ErrorCode {
        match self.status.as_u16() {
            401 => ErrorCode::ReauthRequired,
            403 => self.forbidden(),
            404 | 410 => ErrorCode::NotFound,
            413 => ErrorCode::TooLarge,
            429 => ErrorCode::RateLimited,
            500.. => ErrorCode::UpstreamUnavailable,
            _ => ErrorCode::InvalidArgument,
        }
    }

    /// 403 is Google's answer to seven different situations; only the reason tells them apart.
    fn forbidden(&self) -> ErrorCode {
        let by_reason: [(&[&str], ErrorCode); 4] = [
            (
                &["SERVICE_DISABLED", "accessNotConfigured", "API_DISABLED"],
                ErrorCode::ApiNotEnabled,
            ),
            (
                &[
                    "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                    "insufficientPermissions",
                    "insufficientScopes",
                ],
                ErrorCode::InsufficientScope,
            ),
            (
                &[
                    "rateLimitExceeded",
                    "userRateLimitExceeded",
                    "RATE_LIMIT_EXCEEDED",
                    "dailyLimitExceeded",
                    "downloadQuotaExceeded",
                    "quotaExceeded",
                    "RESOURCE_EXHAUSTED",
                ],
                ErrorCode::RateLimited,
            ),
            (&["exportSizeLimitExceeded"], ErrorCode::TooLarge),
        ];
        by_reason
            .into_iter()
            .find(|(reasons, _)| self.says(reasons))
            .map_or(ErrorCode::PermissionDenied, |(_, code)| code)
    }

    /// The failure that the caller sees.
    pub(crate) fn into_error(self, api: &str, retry_after: Option<Duration>) -> ToolError {
        let code = self.code();
        let message = match self.message {
            Some(message) => format!("{api}: {message}"),
            None => format!("{api} answered {}", self.status),
        };
        ToolError::new(code, message).after(retry_after)
    }
}

#[cfg(test)]
mod tests;
