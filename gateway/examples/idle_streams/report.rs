//! What the measurement showed, as a table or as JSON, beside the limits that the gateway has to keep to.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::start::{Starts, median};
use super::{INTERVAL, Measured, Options};

/// With fewer streams, what the process needs anyway would be counted as theirs.
const ENOUGH: usize = 5_000;

/// One line of the comparison.
struct Row {
    what: &'static str,
    gateway: String,
    axum: String,
    /// What the gateway has to keep to; empty where there is nothing to keep to.
    limit: String,
    holds: bool,
}

/// The most bytes that an idle process may have resident.
const IDLE: u64 = 20_000_000;
/// A tick of the wheel, and what closing so many connections and counting them takes.
const NOTICED: Duration = Duration::from_millis(1_200);
/// The longest time from the start of the process to its first answer.
const START: Duration = Duration::from_millis(50);

fn rows(options: &Options, starts: &Starts, gateway: &Measured, axum: &Measured) -> Vec<Row> {
    let wanted = options.seconds / INTERVAL.as_secs();
    let row = |what, limit: &str, holds: bool, show: &dyn Fn(&Measured) -> String| Row {
        what,
        gateway: show(gateway),
        axum: show(axum),
        limit: limit.to_owned(),
        holds,
    };
    let millis =
        |time: Option<Duration>| time.map_or("-".to_owned(), |time| format!("{} ms", time.as_millis()));
    let of_starts = |what, limit: &str, holds: bool, shown: Option<String>| Row {
        what,
        gateway: shown.unwrap_or_default(),
        axum: "-".to_owned(),
        limit: limit.to_owned(),
        holds,
    };
    let (first_list, idle) = (median(&starts.first_list), median(&starts.idle_kib));
    vec![
        of_starts(
            "first tools/list after the start",
            "at most 50 ms, median",
            first_list.is_some_and(|time| time <= START),
            first_list.map(|time| format!("{} ms", time.as_millis())),
        ),
        of_starts(
            "resident when idle after it",
            "under 20 MB, median",
            idle.is_some_and(|kib| kib * 1_024 < IDLE),
            idle.map(|kib| format!("{kib} KiB")),
        ),
        row(
            "memory per stream",
            &format!("at most 4 KiB from {ENOUGH} streams on"),
            gateway.per_stream_kib <= 4.0 || options.streams < ENOUGH,
            &|m| format!("{:.2} KiB", m.per_stream_kib),
        ),
        row("resident before the streams", "", true, &|m| {
            format!("{} KiB", m.resident_at_start_kib)
        }),
        row(
            "a comment at once",
            "on every stream",
            gateway.first_at_once,
            &|m| if m.first_at_once { "yes" } else { "no" }.to_owned(),
        ),
        row(
            "fewest comments on a stream",
            &format!("at least {wanted}"),
            gateway.fewest_comments >= wanted,
            &|m| m.fewest_comments.to_string(),
        ),
        row("streams dropped", "none", gateway.dropped == 0, &|m| {
            m.dropped.to_string()
        }),
        row(
            "close of a tenth noticed after",
            "at most 1200 ms, a tick",
            gateway.close_noticed.is_some_and(|time| time <= NOTICED),
            &|m| millis(m.close_noticed),
        ),
    ]
}

/// Prints what was measured; whether the gateway kept to every limit.
pub(super) fn print(options: &Options, starts: &Starts, gateway: &Measured, axum: &Measured) -> Result<bool> {
    let rows = rows(options, starts, gateway, axum);
    let text = if options.json {
        format!("{}\n", as_json(options, starts, (gateway, axum), &rows))
    } else {
        as_table(options, starts, (gateway, axum), &rows)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(rows.iter().all(|row| row.holds))
}

fn as_json(
    options: &Options,
    starts: &Starts,
    (gateway, axum): (&Measured, &Measured),
    rows: &[Row],
) -> Value {
    let millis =
        |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let server = |name: &str, measured: &Measured| {
        json!({
            "server": name,
            "kibPerStream": (measured.per_stream_kib * 100.0).round() / 100.0,
            "residentAtStartKib": measured.resident_at_start_kib,
            "fewestCommentsPerStream": measured.fewest_comments,
            "commentAtOnce": measured.first_at_once,
            "dropped": measured.dropped,
            "closeNoticedMs": millis(measured.close_noticed),
        })
    };
    let broken = rows.iter().filter(|row| !row.holds).map(|row| row.what);
    json!({"streams": options.streams, "sessions": options.sessions, "seconds": options.seconds,
           "ratio": (gateway.per_stream_kib / axum.per_stream_kib * 1000.0).round() / 1000.0,
           "firstToolsListMs": starts.first_list.iter().map(Duration::as_millis).collect::<Vec<_>>(),
           "idleKib": starts.idle_kib,
           "rows": [server("gateway", gateway), server("axum", axum)],
           "limitsBroken": broken.collect::<Vec<_>>()})
}

fn as_table(
    options: &Options,
    starts: &Starts,
    (gateway, axum): (&Measured, &Measured),
    rows: &[Row],
) -> String {
    let Options {
        streams,
        sessions,
        seconds,
        ..
    } = options;
    let mut lines = vec![
        format!("{streams} idle streams of {sessions} sessions, watched for {seconds} s"),
        String::new(),
        format!("{:34}{:>12}{:>12}   limit", "", "gateway", "axum"),
    ];
    for row in rows {
        let broken = if row.holds { "" } else { "  BROKEN" };
        let Row {
            what,
            gateway,
            axum,
            limit,
            ..
        } = row;
        lines.push(format!("{what:34}{gateway:>12}{axum:>12}   {limit}{broken}"));
    }
    let all = |values: Vec<String>| values.join(" ");
    let lists = starts.first_list.iter().map(|time| time.as_millis().to_string());
    let idle = starts.idle_kib.iter().map(u64::to_string);
    lines.push(format!(
        "\nAll {} starts: {} ms to the first tools/list; {} KiB resident.",
        starts.first_list.len(),
        all(lists.collect()),
        all(idle.collect())
    ));
    let times = axum.per_stream_kib / gateway.per_stream_kib;
    lines.push(format!(
        "\nAn axum SSE response takes {times:.1} times the memory of a stream of the gateway.\n"
    ));
    lines.join("\n")
}
