//! What was asked and what was answered: the only thing that assertions look at.

use std::collections::BTreeMap;

use serde_json::Value;

use super::declared::Declared;
use crate::release::answers;
use crate::release::ledger::Ledger;

/// Why a fact is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// What went wrong, in one sentence.
    pub(crate) reason: String,
    /// What helps.
    pub(crate) hint: String,
}

/// Answers by name. `null` says that there is no such thing; a name that is missing was not asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts(BTreeMap<String, Result<Value, Unknown>>);

impl Facts {
    /// Adds an answer.
    pub(crate) fn insert(&mut self, name: impl Into<String>, answer: Result<Value, Unknown>) {
        self.0.insert(name.into(), answer);
    }

    /// The answer to `name`.
    pub(crate) fn get(&self, name: &str) -> Result<&Value, Unknown> {
        match self.0.get(name) {
            Some(Ok(value)) => Ok(value),
            Some(Err(unknown)) => Err(unknown.clone()),
            None => Err(Unknown {
                reason: format!("`{name}` could not be asked for: what it belongs to is not there"),
                hint: "look at the first assertion above that does not pass".to_owned(),
            }),
        }
    }

    /// The text at `pointer` of the answer to `name`, when there is one.
    pub(crate) fn text(&self, name: &str, pointer: &str) -> Option<String> {
        let value = self.get(name).ok()?.pointer(pointer)?;
        value.as_str().map(str::to_owned)
    }

    /// The value of an output of a stack, by its logical name in `declared.json`.
    pub(crate) fn output(&self, declared: &Declared, name: &str) -> Option<String> {
        let output = declared.outputs.get(name)?;
        let stack = declared
            .account
            .stacks
            .iter()
            .find(|stack| stack.name == output.stack)?;
        let outputs = self
            .get(&stack_fact(&stack.kind))
            .ok()?
            .pointer("/Stacks/0/Outputs")?;
        let found = list(outputs).find(|entry| text(entry, "/OutputKey") == output.key)?;
        Some(text(found, "/OutputValue"))
    }

    /// Whether the credentials are those of another account than the declared one.
    pub(crate) fn are_of_another_account(&self, declared: &Declared) -> bool {
        let account = self.text("identity", "/Account");
        declared.account.id.is_some() && account.is_some() && account != declared.account.id
    }

    /// The ledger of releases.
    pub(crate) fn ledger(&self) -> Result<Ledger, Unknown> {
        let parameters = answers::parameters(self.get("ledger")?).ok_or_else(|| Unknown {
            reason: "the ledger of releases was not answered for".to_owned(),
            hint: "look at it: `cargo xtask releases`".to_owned(),
        })?;
        Ledger::parse(parameters).map_err(|unreadable| Unknown {
            reason: unreadable.to_string(),
            hint: format!("look at what it was before: `aws {}`", unreadable.history()),
        })
    }

    /// Changes one answer, as a hand in the console would.
    #[cfg(test)]
    pub(crate) fn value_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.get_mut(name)?.as_mut().ok()
    }

    /// Every name that has an answer.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The name of what is known about the stack of a kind.
pub(crate) fn stack_fact(kind: &str) -> String {
    format!("stack/{kind}")
}

/// The name of the template that the stack of a kind was deployed with.
pub(crate) fn template_fact(kind: &str) -> String {
    format!("template/{kind}")
}

/// The name of the template that the checkout has for the stack of a kind.
pub(crate) fn synthesised_fact(kind: &str) -> String {
    format!("synthesised/{kind}")
}

/// The elements of a list; none of anything else.
pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The elements of the list at `pointer`.
pub(crate) fn list_at<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// The text at `pointer`, numbers and truth values included; empty when there is nothing.
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Seconds since 1970 of a time in an answer: the older `aws` prints a number, the newer one ISO 8601 in some zone.
pub(crate) fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => iso_seconds(text),
        _ => None,
    }
}

/// Since when an alarm is in its state, in seconds since 1970.
pub(crate) fn rings_since(alarm: &Value) -> Option<f64> {
    let at = |name: &str| alarm.get(name).and_then(seconds);
    at("StateTransitionedTimestamp").or_else(|| at("StateUpdatedTimestamp"))
}

fn iso_seconds(text: &str) -> Option<f64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let mut clock = clock.split(':').map(str::parse::<f64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let offset = match zone.split_at_checked(1) {
        Some((sign @ ("+" | "-"), ahead)) => {
            let (hours, minutes) = ahead.split_once(':').or_else(|| ahead.split_at_checked(2))?;
            let ahead = hours.parse::<f64>().ok()? * 3600.0 + minutes.parse::<f64>().ok()? * 60.0;
            if sign == "-" { -ahead } else { ahead }
        }
        _ => 0.0,
    };
    // Whole days fit a float exactly for longer than the calendar is used.
    let days = f64::from(i32::try_from(days_since_1970(year, month, day)).ok()?);
    Some(days * 86_400.0 + hour * 3600.0 + minute * 60.0 + second - offset)
}

/// The civil calendar in eras of 400 years, in which a year begins in March, so that its odd day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_time_is_read_in_every_form_that_aws_prints() {
        let rows = [
            (json!(1_792_540_800.5), Some(1_792_540_800.5)),
            (json!("1970-01-01T00:00:00Z"), Some(0.0)),
            (json!("2026-10-20T23:46:40Z"), Some(1_792_540_000.0)),
            (json!("2026-10-21T01:46:40+02:00"), Some(1_792_540_000.0)),
            (json!("2026-10-20T18:46:40.250000-05:00"), Some(1_792_540_000.25)),
            (json!("2024-02-29T12:00:00+0000"), Some(1_709_208_000.0)),
            (json!("tomorrow"), None),
            (json!(null), None),
        ];
        for (value, expected) in rows {
            assert_eq!(seconds(&value), expected, "{value}");
        }
    }

    #[test]
    fn what_was_not_asked_is_unknown_and_what_failed_keeps_its_reason() {
        let mut facts = Facts::default();
        assert!(facts.get("service").unwrap_err().reason.contains("`service`"));
        let unknown = Unknown {
            reason: "throttled".to_owned(),
            hint: "again".to_owned(),
        };
        facts.insert("service", Err(unknown.clone()));
        assert_eq!(facts.get("service"), Err(unknown));
    }
}
