//! The verbs, a file each.

pub(crate) mod deploy;
pub(crate) mod diff;
pub(crate) mod lock;
pub(crate) mod logs;
pub(crate) mod releases;
pub(crate) mod rollback;
pub(crate) mod status;
pub(crate) mod wait;

use serde_json::Value;

use crate::Outcome;
use crate::release::work::Report;
use crate::ui::{self, Mark};

/// What a verb has to say.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// To people, a line each.
    pub(super) lines: Vec<String>,
    /// The same to programs.
    pub(super) json: Value,
    /// What is not good, or why there is no line; may be empty.
    pub(super) remark: String,
    pub(super) outcome: Outcome,
}

impl Answer {
    /// Says it: lines, or one object, on stdout.
    fn tell(&self, is_json: bool) -> Outcome {
        if is_json {
            ui::data(&self.json);
        } else {
            self.lines.iter().for_each(ui::data);
        }
        match self.outcome {
            _ if is_json || self.remark.is_empty() => {}
            Outcome::Done => ui::say(&self.remark),
            Outcome::Refused => ui::step(Mark::Fail, &self.remark),
        }
        self.outcome
    }
}

/// Says how it ended: one line, or one object, on stdout.
pub(super) fn conclude(report: &Report, is_json: bool) -> Outcome {
    if is_json {
        ui::data(report.json());
    } else if report.is_done {
        ui::data(&report.what);
    } else {
        ui::step(Mark::Fail, &report.what);
    }
    if !report.hint.is_empty() && !is_json {
        ui::say(format_args!("hint: {}", report.hint));
    }
    if report.is_done {
        Outcome::Done
    } else {
        Outcome::Refused
    }
}
