//! L: what a client sees from outside. The facts are those of `xtask/probe/probe.mjs`.

use serde_json::Value;

use super::service::{events, update};
use crate::verify::facts::{Unknown, list_at, text};
use crate::verify::row::{Depth, Finding, Row, View};

/// The tools of the core profile, sorted; what an account adds to them is welcome.
pub(crate) const TOOLS: [&str; 13] = [
    "calendar_get_event",
    "calendar_list_events",
    "docs_get_content",
    "drive_get_content",
    "drive_list",
    "drive_search",
    "gmail_get",
    "gmail_list",
    "gmail_search",
    "sheets_get_metadata",
    "sheets_get_values",
    "test_auth",
    "whoami",
];
/// The versions of the protocol that must be offered.
const VERSIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];
/// What a cache in between adds to answers.
const OF_CACHES: [&str; 6] = [
    "cf-ray",
    "x-amz-cf-id",
    "via",
    "x-cache",
    "x-served-by",
    "x-amz-cf-pop",
];
/// How late the first byte of a stream may be.
const FIRST_BYTE_MS: u64 = 2000;
/// How much longer than the comment's interval a stream may be silent, in seconds.
const SILENCE: u64 = 5;
/// How often a long call says how far it is, in seconds.
const PROGRESS: u64 = 10;

pub(crate) const ROWS: &[Row] = &[
    Row::new("L1", "the host is the load balancer's", address),
    Row::new("L2", "certificate as clients see it", |view| {
        let host = &view.declared.live.host;
        let seen = view.fact("live/tls")?;
        let (trusted, protocol) = (text(seen, "/trusted"), text(seen, "/protocol"));
        let listener = "elbv2 describe-listeners --load-balancer-arn";
        let arn = view.output("load_balancer_arn").unwrap_or_default();
        Ok(Finding::said(
            trusted == "trusted" && matches!(&*protocol, "TLSv1.2" | "TLSv1.3"),
            format!("trusted for {host}, TLS 1.2 or newer"),
            format!(
                "{trusted}, {protocol}, names {}, until {}",
                text(seen, "/names"),
                text(seen, "/ends")
            ),
        )
        .aws(format!("{listener} {arn} --query 'Listeners[].Certificates'")))
    }),
    Row::new("L3", "plain HTTP is redirected", |view| {
        let seen = view.fact("live/redirect")?;
        let expected = format!("301 to https://{}", view.declared.live.host);
        let location = text(seen, "/location");
        // The port may be said although it is the usual one.
        let origin = location.split('/').take(3).collect::<Vec<_>>().join("/");
        let usual = format!(":{}", view.declared.listener.https_port);
        let origin = origin.strip_suffix(&usual).unwrap_or(&origin).to_owned();
        Ok(Finding::same(expected, format!("{} to {origin}", text(seen, "/status"))).or_do("see I4"))
    }),
    Row::new("L4", "nothing in between caches or cuts streams", cache),
    Row::new("L5", "health", |view| {
        Ok(Finding::same("200", view.text("live/headers", "/status")?).aws(events(view)))
    }),
    Row::new("L6", "without a token: 401, and where to log in", challenge),
    Row::new("L7", "pages of strangers are refused", |view| {
        Ok(Finding::same("403", view.text("live/origin", "/status")?)
            .or_do("leave the page's origin out of `ALLOWED_ORIGINS`"))
    }),
    Row::new("L8", "pages of our own are answered", |view| {
        let seen = view.fact("live/preflight")?;
        let exposed = text(seen, "/exposed")
            .to_ascii_lowercase()
            .contains("mcp-session-id");
        let allowed = text(seen, "/allowed");
        let actual = format!("{allowed}, exposes {}", text(seen, "/exposed"));
        let expected = format!("{}, exposes mcp-session-id", view.declared.live.url);
        Ok(
            Finding::said(allowed == view.declared.live.url && exposed, expected, actual)
                .or_do("`PUBLIC_URL` is not the origin that clients use: see E15"),
        )
    }),
    Row::new("L9", "2026-07-28 lists the tools", |view| {
        tools(view, "live/modern tools")
    }),
    Row::new("L10", "2026-07-28 says what it speaks", |view| {
        let seen = view.fact("live/discover")?;
        let offered: Vec<_> = list_at(seen, "/versions")
            .map(|version| text(version, ""))
            .collect();
        let holds = VERSIONS
            .iter()
            .all(|version| offered.iter().any(|offer| offer == version));
        let finding = Finding::said(holds, VERSIONS.join(", "), offered.join(", "));
        Ok(unless_error(seen, finding).aws(update(view, "--force-new-deployment")))
    }),
    Row::new(
        "L11",
        "sessions list the tools on every task, without cookies",
        |view| tools(view, "live/legacy tools"),
    ),
    Row::new("L12", "TLS 1.0 and 1.1 are refused", old_tls),
    Row::new("L13", "malformed and foreign sessions are unknown", |view| {
        let seen = view.fact("live/session ids")?;
        let actual = format!(
            "malformed {}, foreign {}",
            text(seen, "/malformed"),
            text(seen, "/foreign")
        );
        let finding = unless_error(seen, Finding::same("malformed 404, foreign 404", actual));
        Ok(finding.aws(update(view, "--force-new-deployment")))
    }),
    Row::new("L14", "a stream stays open over HTTP/1.1", |view| {
        stream(view, "live/stream")
    })
    .from(Depth::Gate),
    Row::new("L15", "idle connections are used again without 502", idle).from(Depth::Gate),
    Row::new("L16", "a long call reports and ends with its result", long_call).from(Depth::Full),
    Row::new("L17", "a stream stays open over HTTP/2", |view| {
        stream(view, "live/stream 2")
    })
    .from(Depth::Gate),
    Row::new("L18", "every task runs the released commit", commits),
    Row::new("L19", "the load balancer's cookie", cookie),
];

/// What was found, unless the answer was an error.
fn unless_error(seen: &Value, mut finding: Finding) -> Finding {
    let error = text(seen, "/error");
    if !error.is_empty() {
        finding.holds = false;
        finding.actual = error;
    }
    finding
}

fn address(view: &View<'_>) -> Result<Finding, Unknown> {
    let seen = view.fact("live/address")?;
    if seen.is_null() {
        let said = "as `--resolve` says";
        return Ok(Finding::said(true, said, said));
    }
    let balancer: Vec<_> = list_at(seen, "/balancer").collect();
    let strangers: Vec<_> = list_at(seen, "/host")
        .filter(|address| !balancer.contains(address))
        .collect();
    let shown = |addresses: Vec<&Value>| {
        addresses
            .into_iter()
            .map(|address| text(address, ""))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let holds = strangers.is_empty() && list_at(seen, "/host").next().is_some();
    let actual = shown(list_at(seen, "/host").collect());
    let name = view.output("load_balancer_dns_name").unwrap_or_default();
    Ok(Finding::said(holds, shown(balancer), actual).or_do(format!(
        "point the record of {} at {name}, without a proxy",
        view.declared.live.host
    )))
}

fn old_tls(view: &View<'_>) -> Result<Finding, Unknown> {
    let seen = view.fact("live/tls")?;
    let old = text(seen, "/old");
    if old.is_empty() {
        return Err(Unknown {
            reason: text(seen, "/trusted"),
            hint: "see L2".to_owned(),
        });
    }
    let policy = &view.declared.listener.ssl_policy;
    Ok(Finding::same("refused", old).aws(format!(
        "elbv2 describe-ssl-policies --names {policy} --query 'SslPolicies[].SslProtocols'"
    )))
}

fn cache(view: &View<'_>) -> Result<Finding, Unknown> {
    let seen = view.fact("live/headers")?;
    let headers = seen.pointer("/headers").and_then(Value::as_object);
    let found: Vec<_> = headers
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            OF_CACHES.contains(&name.as_str()) || (*name == "server" && *value == "cloudflare")
        })
        .map(|(name, value)| format!("{name}: {}", text(value, "")))
        .collect();
    let actual = if found.is_empty() {
        "nothing".to_owned()
    } else {
        found.join(", ")
    };
    Ok(Finding::said(found.is_empty(), "nothing", actual).or_do(format!(
        "let the record of {} point at the load balancer itself (at Cloudflare: \"DNS only\")",
        view.declared.live.host
    )))
}

fn challenge(view: &View<'_>) -> Result<Finding, Unknown> {
    let url = &view.declared.live.url;
    let path = view
        .declared
        .live
        .mcp_paths
        .first()
        .map_or("/mcp", String::as_str);
    let seen = view.fact("live/challenge")?;
    let metadata = view.fact("live/metadata")?;
    let at = format!("{url}/.well-known/oauth-protected-resource{path}");
    let parts = [
        (
            text(seen, "/status") == "401",
            format!("status {}", text(seen, "/status")),
        ),
        (
            text(seen, "/challenge").contains(&format!("resource_metadata=\"{at}\"")),
            format!("challenge {}", text(seen, "/challenge")),
        ),
        (
            text(metadata, "/resource/resource") == format!("{url}{path}"),
            format!("resource {}", text(metadata, "/resource/resource")),
        ),
        (
            text(metadata, "/server/issuer").trim_end_matches('/') == url.as_str(),
            format!("issuer {}", text(metadata, "/server/issuer")),
        ),
    ];
    let wrong: Vec<_> = parts
        .iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, said)| said.clone())
        .collect();
    let expected = format!("401, metadata of {url}{path}, issuer {url}");
    let actual = if wrong.is_empty() {
        expected.clone()
    } else {
        wrong.join(", ")
    };
    Ok(Finding::said(wrong.is_empty(), expected, actual)
        .or_do("`PUBLIC_URL` is not the origin that clients use: see E15"))
}

fn tools(view: &View<'_>, fact: &str) -> Result<Finding, Unknown> {
    let seen = view.fact(fact)?;
    let names: Vec<_> = list_at(seen, "/names").map(|name| text(name, "")).collect();
    let missing: Vec<_> = TOOLS
        .into_iter()
        .filter(|tool| !names.iter().any(|name| name == tool))
        .collect();
    let failures: Vec<_> = list_at(seen, "/failures")
        .map(|failure| text(failure, ""))
        .collect();
    let (asked, different) = (text(seen, "/asked"), text(seen, "/different"));
    let mut wrong = Vec::new();
    if let Some(first) = failures.first() {
        wrong.push(format!("{} of {asked} failed: {first}", failures.len()));
    }
    if !names.is_empty() && !missing.is_empty() {
        wrong.push(format!("without {}", missing.join(" ")));
    }
    if different != "1" {
        wrong.push(format!("{different} different lists"));
    }
    let expected = format!("the same {} tools or more on {asked} connections", TOOLS.len());
    let actual = if wrong.is_empty() {
        expected.clone()
    } else {
        wrong.join(", ")
    };
    let finding = unless_error(seen, Finding::said(wrong.is_empty(), expected, actual));
    Ok(finding.aws(update(view, "--force-new-deployment")))
}

fn stream(view: &View<'_>, fact: &str) -> Result<Finding, Unknown> {
    let seen = view.fact(fact)?;
    let number = |name: &str| seen.pointer(name).and_then(Value::as_u64);
    let silence = view.declared.live.stream_comment_seconds + SILENCE;
    let ended = text(seen, "/ended");
    let kind = text(seen, "/content_type");
    let first = number("/first_ms");
    let gap = number("/longest_gap_ms").unwrap_or(u64::MAX);
    let holds = ended.is_empty()
        && kind.starts_with("text/event-stream")
        && first.is_some_and(|first| first < FIRST_BYTE_MS)
        && gap <= silence * 1000;
    let shown =
        |millis: Option<u64>| millis.map_or_else(|| "never".to_owned(), |millis| format!("{millis} ms"));
    let actual = format!(
        "{}, first byte {}, silent for {}, open for {}{}{ended}",
        if kind.is_empty() { "no answer" } else { &kind },
        shown(first),
        shown(number("/longest_gap_ms")),
        shown(number("/open_ms")),
        if ended.is_empty() { "" } else { ", then: " }
    );
    let expected = format!("text/event-stream, first byte in 2 s, never silent for {silence} s, not ended");
    let finding = unless_error(seen, Finding::said(holds, expected, actual));
    Ok(finding.or_do("see H2 (idle timeout), then L4 (what is in between)"))
}

/// A call that is short, as in tests, reports the more often: so the limit is half of it at most.
fn long_call(view: &View<'_>) -> Result<Finding, Unknown> {
    let seen = view.fact("live/call")?;
    let number = |name: &str| seen.pointer(name).and_then(Value::as_u64);
    let seconds = number("/asked_seconds").unwrap_or_default();
    let silence = ((PROGRESS + SILENCE) * 1000).min(seconds * 500);
    let gap = number("/longest_gap_ms").unwrap_or(u64::MAX);
    let (result, ended) = (text(seen, "/result"), text(seen, "/ended"));
    let wanted = format!("waited {seconds} s");
    let last = if ended.is_empty() { &result } else { &ended };
    let finding = Finding::said(
        ended.is_empty() && result == wanted && gap <= silence,
        format!("never without progress for {silence} ms, then: {wanted}"),
        format!(
            "progress {} times, without for {gap} ms, then: {last}",
            number("/progress").unwrap_or_default()
        ),
    );
    Ok(unless_error(seen, finding).or_do("see H2 (idle timeout), then L4 (what is in between)"))
}

fn idle(view: &View<'_>) -> Result<Finding, Unknown> {
    let is_whole = |pause: &&Value| {
        [("/first", "200"), ("/second", "200"), ("/connections", "1")]
            .iter()
            .all(|(name, value)| text(pause, name) == *value)
    };
    let broken: Vec<_> = list_at(view.fact("live/idle")?, "")
        .filter(|pause| !is_whole(pause))
        .map(|pause| {
            let at = |name: &str| text(pause, name);
            format!(
                "after {} s: {} then {} on {} connections",
                at("/seconds"),
                at("/first"),
                at("/second"),
                at("/connections")
            )
        })
        .collect();
    let expected = "200 each, on the same connection";
    let actual = if broken.is_empty() {
        expected.to_owned()
    } else {
        broken.join(", ")
    };
    Ok(Finding::said(broken.is_empty(), expected, actual).or_do(
        "something closes idle connections too early: see H2 (idle timeout) and, after 502, `KEEP_ALIVE_TIMEOUT` of the gateway",
    ))
}

/// The released commit is a tag of the revision that runs; an image that was released by hand has none.
fn commits(view: &View<'_>) -> Result<Finding, Unknown> {
    let seen = view.fact("live/commits")?;
    let served: Vec<_> = list_at(seen, "/seen").map(|commit| text(commit, "")).collect();
    let tags = view.fact("task definition").ok();
    let tag = tags
        .into_iter()
        .flat_map(|answer| list_at(answer, "/tags"))
        .find(|tag| text(tag, "/key") == "sha")
        .map(|tag| text(tag, "/value"));
    let released = tag.as_deref().unwrap_or_default();
    let holds = match served.as_slice() {
        // The gateway says the beginning of it.
        [commit] => {
            commit.chars().all(|digit| digit.is_ascii_hexdigit())
                && (tag.is_none() || released.starts_with(commit))
        }
        _ => false,
    };
    let expected = if released.is_empty() {
        "one commit"
    } else {
        released
    };
    let finding = Finding::said(
        holds,
        format!("{expected} on {} connections", text(seen, "/asked")),
        served.join(", "),
    );
    Ok(unless_error(seen, finding).aws(update(view, "--force-new-deployment")))
}

fn cookie(view: &View<'_>) -> Result<Finding, Unknown> {
    let group = &view.declared.target_group;
    let seen = view.fact("live/challenge")?;
    let names: Vec<String> = list_at(seen, "/cookies")
        .map(|cookie| text(cookie, ""))
        .filter(|name| name.starts_with("AWSALB"))
        .collect();
    let expected = if group.stickiness { "AWSALB" } else { "none" };
    let actual = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let holds = names.iter().any(|name| name == "AWSALB") == group.stickiness;
    Ok(Finding::said(holds, expected, actual).or_do("see J3 (stickiness), then L4 (what is in between)"))
}

#[cfg(test)]
mod tests {
    use super::TOOLS;

    #[test]
    fn the_tools_are_those_that_real_clients_are_tested_with() {
        let tested = include_str!("../../../../gateway/tests/clients/support/tools.mjs");
        let list = tested
            .split_once("TOOLS = [")
            .unwrap()
            .1
            .split_once(']')
            .unwrap()
            .0;
        let names: Vec<_> = list.split('\'').skip(1).step_by(2).collect();
        assert_eq!(names, TOOLS);
    }
}
