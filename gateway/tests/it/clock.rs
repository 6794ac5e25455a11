//! Sessions of the real TypeScript clients that outlive every token they began with.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::Setup;
use crate::support::google::{Account, control, fresh_account, journal};

/// How long the client may take for one step.
const STEP: Duration = Duration::from_secs(30);

/// `tests/clients/expiry.mjs`, at work.
struct Client {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<String>,
}

/// What it says after each step.
#[derive(Deserialize)]
struct Said {
    result: Value,
    logins: u32,
    session: Option<String>,
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Client {
    fn start(mcp: &str, email: &str, kind: &str) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        assert!(
            directory.join("node_modules").exists(),
            "the MCP clients are not installed; run `cargo xtask test rust` instead of `cargo test`"
        );
        let mut child = Command::new("node")
            .args(["expiry.mjs", mcp, email, kind])
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel(4);
        // A thread, because the gateway runs on this one and has to answer meanwhile.
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.blocking_send(line))
        });
        Self { child, stdin, lines }
    }

    async fn says(&mut self) -> Said {
        let line = tokio::time::timeout(STEP, self.lines.recv()).await;
        let line = line
            .expect("the client takes too long")
            .expect("the client ended");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    async fn call(&mut self, tool: &str) -> Said {
        writeln!(self.stdin, "{tool}").unwrap();
        self.says().await
    }
}

/// How often Google's token endpoint was asked about `account`.
async fn asked_google(account: &Account) -> usize {
    let entries = journal(&account.email).await;
    entries
        .iter()
        .filter(|entry| entry["path"] == "/oauth2/token")
        .count()
}

async fn a_session_outlives_its_tokens(kind: &str) {
    let app = Setup::default().google().start().await;
    let account = fresh_account();
    let mut client = Client::start(&format!("{}/mcp", app.url), &account.email, kind);
    let first = client.says().await;
    assert_eq!(first.result["tools"].as_array().map(Vec::len), Some(13));
    assert_eq!(first.logins, 1);
    assert_eq!(asked_google(&account).await, 1, "the code");
    for (refreshes, pause) in [(1, Duration::from_mins(62)), (2, Duration::from_hours(7))] {
        app.clock.advance(pause);
        control("/tokens/expire", &json!({"email": account.email})).await;
        let later = client.call("gmail_list").await;
        let mails = later.result["structuredContent"]["messages"].to_string();
        assert!(mails.contains(&account.email), "{pause:?}: {}", later.result);
        assert_eq!(later.logins, 1, "{pause:?}: the person saw a browser again");
        assert_eq!(later.session, first.session, "{pause:?}");
        assert_eq!(asked_google(&account).await, 1 + refreshes, "{pause:?}");
    }
}

#[tokio::test]
async fn the_sdk_goes_on_after_an_hour_and_after_a_night_without_a_browser() {
    a_session_outlives_its_tokens("sdk").await;
}

#[tokio::test]
async fn the_client_of_the_modern_era_goes_on_after_an_hour_and_after_a_night_without_a_browser() {
    a_session_outlives_its_tokens("client").await;
}
