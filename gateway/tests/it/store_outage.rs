//! The store throttles, is slow, or is gone: known people go on, nobody's login is burnt, and it recovers by itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gateway::store::faults::{Fault, Faults};
use serde_json::{Value, json};

use crate::support::google::{control, fresh_account, journal};
use crate::support::login::{Browser, Tokens, query};
use crate::support::{Setup, TestApp, subject_of};

/// What tasks tell each other; it goes on whatever clients do.
const FLEET: &[&str] = &["fleet", "denied_grants"];

/// Somebody who has logged in and called a tool: everything that is known of them is in memory.
struct Known {
    email: String,
    tokens: Tokens,
    session: String,
}

impl Known {
    async fn new(app: &TestApp) -> Self {
        let email = fresh_account().email;
        let tokens = app.login(&email).await;
        let session = app.initialize(&tokens.access).await;
        let known = Self {
            email,
            tokens,
            session,
        };
        assert!(known.works(app).await, "before the outage");
        known
    }

    /// A tool call that needs the person's Google token, in each era.
    async fn works(&self, app: &TestApp) -> bool {
        let params = || json!({"name": "gmail_list"});
        // A token of now: the clock of the test may have passed the life of the first one.
        let user = subject_of(&self.tokens.access);
        let token = app.token(user.as_str());
        let legacy = app.call(&token, &self.session, "tools/call", params()).await;
        let modern = app.modern(&token, "tools/call", params()).await;
        let fine = |result: &Value| result["result"]["isError"] != true && result["result"].is_object();
        fine(&legacy.json()) && fine(&modern.json())
    }
}

fn faults(app: &TestApp) -> Faults {
    app.app.store.faults().expect("a store in memory").clone()
}

/// Requests to the engine on behalf of clients.
fn for_clients(faults: &Faults) -> BTreeMap<String, usize> {
    let mut counts = faults.counts();
    counts.retain(|name, _| !FLEET.iter().any(|row_type| name.ends_with(row_type)));
    counts
}

#[tokio::test]
async fn a_warm_fast_call_asks_the_store_for_nothing_in_either_era() {
    let app = Setup::default().google().start().await;
    let known = Known::new(&app).await;
    let faults = faults(&app);
    // What `initialize` stores in the background.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = for_clients(&faults);
    let user = subject_of(&known.tokens.access);
    let token = app.token(user.as_str());
    for _ in 0..20 {
        let listed = app.call(&token, &known.session, "tools/list", json!({})).await;
        assert_eq!(listed.tool_names().len(), 13);
        let listed = app.modern(&token, "tools/list", json!({})).await;
        assert_eq!(listed.tool_names().len(), 13);
        assert!(known.works(&app).await);
    }
    assert_eq!(for_clients(&faults), before);
}

/// `security.md` T51.
#[tokio::test]
async fn with_the_store_gone_for_five_minutes_known_people_work_and_nothing_is_burnt() {
    let app = Setup::default().google().start().await;
    let known = Known::new(&app).await;
    let client_id = app.register("client").await;
    let newcomer = fresh_account();
    let browser = Browser::new();
    let google = browser
        .consent(&app, &app.authorize_url(&client_id), "approve")
        .await;
    let callback = browser.pick_account(&google, &newcomer.email).await;

    let faults = faults(&app);
    faults.always(Fault::Gone);
    for _ in 0..10 {
        app.clock.advance(Duration::from_secs(30));
        let began = Instant::now();
        assert!(known.works(&app).await, "a known person");
        let session = app.initialize(&app.token("somebody")).await;
        let listed = app
            .call(&app.token("somebody"), &session, "tools/list", json!({}))
            .await;
        assert_eq!(listed.tool_names().len(), 13);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }
    let refused = app.refresh(&known.tokens).await;
    assert_eq!(refused.status, 400, "a client keeps its tokens: {refused:?}");
    assert_eq!(refused.json()["error"], "temporarily_unavailable");
    let held = browser.get(&callback).await;
    let started = browser.get(&app.authorize_url(&client_id)).await;
    let body = json!({"client_name": "x", "redirect_uris": ["http://127.0.0.1/callback"]});
    let url = format!("{}/oauth/register", app.url);
    let registered = app.http.post(url).json(&body).send().await.unwrap();
    for (status, retry_after) in [
        (held.status, held.header("retry-after")),
        (started.status, started.header("retry-after")),
        (
            registered.status().as_u16(),
            registered.headers()["retry-after"].to_str().unwrap(),
        ),
    ] {
        assert_eq!(status, 503);
        assert!(retry_after.parse::<u32>().unwrap() >= 1);
    }

    faults.end();
    app.clock.advance(Duration::from_secs(5));
    assert!(known.works(&app).await);
    let refreshed = app.refresh(&known.tokens).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    // The same URL that failed: neither the login nor Google's code was spent.
    let done = browser.get(&callback).await;
    let code = query(done.header("location"), "code").unwrap_or_else(|| panic!("{done:?}"));
    assert_eq!(app.redeem(&client_id, &code).await.status, 200);
}

#[tokio::test]
async fn a_store_that_hangs_costs_known_people_a_second_now_and_then() {
    let app = Setup::default().google().start().await;
    let known = Known::new(&app).await;
    app.clock.advance(Duration::from_secs(61));
    faults(&app).always(Fault::Hang);
    let began = Instant::now();
    for _ in 0..10 {
        assert!(known.works(&app).await);
    }
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_google_token_that_ends_during_an_outage_is_renewed_in_memory_and_stored_afterwards() {
    let app = Setup::default().google().start().await;
    let known = Known::new(&app).await;
    let user = subject_of(&known.tokens.access);
    let before = app.app.store.google_grant(&user).await.unwrap().unwrap();
    faults(&app).always(Fault::Gone);
    app.clock.advance(Duration::from_mins(58));
    control("/tokens/expire", &json!({"email": known.email})).await;
    for _ in 0..5 {
        assert!(known.works(&app).await);
    }
    let refreshes = journal(&known.email).await;
    let refreshes = refreshes
        .iter()
        .filter(|entry| {
            entry["path"]
                .as_str()
                .is_some_and(|path| path.ends_with("/token"))
        })
        .count();
    assert!((1..=3).contains(&refreshes), "{refreshes}");

    faults(&app).end();
    let began = Instant::now();
    loop {
        let stored = app.app.store.google_grant(&user).await.unwrap().unwrap();
        if stored.expires_at > before.expires_at {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "never stored");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(known.works(&app).await);
}

/// Refreshes and calls of ten people at once; how many failed, and of how many.
async fn errors_of(app: &TestApp, people: Vec<Known>, rounds: usize) -> (usize, usize) {
    let work = people.into_iter().map(async |mut person| {
        let mut failed = 0;
        for _ in 0..rounds {
            // Past every cache, so that the store is needed.
            app.clock.advance(Duration::from_secs(61));
            failed += usize::from(!person.works(app).await);
            let answer = app.refresh(&person.tokens).await;
            if answer.status == 200 {
                person.tokens = Tokens::from(person.tokens.client_id, &answer.json());
            } else {
                assert_eq!(answer.json()["error"], "temporarily_unavailable", "{answer:?}");
                failed += 1;
            }
        }
        (failed, person)
    });
    let ended = join_all(work).await;
    faults(app).end();
    let mut failed = 0;
    let tried = ended.len() * rounds * 3;
    for (failures, person) in ended {
        failed += failures;
        assert_eq!(
            app.refresh(&person.tokens).await.status,
            200,
            "a refresh token was burnt"
        );
    }
    (failed, tried)
}

async fn people(app: &TestApp, count: usize) -> Vec<Known> {
    join_all((0..count).map(|_| Known::new(app))).await
}

#[tokio::test]
async fn with_three_requests_of_ten_throttled_less_than_one_operation_in_a_thousand_fails() {
    let app = Setup::default().google().start().await;
    let people = people(&app, 10).await;
    faults(&app).throttle(30);
    let (failed, tried) = errors_of(&app, people, 36).await;
    let counts = faults(&app).counts();
    println!("30 % throttled: {failed} of {tried} operations failed; requests {counts:?}");
    assert!(tried > 1_000 && failed * 1_000 < tried, "{failed} of {tried}");
}

#[tokio::test]
async fn with_two_seconds_of_latency_less_than_one_operation_in_a_hundred_fails() {
    let app = Setup::default().google().start().await;
    let people = people(&app, 10).await;
    faults(&app).delay(Duration::from_secs(2));
    let (failed, tried) = errors_of(&app, people, 2).await;
    println!("2 s latency: {failed} of {tried} operations failed");
    assert!(failed * 100 < tried, "{failed} of {tried}");
}
