//! The cluster as a picture that a person understands, drawn from its status.

use std::fmt::Write as _;

use serde_json::Value;

/// The whole picture.
pub(crate) fn draw(status: &Value) -> String {
    let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let seconds = |pointer: &str| {
        let millis = status
            .pointer(pointer)
            .and_then(Value::as_f64)
            .unwrap_or_default();
        format!("{} s", millis / 1000.0)
    };
    let cookie = if text("/attributes/stickiness") == "cookie" {
        "AWSALB cookie"
    } else {
        "no cookie"
    };
    let mut picture = format!(
        "\n  MCP URL   {url}\n  Trust     {authority}   (NODE_EXTRA_CA_CERTS)\n  Log in    {users}   (no password)\n\n  \
         clients\n     │  TLS, HTTP/1.1 and HTTP/2\n  load balancer   {origin}   HAProxy in the part of the ALB\n     │            \
         idle timeout {idle} · {path} every {every} · round robin, {cookie}\n     │            deregistration delay {delay}\n",
        url = text("/url"),
        authority = text("/authority"),
        users = people(status),
        origin = text("/origin"),
        idle = seconds("/attributes/idleTimeoutMs"),
        path = text("/attributes/healthPath"),
        every = seconds("/attributes/healthIntervalMs"),
        delay = seconds("/attributes/deregistrationDelayMs"),
    );
    let tasks = status
        .pointer("/tasks")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for (index, task) in tasks.iter().enumerate() {
        let last = index + 1 == tasks.len();
        picture.push_str(&task_line(task, if last { "└─▶" } else { "├─▶" }));
    }
    if tasks.is_empty() {
        picture.push_str("     └─▶ no task runs\n");
    }
    picture.push_str("            │\n");
    for (name, what) in [
        ("store", "DynamoDB API, by ministack"),
        ("kms", "KMS, by moto"),
        ("google", "Google emulator"),
    ] {
        let cut = status.pointer(&format!("/services/{name}/cut")) == Some(&Value::Bool(true));
        let url = text(&format!("/services/{name}/url")).to_owned();
        // Writing to a string cannot fail.
        let _ = writeln!(
            picture,
            "            ├─▶ {name:<7} {url:<24} {what}{}",
            if cut { "   CUT OFF" } else { "" }
        );
    }
    picture.push_str(&footer(status));
    picture
}

fn task_line(task: &Value, branch: &str) -> String {
    let word = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or("-");
    let number = |name: &str| task.get(name).and_then(Value::as_u64).unwrap_or_default();
    let cut = if task.get("cut") == Some(&Value::Bool(true)) {
        "   CUT OFF"
    } else {
        ""
    };
    format!(
        "     {branch} task {number:<3} {address:<17} {process}, {target:<9} {open:>4} open   pid {pid}   {log}{cut}\n",
        number = number("task"),
        address = word("address"),
        process = word("process"),
        target = word("target"),
        open = number("open"),
        pid = number("pid"),
        log = word("log"),
    )
}

/// What it has done so far, and what can be done with it.
fn footer(status: &Value) -> String {
    let count = |name: &str| {
        status
            .pointer(&format!("/loadBalancer/{name}"))
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    let scale = status
        .pointer("/timeScale")
        .and_then(Value::as_f64)
        .unwrap_or(1.0);
    let scaled = if scale < 1.0 {
        format!("  Time      every interval is {scale} of what it should be\n")
    } else {
        String::new()
    };
    format!(
        "\n  Requests  {} answered, {} of them 5xx; {} connections refused by a task, {} answers broken off\n{scaled}  \
         Verbs     cargo xtask cluster kill N | stop N | drain N | cut N | heal N | add | roll | status | events | down\n",
        count("requests"),
        count("serverErrors"),
        count("connectionErrors"),
        count("responseErrors"),
    )
}

/// Who can log in: those of the Workspace domain.
fn people(status: &Value) -> String {
    let domain = status.get("domain");
    let users = status.get("users").and_then(Value::as_array);
    let ours = users
        .into_iter()
        .flatten()
        .filter(|user| user.get("domain") == domain);
    let emails: Vec<&str> = ours.filter_map(|user| user.get("email")?.as_str()).collect();
    emails.join(", ")
}

/// An event as one line for people.
pub(crate) fn event(line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap_or_default();
    let word = |name: &str| event.get(name).and_then(Value::as_str);
    let number = |name: &str| event.get(name).and_then(Value::as_i64);
    let what = word("event").unwrap_or_default().replace('_', " ");
    let who = match (number("task"), word("service")) {
        (Some(task), _) => format!("task {task}"),
        (None, Some(service)) => service.to_owned(),
        (None, None) => String::new(),
    };
    let how = match (number("code"), number("signal"), word("address"), word("why")) {
        (Some(code), _, _, _) => format!(" with code {code}"),
        (_, Some(signal), _, _) => format!(" by signal {signal}"),
        (_, _, Some(address), _) => format!(" at {address}"),
        (_, _, _, Some(why)) => format!(": {why}"),
        _ => String::new(),
    };
    let at = std::time::Duration::from_millis(event.get("ms").and_then(Value::as_u64).unwrap_or_default());
    format!("{:>9}  {who:<8} {what}{how}", format!("{:.2}s", at.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_part_is_in_the_picture_with_its_address_and_state() {
        let task = |number: u32, target: &str, cut: bool| {
            json!({"task": number, "address": format!("127.0.0.1{number}:3000"), "process": "running",
                   "target": target, "open": 3, "pid": 77, "log": "task.log", "cut": cut})
        };
        let status = json!({
            "url": "https://127.0.0.1:8443/mcp", "origin": "https://127.0.0.1:8443", "authority": ".dev/cluster/tls/ca.pem",
            "domain": "example.com", "users": [{"email": "ana@example.com", "domain": "example.com"}, {"email": "eve@example.org", "domain": "example.org"}], "timeScale": 0.05,
            "attributes": {"idleTimeoutMs": 15000, "healthPath": "/health", "healthIntervalMs": 750,
                           "deregistrationDelayMs": 15000, "stickiness": "none"},
            "tasks": [task(1, "healthy", false), task(2, "unhealthy", true)],
            "services": {"store": {"url": "http://127.0.0.1:4566", "cut": false}, "kms": {"url": "k"}, "google": {"url": "g"}},
            "loadBalancer": {"requests": 12, "serverErrors": 1},
        });
        let picture = draw(&status);
        for part in [
            "MCP URL   https://127.0.0.1:8443/mcp",
            "Log in    ana@example.com   (no password)",
            "idle timeout 15 s · /health every 0.75 s · round robin, no cookie",
            "├─▶ task 1   127.0.0.11:3000   running, healthy      3 open",
            "└─▶ task 2   127.0.0.12:3000   running, unhealthy    3 open   pid 77   task.log   CUT OFF",
            "├─▶ store   http://127.0.0.1:4566",
            "12 answered, 1 of them 5xx",
            "every interval is 0.05 of what it should be",
        ] {
            assert!(picture.contains(part), "`{part}` in:\n{picture}");
        }
        assert!(draw(&json!({"tasks": []})).contains("no task runs"));
    }

    #[test]
    fn events_are_sentences_for_people() {
        let rows = [
            (
                r#"{"event":"exited","task":2,"code":0,"ms":1234}"#,
                "    1.23s  task 2   exited with code 0",
            ),
            (
                r#"{"event":"exited","task":2,"code":null,"signal":9,"ms":0}"#,
                "    0.00s  task 2   exited by signal 9",
            ),
            (
                r#"{"event":"cut","service":"store","ms":500}"#,
                "    0.50s  store    cut",
            ),
            (
                r#"{"event":"roll_started","ms":0}"#,
                "    0.00s           roll started",
            ),
        ];
        for (line, sentence) in rows {
            assert_eq!(event(line), sentence);
        }
    }
}
