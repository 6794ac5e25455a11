//! Reads request bodies, bounded in size and in time: a body that never ends must not hold its connection.

use axum::body::{Body, Bytes};
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::arrival::{Arriving, TooSlow};

/// Why a body was not read. The rest of it is still on the connection, which cannot serve another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// Larger than the limit.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// Not complete in time.
    #[error("the body took too long to arrive")]
    TooSlow,
    /// The connection or the framing failed.
    #[error("the body broke off")]
    BrokenOff,
}

impl BodyError {
    /// RFC 9110 section 15.5.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenOff => StatusCode::BAD_REQUEST,
        }
    }

    /// The word in logs.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too_large",
            Self::TooSlow => "too_slow",
            Self::BrokenOff => "broken_off",
        }
    }
}

/// The whole body, if it has at most `limit` bytes and arrives in time.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    match Limited::new(Arriving::new(body), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge(limit)),
        Err(error) if TooSlow::caused(&*error) => Err(BodyError::TooSlow),
        Err(_) => Err(BodyError::BrokenOff),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{StreamExt as _, stream};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_is_read_within_its_bounds_only() {
        let of = |parts: Vec<Result<&'static str, std::io::Error>>| Body::from_stream(stream::iter(parts));
        assert_eq!(read(of(vec![Ok("ab"), Ok("cd")]), 4).await.unwrap(), "abcd");
        let large = read(of(vec![Ok("ab"), Ok("cde")]), 4).await;
        assert_eq!(large, Err(BodyError::TooLarge(4)));
        let broken = of(vec![Ok("ab"), Err(std::io::Error::other("reset"))]);
        assert_eq!(read(broken, 4).await, Err(BodyError::BrokenOff));
        let drip = stream::repeat("a").then(|part| async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            Ok::<_, std::io::Error>(part)
        });
        assert_eq!(read(Body::from_stream(drip), 100).await, Err(BodyError::TooSlow));
    }
}
