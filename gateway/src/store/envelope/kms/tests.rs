//! KMS with real cryptography, and a KMS that is away: what opens, what does not, and what an outage costs.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_kms::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use super::*;
use crate::clock::Clock;
use crate::store::contract::kms as emulator;
use crate::store::envelope::{
    AWAY_FOR, Envelope, FRESH_FOR, KeyProvider, LocalKey, STALE_FOR, WORKS_FOR, aes_key, cache_key, encrypt,
};

const SECOND: Duration = Duration::from_secs(1);
const HERE: Context<'_> = Context {
    table: "tokens",
    user: "1001",
    purpose: "google_grant",
};

/// How KMS behaves.
#[derive(Clone, Debug, Default)]
struct Weather(Arc<State>);

#[derive(Debug, Default)]
struct State {
    mood: AtomicU8,
    requests: AtomicU64,
}

const FINE: u8 = 0;
const GONE: u8 = 1;
const THROTTLING: u8 = 2;
const HANGING: u8 = 3;
const DISABLED: u8 = 4;

impl Weather {
    fn set(&self, mood: u8) {
        self.0.mood.store(mood, Ordering::SeqCst);
    }

    fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::SeqCst)
    }
}

/// Passes requests on to the emulator, in fine weather.
#[derive(Debug)]
struct Line {
    weather: Weather,
    emulator: SharedHttpConnector,
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.weather.0.requests.fetch_add(1, Ordering::SeqCst);
        let refuse = |code: &str| {
            let body = serde_json::json!({ "__type": code }).to_string();
            let status = 400.try_into().unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
        };
        match self.weather.0.mood.load(Ordering::SeqCst) {
            GONE => HttpConnectorFuture::ready(Err(ConnectorError::io("connection refused".into()))),
            THROTTLING => refuse("ThrottlingException"),
            HANGING => HttpConnectorFuture::new(std::future::pending()),
            DISABLED => refuse("DisabledException"),
            _ => self.emulator.call(request),
        }
    }
}

/// An envelope over the emulator, by its key, with what a test moves.
struct World {
    envelope: Envelope,
    clock: Clock,
    weather: Weather,
    key: KeyArn,
    client: Client,
}

impl World {
    async fn new() -> Self {
        let plain = emulator::client().await;
        let key = emulator::key(&plain).await;
        let weather = Weather::default();
        let http = plain.config().http_client().unwrap();
        let line = {
            let weather = weather.clone();
            http_client_fn(move |settings: &HttpConnectorSettings, components| {
                SharedHttpConnector::new(Line {
                    weather: weather.clone(),
                    emulator: http.http_connector(settings, components),
                })
            })
        };
        let config = plain.config().to_builder().http_client(line);
        let config = config.retry_partition(aws::retry_budget("kms"));
        let client = Client::from_conf(config.build());
        let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        let kms = Kms::over(client.clone(), key.clone());
        Self {
            envelope: Envelope::new(KeyProvider::Kms(kms), clock.clone()),
            clock,
            weather,
            key,
            client,
        }
    }

    /// A task that starts now, with this key.
    fn fresh_task(&self, key: &KeyArn) -> Envelope {
        let kms = Kms::over(self.client.clone(), key.clone());
        Envelope::new(KeyProvider::Kms(kms), self.clock.clone())
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

async fn opens(envelope: &Envelope, sealed: &Sealed) -> bool {
    let opened = envelope.open(sealed, &HERE).await;
    opened.is_ok_and(|text| text.expose_secret() == b"secret")
}

fn is_corrupt<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt { .. }))
}

/// `security.md` T53.
#[tokio::test]
async fn a_record_opens_on_another_task_where_it_belongs_and_nowhere_else() {
    let world = World::new().await;
    let sealed = world.envelope.seal(b"secret", &HERE).await.unwrap();
    assert_eq!(sealed.key_id, world.key.as_str());
    assert!(opens(&world.fresh_task(&world.key), &sealed).await);
    for elsewhere in [
        Context {
            table: "sessions",
            ..HERE
        },
        Context { user: "1002", ..HERE },
        Context {
            purpose: "upstream_grant",
            ..HERE
        },
    ] {
        // KMS itself refuses: the task has no key that it could try the data with.
        let opened = world.fresh_task(&world.key).open(&sealed, &elsewhere).await;
        assert!(is_corrupt(&opened), "{elsewhere:?}");
        let opened = world.envelope.open(&sealed, &elsewhere).await;
        assert!(is_corrupt(&opened), "a cached key does not help: {elsewhere:?}");
    }
}

#[tokio::test]
async fn a_changed_byte_anywhere_is_corrupt() {
    let world = World::new().await;
    let sealed = world.envelope.seal(b"secret", &HERE).await.unwrap();
    for at in [0, 20, sealed.wrapped_key.len() / 2, sealed.wrapped_key.len() - 1] {
        let mut changed = sealed.clone();
        changed.wrapped_key[at] ^= 1;
        let opened = world.envelope.open(&changed, &HERE).await;
        assert!(opened.is_err(), "byte {at} of the wrapped key");
    }
    for at in 0..sealed.ciphertext.len() {
        let mut changed = sealed.clone();
        changed.ciphertext[at] ^= 1;
        let opened = world.envelope.open(&changed, &HERE).await;
        assert!(is_corrupt(&opened), "byte {at} of the ciphertext");
    }
}

/// `security.md` T53.
#[tokio::test]
async fn two_masters_do_not_open_each_others_records_and_a_rotation_logs_nobody_out() {
    let world = World::new().await;
    let other = emulator::key(&world.client).await;
    let sealed = world.envelope.seal(b"secret", &HERE).await.unwrap();
    let forged = Sealed {
        key_id: other.as_str().to_owned(),
        ..sealed.clone()
    };
    // AWS says that it is the wrong key, the emulator that access is denied.
    let opened = world.fresh_task(&other).open(&forged, &HERE).await;
    assert!(opened.is_err(), "{opened:?}");

    // `KMS_KEY_ARN` was changed: old records open, and move to the new key with their next change.
    let rotated = world.fresh_task(&other);
    assert!(opens(&rotated, &sealed).await);
    let next = rotated.reseal(b"secret", &sealed, &HERE).await.unwrap();
    assert_eq!(next.key_id, other.as_str());
    assert!(opens(&world.fresh_task(&world.key), &next).await);

    let local = Sealed {
        key_id: "local:0011aabb".to_owned(),
        ..sealed
    };
    let opened = world.fresh_task(&world.key).open(&local, &HERE).await;
    assert!(is_corrupt(&opened), "{opened:?}");
}

#[tokio::test]
async fn a_warm_record_asks_kms_once_in_five_minutes() {
    let world = World::new().await;
    let sealed = world.envelope.seal(b"secret", &HERE).await.unwrap();
    let asked = world.weather.requests();
    for _ in 0..3 {
        assert!(opens(&world.envelope, &sealed).await);
    }
    world.pass(FRESH_FOR.saturating_sub(SECOND));
    assert!(opens(&world.envelope, &sealed).await);
    assert_eq!(world.weather.requests(), asked);
    world.pass(SECOND);
    for _ in 0..3 {
        assert!(opens(&world.envelope, &sealed).await);
    }
    assert_eq!(world.weather.requests(), asked + 1);
    let next = world.envelope.reseal(b"secret", &sealed, &HERE).await.unwrap();
    assert_eq!(next.wrapped_key, sealed.wrapped_key);
    assert_ne!(next.ciphertext, sealed.ciphertext);
    assert_eq!(world.weather.requests(), asked + 1, "a change needs no new key");
}

/// `security.md` T52.
#[tokio::test]
async fn in_an_outage_of_15_minutes_known_records_open_and_change_and_new_ones_wait() {
    for mood in [GONE, THROTTLING] {
        let world = World::new().await;
        let mut sealed = world.envelope.seal(b"secret", &HERE).await.unwrap();
        let unknown = world.fresh_task(&world.key).seal(b"secret", &HERE).await.unwrap();
        world.weather.set(mood);
        for minute in 0..15 {
            assert!(opens(&world.envelope, &sealed).await, "minute {minute}");
            sealed = world.envelope.reseal(b"secret", &sealed, &HERE).await.unwrap();
            world.pass(60 * SECOND);
        }
        for failed in [
            world.envelope.seal(b"new", &HERE).await.map(drop),
            world.envelope.open(&unknown, &HERE).await.map(drop),
            world.envelope.check(&HERE).await,
        ] {
            match mood {
                GONE => assert!(
                    matches!(failed, Err(StoreError::Unavailable { .. })),
                    "{failed:?}"
                ),
                _ => assert!(matches!(failed, Err(StoreError::Throttled { .. })), "{failed:?}"),
            }
        }
        world.pass(STALE_FOR.saturating_sub(15 * 60 * SECOND));
        assert!(!opens(&world.envelope, &sealed).await, "an hour is enough");

        world.weather.set(FINE);
        world.envelope.check(&HERE).await.unwrap();
        assert!(opens(&world.envelope, &sealed).await);
        assert!(opens(&world.envelope, &unknown).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kms_that_hangs_costs_one_read_a_second_and_the_next_ones_nothing() {
    let weather = Weather::default();
    weather.set(HANGING);
    let line = weather.clone();
    let connector = SharedHttpConnector::new(Line {
        weather: line,
        emulator: SharedHttpConnector::new(Nobody),
    });
    let config = config::Builder::new()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .allow_no_auth()
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .timeout_config(aws::deadlines());
    let key = KeyArn::parse("arn:aws:kms:us-east-1:123456789012:key/1").unwrap();
    let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
    let kms = Kms::over(Client::from_conf(config.build()), key.clone());
    let envelope = Envelope::new(KeyProvider::Kms(kms), clock.clone());
    let data_key = LocalKey::random().unwrap().data_key(b"").unwrap();
    let sealed = Sealed {
        key_id: key.as_str().to_owned(),
        ciphertext: encrypt(&aes_key(&data_key.key).unwrap(), b"secret", &HERE.to_aad()).unwrap(),
        wrapped_key: data_key.wrapped_key,
    };
    envelope.keep(cache_key(&sealed.wrapped_key, &HERE), &data_key.key);
    clock.advance(FRESH_FOR);
    let began = tokio::time::Instant::now();
    for _ in 0..10 {
        assert!(opens(&envelope, &sealed).await);
    }
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    clock.advance(AWAY_FOR);
    assert!(opens(&envelope, &sealed).await);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    let made = envelope.seal(b"secret", &HERE).await;
    assert!(matches!(made, Err(StoreError::Unavailable { .. })), "{made:?}");
    assert!(began.elapsed() <= Duration::from_secs(2) + aws::OPERATION_DEADLINE);
}

#[derive(Debug)]
struct Nobody;

impl HttpConnector for Nobody {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(std::future::pending())
    }
}

#[tokio::test]
async fn a_key_that_was_disabled_stops_to_open_records_after_five_minutes_and_destroys_none() {
    let world = World::new().await;
    let sealed = world.envelope.seal(b"secret", &HERE).await.unwrap();
    world.weather.set(DISABLED);
    world.pass(FRESH_FOR);
    for _ in 0..2 {
        let opened = world.envelope.open(&sealed, &HERE).await;
        assert!(
            matches!(opened, Err(StoreError::Unavailable { .. })),
            "not corrupt: {opened:?}"
        );
    }
    world.weather.set(FINE);
    assert!(opens(&world.envelope, &sealed).await);
}

#[tokio::test]
async fn whether_a_record_can_be_sealed_is_asked_now_and_then() {
    let world = World::new().await;
    world.envelope.check(&HERE).await.unwrap();
    let asked = world.weather.requests();
    for _ in 0..5 {
        world.envelope.check(&HERE).await.unwrap();
    }
    assert_eq!(world.weather.requests(), asked);
    world.pass(WORKS_FOR);
    world.weather.set(GONE);
    assert!(world.envelope.check(&HERE).await.is_err());
    world.weather.set(FINE);
    world.envelope.check(&HERE).await.unwrap();
}
