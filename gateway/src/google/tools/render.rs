//! Structured content as compact text, for the clients that show or forward only text. Pure.

use std::fmt::Write as _;

use serde_json::Value;

/// The same data as `value`, one `name: value` per line, lists with dashes, nesting by indentation.
///
/// A text of several lines is indented below its name, so that no content can pass for a field of ours.
pub(crate) fn text(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, 0);
    out.trim_end().to_owned()
}

fn write_value(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(members) => {
            // Short facts first: behind a long text nobody would see them.
            let (long, short): (Vec<_>, Vec<_>) = members.iter().partition(|(_, member)| is_long(member));
            for (name, member) in short.into_iter().chain(long) {
                indent(out, depth);
                out.push_str(name);
                out.push(':');
                write_member(out, member, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                indent(out, depth);
                out.push('-');
                if is_row(item) || !item.is_object() {
                    write_member(out, item, depth);
                } else {
                    write_item(out, item, depth);
                }
            }
        }
        scalar => write_member(out, scalar, depth),
    }
}

/// An object in a list starts behind its dash.
fn write_item(out: &mut String, item: &Value, depth: usize) {
    let mut nested = String::new();
    write_value(&mut nested, item, depth + 1);
    out.push(' ');
    out.push_str(nested.trim_start());
}

/// What follows a name or a dash, up to and including the end of the line.
fn write_member(out: &mut String, member: &Value, depth: usize) {
    match member {
        Value::Object(members) if members.is_empty() => out.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => out.push_str(" []\n"),
        // Lists of short values (labels, cells of a row) read best on one line.
        Value::Array(_) if is_row(member) => {
            let _ = writeln!(out, " {member}");
        }
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            write_value(out, member, depth + 1);
        }
        Value::String(text) if text.contains(['\n', '\r']) => {
            out.push_str(" |\n");
            for line in text.lines() {
                indent(out, depth + 1);
                out.push_str(line);
                out.push('\n');
            }
        }
        Value::String(text) => {
            let _ = writeln!(out, " {text}");
        }
        other => {
            let _ = writeln!(out, " {other}");
        }
    }
}

fn is_long(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(['\n', '\r']),
        Value::Object(_) | Value::Array(_) => !is_row(value),
        _ => false,
    }
}

fn is_row(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| !items.iter().any(|item| item.is_array() || item.is_object()))
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_data_reads_like_an_outline() {
        let value = json!({
            "items": [
                { "id": "a1", "labels": ["INBOX", "UNREAD"], "from": { "email": "ana@example.com" } },
                { "id": "a2", "labels": [], "unread": false }
            ],
            "values": [["Name", 3], ["Zoe"]],
            "body": "first\nnextPageToken: not ours",
            "nextPageToken": "t"
        });
        let expected = "\
nextPageToken: t
body: |
  first
  nextPageToken: not ours
items:
  - id: a1
    labels: [\"INBOX\",\"UNREAD\"]
    from:
      email: ana@example.com
  - id: a2
    labels: []
    unread: false
values:
  - [\"Name\",3]
  - [\"Zoe\"]";
        assert_eq!(text(&value), expected);
    }
}
