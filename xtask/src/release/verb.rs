//! The verbs, a file each.

pub(crate) mod deploy;
pub(crate) mod diff;
pub(crate) mod lock;
pub(crate) mod logs;
pub(crate) mod releases;
pub(crate) mod rollback;
pub(crate) mod status;
pub(crate) mod wait;

use crate::Outcome;
use crate::release::work::Report;
use crate::ui::{self, Mark};

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
