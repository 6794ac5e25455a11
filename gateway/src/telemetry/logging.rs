//! Log lines: one event, one line on standard output, as JSON for machines or as text for people.
//!
//! Fields of the spans around an event are written as if they were its own, the inner ones winning, so that
//! `request_id` is found under one name wherever a line was written. `RUST_LOG` is not read.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::redact;
use crate::clock::Clock;
use crate::config::LogFormat;

/// Characters of one value. More is cut, with a note.
const LONGEST_VALUE: usize = 4_096;

/// Keys of a JSON line that are the gateway's own; a field of such a name gets a prefix.
const OWN_KEYS: [&str; 4] = ["timestamp", "level", "message", "target"];

/// Why there is no logging.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level has another name than the five of `LOG_LEVEL`.
    #[error("`{0}` is no log level")]
    UnknownLevel(String),
    /// A process has one subscriber, and there is one already.
    #[error("logging is set up already")]
    AlreadySetUp(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends the events of this process to standard output. To be called once.
pub fn init(level: &str, format: LogFormat) -> Result<(), LoggingError> {
    let level: Level = level
        .parse()
        .map_err(|_| LoggingError::UnknownLevel(level.to_owned()))?;
    let lines = Lines {
        format,
        clock: Clock::system(),
        writer: std::io::stdout,
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter(level)))
        .try_init()
        .map_err(LoggingError::AlreadySetUp)
}

/// The gateway logs at `level`. Libraries log warnings, and below the gateway's `info` their own `info`, never less:
/// there they quote requests and headers.
fn filter(level: Level) -> Targets {
    let libraries = match level {
        Level::ERROR => LevelFilter::ERROR,
        Level::WARN | Level::INFO => LevelFilter::WARN,
        _ => LevelFilter::INFO,
    };
    Targets::new()
        .with_default(libraries)
        .with_target("gateway", level)
}

/// Writes events as lines.
struct Lines<W> {
    format: LogFormat,
    clock: Clock,
    writer: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.0.extend(of_span.0.clone());
            }
        }
        // A span has no message; one field of this name in a span must not pass for the event's.
        fields.0.remove("message");
        event.record(&mut fields);
        let metadata = event.metadata();
        let message = fields.0.remove("message");
        // Records of the `log` crate carry their origin as fields.
        let target = match fields.0.remove("log.target") {
            Some(Value::String(target)) => target,
            _ => metadata.target().to_owned(),
        };
        fields.0.retain(|name, _| !name.starts_with("log."));
        let line = Line {
            timestamp: format!("{:.3}", self.clock.now()),
            level: *metadata.level(),
            target,
            message: message.as_ref().and_then(Value::as_str).unwrap_or_default(),
            fields: &fields.0,
        };
        let text = match self.format {
            LogFormat::Json => line.json(),
            LogFormat::Text => line.text(),
        };
        // Nobody is left to tell when standard output is gone.
        let _ = self.writer.make_writer_for(metadata).write_all(text.as_bytes());
    }
}

/// The fields of an event or of a span, by name.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, Value>);

impl Fields {
    fn text(&mut self, field: &Field, text: &str) {
        let name = field.name();
        let text = if redact::is_secret(name) {
            redact::REDACTED.into()
        } else {
            redact::one_line(text, LONGEST_VALUE)
        };
        self.0.insert(name, Value::String(text.into_owned()));
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    /// An error prints only itself, so the log prints the chain.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut chain = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            // Writing to a string cannot fail.
            let _ = write!(chain, ": {cause}");
            source = cause.source();
        }
        self.text(field, &chain);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

/// One event, ready to be written.
struct Line<'a> {
    timestamp: String,
    level: Level,
    target: String,
    message: &'a str,
    fields: &'a BTreeMap<&'static str, Value>,
}

impl Line<'_> {
    fn json(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let mut line = format!(
            r#"{{"timestamp":"{}","level":"{}","message":{},"target":{}"#,
            self.timestamp,
            self.level,
            quoted(self.message),
            quoted(&self.target)
        );
        for (name, value) in self.fields {
            let prefix = if OWN_KEYS.contains(name) { "field." } else { "" };
            let _ = write!(line, ",{}:{value}", quoted(&format!("{prefix}{name}")));
        }
        line.push_str("}\n");
        line
    }

    fn text(&self) -> String {
        let mut line = format!(
            "{} {:>5} {}: {}",
            self.timestamp, self.level, self.target, self.message
        );
        for (name, value) in self.fields {
            let _ = match value {
                Value::String(text) if is_word(text) => write!(line, " {name}={text}"),
                _ => write!(line, " {name}={value}"),
            };
        }
        line.push('\n');
        line
    }
}

/// Whether the text can stand in `name=text` without quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '='))
}

#[cfg(test)]
mod tests;
