//! The Google emulator: one process for all tests of this binary, a fresh user for each test.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

/// Users that tests may take; more tests need more of them here.
const USERS: usize = 100;

/// Where the emulator listens and who has an account there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Emulator {
    pub url: String,
    pub client_id: String,
    pub client_secret: String,
    pub users: Vec<Account>,
}

/// A seeded account.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    pub email: String,
    /// Text that stands in everything of this person's and in nothing of anybody else's.
    pub canary: String,
}

/// The emulator that the tests of this binary share.
pub fn emulator() -> &'static Emulator {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    EMULATOR.get_or_init(|| Emulator::start(USERS))
}

impl Emulator {
    /// An emulator of one's own, for faults that hit everybody. It ends with the process: its standard
    /// input closes.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by xtask where things are"
    )]
    pub fn start(users: usize) -> Self {
        let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../xtask/emulator");
        let dir = std::env::var_os("GOOGLE_EMULATOR_DIR").map_or(beside, PathBuf::from);
        assert!(
            dir.join("node_modules").exists(),
            "the Google emulator is not installed; run `cargo xtask test rust` instead of `cargo test`"
        );
        let mut child = Command::new("node")
            .arg(dir.join("server.mjs"))
            .args(["--port", "0", "--exit-with-parent", "--test-users"])
            .arg(users.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        // Holding the child keeps its standard input open for the life of this process.
        std::mem::forget(child);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Asks a control route.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}/_emulator{path}", self.url);
        let client = reqwest::Client::builder().build().unwrap();
        let response = client.request(method, url).json(body).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap_or(Value::Null)
    }
}

/// An account that no other test uses.
pub fn fresh_account() -> Account {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut tests = emulator().users.iter().filter(|user| user.email.starts_with('t'));
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    tests
        .nth(next)
        .unwrap_or_else(|| panic!("more than {USERS} tests log in"))
        .clone()
}

/// POSTs to a control route of the shared emulator.
pub async fn control(path: &str, body: &Value) -> Value {
    emulator().ask(Method::POST, path, body).await
}

/// Makes requests of `email` under `path_prefix` fail from now on; the id ends it.
pub async fn fault(email: &str, path_prefix: &str, fault: Value) -> String {
    let body = json!({"match": {"email": email, "pathPrefix": path_prefix}, "fault": fault});
    control("/faults", &body).await["id"].as_str().unwrap().to_owned()
}

/// Makes the next request of `email` under `path_prefix` fail.
pub async fn fault_once(email: &str, path_prefix: &str, fault: Value) {
    let body = json!({"match": {"email": email, "pathPrefix": path_prefix}, "fault": fault, "times": 1});
    control("/faults", &body).await;
}

/// The requests that the shared emulator saw from `email`.
pub async fn journal(email: &str) -> Vec<Value> {
    let entries = emulator()
        .ask(Method::GET, "/journal?since=0", &Value::Null)
        .await;
    let Value::Array(entries) = entries else {
        panic!("no journal: {entries}")
    };
    entries
        .into_iter()
        .filter(|entry| entry["email"] == email)
        .collect()
}

/// Ends a fault.
pub async fn end_fault(id: &str) {
    emulator()
        .ask(Method::DELETE, &format!("/faults/{id}"), &Value::Null)
        .await;
}
