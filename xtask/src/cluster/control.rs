//! The way in to a running cluster: HTTP on a socket that only its owner can open.
//!
//! `GET /status`, `GET /events?since=N` (lines of JSON, without an end), `POST /roll`, `/add`, `/kill/N`, `/stop/N`,
//! `/drain/N`, `/cut/PART`, `/heal/PART` and `/down`. An answer is one object; a verb that is refused is answered 409
//! with `error` and `hint`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::plan::Verb;
use crate::http::{self, Request};
use crate::problem::Problem;

/// How long a client may take to say what it wants.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How often a stream of events looks whether its reader is there.
const EVENTS_WAIT: Duration = Duration::from_millis(500);
/// A path of a Unix socket cannot be longer (`sockaddr_un`), HAProxy's own suffix included.
const PATH_MAX: usize = 90;

/// What the control socket serves.
pub(crate) trait Cluster: Send + Sync {
    /// Everything there is to know.
    fn status(&self) -> Value;
    /// Lines of events after number `since`, and the number of the last one; waits at most `limit`.
    fn events(&self, since: u64, limit: Duration) -> (Vec<String>, u64);
    /// Does it; returns what came of it.
    fn perform(&self, verb: Verb) -> anyhow::Result<Value>;
    /// Ends the cluster.
    fn shut_down(&self);
}

/// Checks that a socket can have this path.
pub(crate) fn check_path(socket: &Path) -> anyhow::Result<()> {
    let length = socket.as_os_str().len();
    if length <= PATH_MAX {
        return Ok(());
    }
    Err(Problem::new(
        format!(
            "the path of `{}` has {length} characters; a socket may have {PATH_MAX}",
            socket.display()
        ),
        "move the checkout to a shorter path, or take a shorter `--name`",
    )
    .into())
}

/// Listens on `socket` and serves `cluster` for as long as this process lives.
pub(crate) fn serve(socket: &Path, cluster: std::sync::Arc<dyn Cluster>) -> anyhow::Result<()> {
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket)
        .with_context(|| format!("`{}` cannot be listened on", socket.display()))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let cluster = std::sync::Arc::clone(&cluster);
            std::thread::spawn(move || {
                // A client that went away needs no answer.
                let _ = answer(&stream, &*cluster);
            });
        }
    });
    Ok(())
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Status,
    Events { since: u64 },
    Do(Verb),
    Down,
}

fn parse(method: &str, path: &str) -> Option<Ask> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut parts = path.trim_start_matches('/').split('/');
    let (name, of) = (parts.next()?, parts.next());
    let task = || of.and_then(|number| number.parse().ok());
    let part = || of.and_then(|part| part.parse().ok());
    Some(match (method, name) {
        ("GET", "status") => Ask::Status,
        ("GET", "events") => Ask::Events {
            since: query
                .strip_prefix("since=")
                .and_then(|since| since.parse().ok())
                .unwrap_or(0),
        },
        ("POST", "roll") => Ask::Do(Verb::Roll),
        ("POST", "add") => Ask::Do(Verb::Add),
        ("POST", "down") => Ask::Down,
        ("POST", "kill") => Ask::Do(Verb::Kill(task()?)),
        ("POST", "stop") => Ask::Do(Verb::Stop(task()?)),
        ("POST", "drain") => Ask::Do(Verb::Drain(task()?)),
        ("POST", "cut") => Ask::Do(Verb::Cut(part()?)),
        ("POST", "heal") => Ask::Do(Verb::Heal(part()?)),
        _ => return None,
    })
}

fn answer(stream: &UnixStream, cluster: &dyn Cluster) -> io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_LIMIT))?;
    let mut reader = BufReader::new(stream.take(64 << 10));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // The head to its end: a client may not be ready for an answer before.
    let mut header = String::new();
    while reader.read_line(&mut header)? > 0 && header.trim_end() != "" {
        header.clear();
    }
    match parse(method, path) {
        Some(Ask::Status) => respond(stream, 200, &cluster.status()),
        Some(Ask::Events { since }) => stream_events(stream, cluster, since),
        Some(Ask::Down) => {
            respond(stream, 200, &json!({ "down": true }))?;
            cluster.shut_down();
            Ok(())
        }
        Some(Ask::Do(verb)) => match cluster.perform(verb) {
            Ok(done) => respond(stream, 200, &done),
            Err(error) => respond(stream, 409, &refusal(&error)),
        },
        None => respond(
            stream,
            404,
            &json!({ "error": format!("there is no `{method} {path}` here") }),
        ),
    }
}

fn refusal(error: &anyhow::Error) -> Value {
    let problem = error.downcast_ref::<Problem>();
    json!({
        "error": format!("{error:#}"),
        "detail": problem.map(Problem::detail).unwrap_or_default(),
        "hint": problem.map(Problem::hint).unwrap_or_default(),
    })
}

fn respond(mut stream: &UnixStream, status: u16, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} .\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

/// Lines without an end. An empty one from time to time notices a reader that went away.
fn stream_events(mut stream: &UnixStream, cluster: &dyn Cluster, mut since: u64) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 .\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n")?;
    loop {
        let (lines, last) = cluster.events(since, EVENTS_WAIT);
        since = last;
        let mut text = lines.join("\n");
        text.push('\n');
        stream.write_all(text.as_bytes())?;
    }
}

/// Asks a running cluster for something; returns status and answer.
pub(crate) fn ask(socket: &Path, method: &str, path: &str) -> anyhow::Result<(u16, Value)> {
    let mut reader = open(socket, method, path)?;
    let status = http::read_head(&mut reader)?;
    let mut body = String::new();
    reader.read_to_string(&mut body)?;
    let body = serde_json::from_str(&body).context("the cluster's answer is no JSON")?;
    Ok((status, body))
}

/// Follows the events of a running cluster, all from the first one on, until it ends.
pub(crate) fn follow(socket: &Path, mut show: impl FnMut(&str)) -> anyhow::Result<()> {
    let mut reader = open(socket, "GET", "/events?since=0")?;
    http::read_head(&mut reader)?;
    for line in reader.lines() {
        let line = line?;
        if !line.is_empty() {
            show(&line);
        }
    }
    Ok(())
}

fn open(socket: &Path, method: &str, path: &str) -> anyhow::Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(socket).map_err(|_| {
        Problem::new(
            "no cluster runs here",
            "start one with `cargo xtask cluster`; one with a `--name` of its own is asked with the same `--name`",
        )
    })?;
    http::write(
        &mut stream,
        Request {
            method,
            path,
            headers: &[],
            body: "",
        },
    )?;
    Ok(BufReader::new(stream))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::plan::Part;
    use super::*;

    #[derive(Default)]
    struct Fake {
        down: AtomicBool,
    }

    impl Cluster for Fake {
        fn status(&self) -> Value {
            json!({ "tasks": [] })
        }

        fn events(&self, since: u64, _limit: Duration) -> (Vec<String>, u64) {
            let lines = (since..2)
                .map(|number| format!("{{\"seq\":{}}}", number + 1))
                .collect();
            std::thread::sleep(Duration::from_millis(5));
            (lines, 2)
        }

        fn perform(&self, verb: Verb) -> anyhow::Result<Value> {
            match verb {
                Verb::Kill(task) => Ok(json!({ "task": task, "signal": 9 })),
                _ => Err(Problem::new("there is no task `9`", "these run: 1, 2").into()),
            }
        }

        fn shut_down(&self) {
            self.down.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn paths_are_verbs() {
        let rows = [
            ("GET", "/status", Some(Ask::Status)),
            ("GET", "/events?since=7", Some(Ask::Events { since: 7 })),
            ("GET", "/events", Some(Ask::Events { since: 0 })),
            ("POST", "/kill/2", Some(Ask::Do(Verb::Kill(2)))),
            ("POST", "/cut/store", Some(Ask::Do(Verb::Cut(Part::Store)))),
            ("POST", "/heal/2", Some(Ask::Do(Verb::Heal(Part::Task(2))))),
            ("POST", "/kill", None),
            ("POST", "/kill/all", None),
            ("GET", "/kill/2", None),
            ("POST", "/status", None),
            ("", "", None),
        ];
        for (method, path, ask) in rows {
            assert_eq!(parse(method, path), ask, "{method} {path}");
        }
    }

    #[test]
    fn a_running_cluster_is_asked_over_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        let cluster = Arc::new(Fake::default());
        serve(&socket, Arc::<Fake>::clone(&cluster)).unwrap();
        assert_eq!(
            ask(&socket, "GET", "/status").unwrap(),
            (200, json!({ "tasks": [] }))
        );
        assert_eq!(
            ask(&socket, "POST", "/kill/2").unwrap(),
            (200, json!({ "task": 2, "signal": 9 }))
        );
        let (status, refused) = ask(&socket, "POST", "/drain/9").unwrap();
        assert_eq!((status, &refused["hint"]), (409, &json!("these run: 1, 2")));
        assert_eq!(ask(&socket, "POST", "/reboot").unwrap().0, 404);
        assert!(!cluster.down.load(Ordering::SeqCst));
        ask(&socket, "POST", "/down").unwrap();
        assert!(cluster.down.load(Ordering::SeqCst));
    }

    #[test]
    fn events_arrive_as_lines() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        serve(&socket, Arc::new(Fake::default())).unwrap();
        let mut reader = open(&socket, "GET", "/events?since=0").unwrap();
        assert_eq!(http::read_head(&mut reader).unwrap(), 200);
        let mut lines = reader.lines().map(Result::unwrap).filter(|line| !line.is_empty());
        assert_eq!(lines.next().unwrap(), r#"{"seq":1}"#);
        assert_eq!(lines.next().unwrap(), r#"{"seq":2}"#);
    }

    #[test]
    fn without_a_cluster_the_error_says_how_to_start_one() {
        let error = ask(Path::new("/nonexistent/control.sock"), "GET", "/status").unwrap_err();
        assert_eq!(error.to_string(), "no cluster runs here");
        assert!(check_path(Path::new(&"x".repeat(PATH_MAX + 1))).is_err());
    }
}
