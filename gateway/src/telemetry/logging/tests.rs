//! What a log line looks like, and what never gets into one.

use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use tracing::{debug, error, info, info_span, trace, warn};

use super::*;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What `log` writes at `level`.
fn written(level: Level, format: LogFormat, log: impl FnOnce()) -> String {
    let sink = Sink::default();
    let writer = sink.clone();
    let lines = Lines {
        format,
        clock: Clock::manual("2026-11-20T12:00:00.25Z".parse().expect("a time")),
        writer: move || writer.clone(),
    };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter(level)));
    tracing::subscriber::with_default(subscriber, log);
    let bytes = sink.0.lock().expect("not poisoned").clone();
    String::from_utf8(bytes).expect("UTF-8")
}

#[derive(Debug, thiserror::Error)]
#[error("the store did not answer")]
struct Outer(#[source] std::io::Error);

fn one_of_each() {
    let request = info_span!("request", request_id = "r-1", user = tracing::field::Empty).entered();
    request.record("user", "u-7");
    let _call = info_span!("call", tool = "gmail_list", attempt = 1).entered();
    let error = Outer(std::io::Error::other("connection reset"));
    error!(
        error = &error as &dyn std::error::Error,
        attempt = 2,
        duration_ms = 12.5,
        cached = false,
        "a call failed"
    );
}

#[test]
fn a_json_line_has_the_fields_of_the_event_and_of_the_spans_around_it() {
    insta::assert_snapshot!(
        written(Level::INFO, LogFormat::Json, one_of_each),
        @r#"{"timestamp":"2026-11-20T12:00:00.250Z","level":"ERROR","message":"a call failed","target":"gateway::telemetry::logging::tests","attempt":2,"cached":false,"duration_ms":12.5,"error":"the store did not answer: connection reset","request_id":"r-1","tool":"gmail_list","user":"u-7"}"#
    );
}

#[test]
fn a_text_line_says_the_same_for_people() {
    insta::assert_snapshot!(
        written(Level::INFO, LogFormat::Text, one_of_each),
        @r#"2026-11-20T12:00:00.250Z ERROR gateway::telemetry::logging::tests: a call failed attempt=2 cached=false duration_ms=12.5 error="the store did not answer: connection reset" request_id=r-1 tool=gmail_list user=u-7"#
    );
}

#[test]
fn what_a_client_sent_cannot_start_a_line_or_add_a_field() {
    let forged = "x\r\n{\"level\":\"ERROR\"}\u{1b}[2J user=admin";
    for format in [LogFormat::Json, LogFormat::Text] {
        let line = written(Level::INFO, format, || {
            info!(client = forged, "client is `{forged}`");
        });
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(!line.contains(['\r', '\u{1b}']), "{line}");
        if format == LogFormat::Json {
            let line: serde_json::Map<String, Value> = serde_json::from_str(&line).expect("JSON");
            let keys: Vec<_> = line.keys().map(String::as_str).collect();
            assert_eq!(keys, ["client", "level", "message", "target", "timestamp"]);
        } else {
            assert!(line.ends_with(" user=admin\"\n"), "the value is quoted: {line}");
        }
    }
}

#[test]
fn a_secret_is_not_written_even_when_somebody_logs_it() {
    let secret = SecretString::from("canary");
    for format in [LogFormat::Json, LogFormat::Text] {
        let lines = written(Level::TRACE, format, || {
            let _span = info_span!("request", authorization = "Bearer canary").entered();
            info!(refresh_token = "canary", client_secret = ?"canary", cookie = %"canary", "a line");
            info!(
                ?secret,
                token_fingerprint = redact::fingerprint("canary"),
                "another"
            );
        });
        assert_eq!(lines.lines().count(), 2);
        assert!(!lines.contains("canary"), "{lines}");
        assert!(lines.contains("[redacted]"));
        assert!(lines.contains(&redact::fingerprint("canary")));
    }
}

#[test]
fn fields_cannot_pass_for_the_time_the_level_or_the_message() {
    let line = written(Level::INFO, LogFormat::Json, || {
        let _span = info_span!("request", message = "forged").entered();
        warn!(level = "INFO", timestamp = 0);
    });
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["field.level"], "INFO");
    assert_eq!(line["field.timestamp"], 0);
    assert_eq!(line["message"], "");
}

#[test]
fn a_huge_value_is_cut() {
    let line = written(Level::INFO, LogFormat::Json, || {
        info!(body = "x".repeat(1_000_000), "big");
    });
    assert!(line.len() < 5_000, "{} bytes", line.len());
    assert!(line.contains("995904 more characters"));
}

#[test]
fn the_gateway_logs_at_its_level_and_libraries_never_below_info() {
    let at = |level: Level| {
        let lines = written(level, LogFormat::Text, || {
            error!("own error");
            warn!("own warn");
            info!("own info");
            debug!("own debug");
            trace!("own trace");
            error!(target: "hyper::proto", "lib error");
            warn!(target: "aws_config", "lib warn");
            info!(target: "rmcp::service", "lib info");
            debug!(target: "h2", "lib debug");
            trace!(target: "hyper", "lib trace");
        });
        let words = lines
            .lines()
            .map(|line| line.rsplit(": ").next().unwrap_or_default().to_owned());
        words.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(at(Level::ERROR), "own error, lib error");
    assert_eq!(at(Level::WARN), "own error, own warn, lib error, lib warn");
    assert_eq!(
        at(Level::INFO),
        "own error, own warn, own info, lib error, lib warn"
    );
    assert_eq!(
        at(Level::DEBUG),
        "own error, own warn, own info, own debug, lib error, lib warn, lib info"
    );
    assert_eq!(
        at(Level::TRACE),
        "own error, own warn, own info, own debug, own trace, lib error, lib warn, lib info"
    );
}

#[test]
fn records_of_the_log_crate_keep_their_target_and_lose_their_extra_fields() {
    let line = written(Level::INFO, LogFormat::Text, || {
        warn!(
            log.target = "mail_parser",
            log.line = 3,
            log.file = "x.rs",
            "odd mail"
        );
    });
    assert_eq!(line, "2026-11-20T12:00:00.250Z  WARN mail_parser: odd mail\n");
}

#[test]
fn an_unknown_level_is_refused() {
    let refused = init("verbose", LogFormat::Json).expect_err("no such level");
    assert_eq!(refused.to_string(), "`verbose` is no log level");
}
