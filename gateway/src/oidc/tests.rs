//! The provider's client against a real socket: what it caches, what it refuses, how failures are sorted.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::fake::{self, FakeProvider};
use super::{OidcError, Provider};
use crate::clock::Clock;

const DISCOVERY: &str = "/.well-known/openid-configuration";

async fn start() -> (FakeProvider, Provider, Clock) {
    let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
    let fake = FakeProvider::start(clock.clone()).await;
    let provider = Provider::new(&fake.config(), fake::http(), clock.clone());
    (fake, provider, clock)
}

fn unreachable<T>(result: &Result<T, OidcError>) -> bool {
    matches!(result, Err(OidcError::Unreachable { .. }))
}

fn malformed<T>(result: &Result<T, OidcError>) -> bool {
    matches!(result, Err(OidcError::Malformed { .. }))
}

#[tokio::test]
async fn the_discovery_document_is_fetched_once_for_everybody() {
    let (fake, provider, _) = start().await;
    assert_eq!(
        fake.count(DISCOVERY),
        0,
        "nothing is fetched before the first use"
    );
    let all = join_all((0..20).map(|_| provider.metadata())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(fake.count(DISCOVERY), 1);
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_again_and_recovers() {
    let (fake, provider, _) = start().await;
    fake.knobs().faults.insert(DISCOVERY, (503, Value::Null));
    assert!(unreachable(&provider.metadata().await));
    assert!(unreachable(&provider.metadata().await));
    assert_eq!(fake.count(DISCOVERY), 2);
    fake.knobs().faults.clear();
    assert!(provider.metadata().await.is_ok());
}

#[tokio::test]
async fn callers_that_wait_for_an_attempt_share_its_failure() {
    let (fake, provider, _) = start().await;
    fake.knobs().faults.insert(DISCOVERY, (503, Value::Null));
    let all = join_all((0..20).map(|_| provider.metadata())).await;
    assert!(all.iter().all(unreachable));
    assert_eq!(fake.count(DISCOVERY), 1);
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let closed = "http://127.0.0.1:1".parse().unwrap();
    let provider = Provider::new(&fake::config(closed), fake::http(), clock);
    assert!(unreachable(&provider.metadata().await));
}

#[tokio::test]
async fn an_old_document_serves_on_while_the_provider_is_down() {
    let (fake, provider, clock) = start().await;
    provider.prepare().await.unwrap();
    for path in [DISCOVERY, "/jwks"] {
        fake.knobs().faults.insert(path, (503, Value::Null));
    }
    clock.advance(Duration::from_hours(30));
    for _ in 0..5 {
        let token = fake.id_token("n");
        assert!(provider.verify_id_token(&token, "n").await.is_ok());
    }
    // One attempt a minute, and the clock stands still.
    assert_eq!(fake.count("/jwks"), 2);
}

#[tokio::test]
async fn a_new_key_is_found_and_unknown_keys_cause_one_fetch_a_minute() {
    let (fake, provider, clock) = start().await;
    assert!(provider.verify_id_token(&fake.id_token("n"), "n").await.is_ok());
    fake.knobs().kid = "key-2".to_owned();
    clock.advance(Duration::from_mins(1));
    assert!(provider.verify_id_token(&fake.id_token("n"), "n").await.is_ok());
    assert_eq!(fake.count("/jwks"), 2);
    for i in 0..100 {
        let stranger = fake::sign(
            &json!({"alg": "RS256", "kid": format!("stranger-{i}")}),
            &json!({}),
        );
        assert!(malformed(&provider.verify_id_token(&stranger, "n").await));
    }
    assert_eq!(fake.count("/jwks"), 2);
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let (fake, provider, _) = start().await;
    let issuer = fake.issuer.as_str();
    let document = json!({
        "issuer": "https://accounts.example.org", "authorization_endpoint": issuer, "token_endpoint": issuer,
        "userinfo_endpoint": issuer, "jwks_uri": issuer,
    });
    fake.knobs().faults.insert(DISCOVERY, (200, document));
    assert!(malformed(&provider.metadata().await));
    fake.knobs()
        .faults
        .insert(DISCOVERY, (200, json!("x".repeat(300_000))));
    assert!(malformed(&provider.metadata().await));
}

#[test]
fn an_https_issuer_must_name_https_endpoints() {
    let metadata = |token_endpoint: &str| super::ProviderMetadata {
        issuer: "https://accounts.example.org/".to_owned(),
        authorization_endpoint: "https://accounts.example.org/a".parse().unwrap(),
        token_endpoint: token_endpoint.parse().unwrap(),
        userinfo_endpoint: "https://accounts.example.org/u".parse().unwrap(),
        jwks_uri: "https://accounts.example.org/k".parse().unwrap(),
    };
    let check = |url| super::check_metadata(&metadata(url), "https://accounts.example.org");
    assert!(check("https://tokens.example.org/t").is_ok());
    assert!(check("http://tokens.example.org/t").is_err());
}

#[tokio::test]
async fn a_token_that_was_not_signed_by_the_provider_is_refused() {
    let (fake, provider, _) = start().await;
    let good = fake.id_token("n");
    assert!(provider.verify_id_token(&good, "n").await.is_ok());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let swap = |part: &str, from: &str, to: &str| {
        let bytes = crate::id::from_base64url(part).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(from), "{text}");
        crate::id::base64url(text.replace(from, to).as_bytes())
    };
    for bad in [
        format!("{header}.{}.{signature}", swap(claims, "1001", "1002")),
        format!("{message}."),
        format!("{}.{claims}.", swap(header, "RS256", "none")),
        format!("{}.{claims}.{signature}", swap(header, "RS256", "HS256")),
        format!("{}.{claims}.{signature}", swap(header, "key-1", "other")),
        good.replace('.', ""),
        "x".repeat(70_000),
        String::new(),
    ] {
        assert!(malformed(&provider.verify_id_token(&bad, "n").await), "{bad:.80}");
    }
}

#[tokio::test]
async fn every_answer_of_the_token_endpoint_has_its_meaning() {
    let (fake, provider, clock) = start().await;
    let refresh = "1//google-refresh".to_owned().into();
    let tokens = provider.refresh(&refresh).await.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "google-access");
    assert_eq!(
        tokens.expires_at,
        clock.now() + jiff::SignedDuration::from_secs(3599)
    );
    assert!(tokens.refresh_token.is_none());

    let dead = provider.refresh(&"1//other".to_owned().into()).await;
    assert_eq!(dead.unwrap_err(), OidcError::InvalidGrant);
    for (status, body) in [
        (500, json!({"error": "invalid_grant"})),
        (503, Value::Null),
        (429, json!({"error": "rate_limit"})),
        (408, Value::Null),
        (400, json!({"error": "temporarily_unavailable"})),
    ] {
        fake.knobs().faults.insert("/token", (status, body.clone()));
        assert!(unreachable(&provider.refresh(&refresh).await), "{status} {body}");
    }
    for (status, body, code) in [
        (401, json!({"error": "invalid_client"}), "invalid_client"),
        (
            400,
            json!({"error": "unauthorized_client"}),
            "unauthorized_client",
        ),
        (403, json!("a proxy's page"), "status 403"),
    ] {
        fake.knobs().faults.insert("/token", (status, body));
        let code = code.to_owned();
        assert_eq!(
            provider.refresh(&refresh).await.unwrap_err(),
            OidcError::Rejected { code }
        );
    }
    fake.knobs()
        .faults
        .insert("/token", (200, json!({"access_token": 1})));
    assert!(malformed(&provider.refresh(&refresh).await));
}
