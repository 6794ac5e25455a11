//! Releases against an account in memory: each row of the failure table, and a kill between any two calls.

mod failures;
mod kills;
mod locks;
mod logs;
mod model;
mod plans;
mod stacks;
mod verbs;

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Parser as _;
use serde_json::Value;

use super::account::{Account, Cloud};
use super::follow::Pace;
use super::ledger::{Entry, Ledger, Status};
use super::lock::{Held, Lock};
use super::shape::Candidate;
use super::verb::deploy::Deploy;
use super::who::Who;
use super::work::{Care, Gate, Report, Verdict, Work};
use crate::aws::Failure;
use crate::interrupt::Interrupt;
use crate::verify::declared::Declared;
use crate::verify::tests as verify;
use crate::workspace::Workspace;
use model::{Model, digest, image, shape};

/// A moment, for everything that has a time.
const NOW: u64 = 1_795_600_000;

/// Answers as told: the first word for the first look, the last for all that follow.
#[derive(Debug)]
struct Looks(RefCell<Vec<Verdict>>);

impl Looks {
    fn pass() -> Self {
        Self::are(&[Verdict::Pass])
    }

    fn are(verdicts: &[Verdict]) -> Self {
        Self(RefCell::new(verdicts.iter().rev().cloned().collect()))
    }

    fn fail_then_pass() -> Self {
        Self::are(&[Verdict::Fail("verify: L9 tools".to_owned()), Verdict::Pass])
    }
}

impl Gate for Looks {
    fn check(&self, _: &str, _: Care) -> anyhow::Result<Verdict> {
        let mut verdicts = self.0.borrow_mut();
        Ok(if verdicts.len() > 1 {
            verdicts.pop().unwrap()
        } else {
            verdicts[0].clone()
        })
    }
}

/// Expects at each look that `verify` finds in the ledger what the service runs, as it would hold that against it.
struct Watched<'a> {
    model: &'a Model,
    looks: &'a Looks,
}

impl Gate for Watched<'_> {
    fn check(&self, digest: &str, care: Care) -> anyhow::Result<Verdict> {
        let starting = self.model.state.borrow().starting.get();
        assert_eq!(starting, 0, "it looks before all tasks run");
        assert_eq!(
            verify::look(&Uncounted(self.model), &declared(), Some(digest), &["B3", "E9"]),
            ["B3 pass", "E9 pass"],
            "{}, {care:?}",
            said(self.model)
        );
        self.looks.check(digest, care)
    }
}

/// Answers also when nobody is there to ask any more.
struct Uncounted<'a>(&'a Model);

impl Cloud for Uncounted<'_> {
    fn json(&self, arguments: &[&str]) -> Result<Value, Failure> {
        self.0.answer(arguments)
    }

    fn typed(&self, command: &str) -> String {
        command.to_owned()
    }
}

/// An account in which nothing was ever made.
fn empty() -> Model {
    let model = Model::new();
    let mut state = model.state.borrow_mut();
    state.service = None;
    state.stacks.clear();
    state.parameters.clear();
    drop(state);
    model
}

/// One in which a release is verified.
fn with_a_verified() -> Model {
    let model = Model::new();
    deploy(&model, &Looks::pass(), 'a').unwrap();
    model
}

/// The names in an object.
fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn declared() -> Declared {
    Declared::parse(include_str!("../verify/tests/declared.json")).unwrap()
}

fn ana() -> Who {
    Who {
        name: "ana@desk".to_owned(),
        host: "desk".to_owned(),
        process: std::process::id(),
        run: None,
    }
}

/// A verb as its words on the command line say it.
fn verb<T: clap::Args>(words: &[&str]) -> T {
    #[derive(clap::Parser)]
    struct Line<T: clap::Args> {
        #[command(flatten)]
        verb: T,
    }
    let words = ["verb"].iter().chain(words);
    Line::parse_from(words).verb
}

/// Looks at the account.
fn with<T>(model: &Model, what: impl FnOnce(&Account<'_>) -> T) -> T {
    let declared = declared();
    what(&Account {
        cloud: model,
        declared: &declared,
    })
}

/// Patient enough for everything that ends.
const PACE: Pace = Pace {
    poll: Duration::ZERO,
    looks: 20,
    bake: 1,
};

/// One process that does `what` on the account.
fn run<T>(
    model: &Model,
    gate: &Looks,
    interrupt: &Interrupt,
    what: impl FnOnce(&Work<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    run_while(model, gate, interrupt, &|| NOW, what)
}

/// The same while time passes.
fn run_while<T>(
    model: &Model,
    gate: &Looks,
    interrupt: &Interrupt,
    now: &dyn Fn() -> u64,
    what: impl FnOnce(&Work<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let declared = declared();
    let account = Account {
        cloud: model,
        declared: &declared,
    };
    let who = ana();
    let lock = Lock::take(&account, &who, "deploy", NOW)?.map_err(|held: Held| anyhow::anyhow!(held.who))?;
    what(&Work {
        account: &account,
        lock: Some(&lock),
        gate: &Watched { model, looks: gate },
        interrupt,
        pace: PACE,
        who: &who,
        now,
    })
}

/// The image of a letter in the shape that is published.
fn candidate(letter: char) -> Candidate {
    let candidate = Candidate::new(&shape(), "gateway", &image(letter)).unwrap();
    candidate.made_from(&String::from(letter).repeat(40), "0.1.0")
}

/// `cargo xtask deploy --skip-stacks --image` of a letter.
fn deploy(model: &Model, gate: &Looks, letter: char) -> anyhow::Result<Report> {
    deploy_saying(model, gate, letter, &[])
}

fn deploy_saying(model: &Model, gate: &Looks, letter: char, more: &[&str]) -> anyhow::Result<Report> {
    let (image, sha) = (image(letter), String::from(letter).repeat(40));
    let words = ["--skip-stacks", "--image", &image, "--sha", &sha];
    release(model, gate, &[&words[..], more].concat())
}

/// `cargo xtask deploy --resume`.
fn resume(model: &Model, gate: &Looks) -> anyhow::Result<Report> {
    release(model, gate, &["--resume"])
}

fn release(model: &Model, gate: &Looks, words: &[&str]) -> anyhow::Result<Report> {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    let workspace = WORKSPACE.get_or_init(|| Workspace::find().unwrap());
    let deploy: Deploy = verb(words);
    run(model, gate, &model.interrupt, |work| {
        deploy.release(work, workspace, None)
    })
}

fn roll_back(model: &Model, gate: &Looks, to: Option<u64>) -> anyhow::Result<Report> {
    run(model, gate, &Interrupt::default(), |work| {
        work.roll_back(to, "too slow")
    })
}

fn ledger(model: &Model) -> Ledger {
    let declared = declared();
    let account = Account {
        cloud: &Uncounted(model),
        declared: &declared,
    };
    Ledger::read(&account).unwrap()
}

/// What is in the ledger, in short: `1 verified, 2 rolled-back held`.
fn said(model: &Model) -> String {
    let line = |entry: &Entry| {
        let held = if entry.hold { " held" } else { "" };
        format!("{} {}{held}", entry.release, entry.status.word())
    };
    ledger(model)
        .entries
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join(", ")
}

/// I1 and I3: what runs is what the ledger says, is what CloudFormation would start, and is what it describes.
fn expect_consistent(model: &Model, letter: char) {
    assert_eq!(model.runs_image(), image(letter), "{}", said(model));
    let newest = model.newest();
    assert_eq!(model.runs(), newest, "newest revision, {}", said(model));
    let ledger = ledger(model);
    let current = ledger.current().unwrap();
    assert_eq!(current.digest, digest(letter), "{}", said(model));
    assert_eq!(
        current.revision.as_deref(),
        Some(&*model::revision(newest)),
        "{}",
        said(model)
    );
    assert_eq!(
        model.state.borrow().parameters["/mcp-gateway/staging/image-digest"],
        digest(letter)
    );
    let unfinished = |entry: &&Entry| matches!(entry.status, Status::Pending | Status::Failed);
    assert_eq!(ledger.entries.iter().find(unfinished), None);
    assert_eq!(
        verify::look(&Uncounted(model), &declared(), None, &["B3", "E9"]),
        ["B3 pass", "E9 pass"],
        "{}",
        said(model)
    );
}

#[test]
fn releases_follow_each_other_and_each_is_verified_before_it_counts() {
    let model = Model::new();
    for (number, letter) in "abc".chars().enumerate() {
        let report = deploy(&model, &Looks::pass(), letter).unwrap();
        assert!(report.is_done, "{report:?}");
        assert_eq!(report.entry.unwrap().release, u64::try_from(number).unwrap() + 1);
        expect_consistent(&model, letter);
    }
    assert_eq!(said(&model), "1 verified, 2 verified, 3 verified");
    assert_eq!(
        model.state.borrow().tags,
        ["release-staging-1", "release-staging-2", "release-staging-3"]
    );
}

#[test]
fn the_same_again_moves_nothing_and_looks_again() {
    let model = Model::new();
    deploy(&model, &Looks::pass(), 'a').unwrap();
    let moves = model.state.borrow().moves.len();
    let report = deploy(&model, &Looks::pass(), 'a').unwrap();
    assert!(
        report.is_done && report.what.contains("verified again"),
        "{report:?}"
    );
    assert_eq!(model.state.borrow().moves.len(), moves);
    let failing = Looks::are(&[Verdict::Fail("verify: H2 idle timeout".to_owned())]);
    let report = deploy(&model, &failing, 'a').unwrap();
    assert!(!report.is_done && report.what.contains("H2"), "{report:?}");
    assert_eq!(said(&model), "1 verified");
}

#[test]
fn a_restart_replaces_tasks_that_would_stay() {
    let model = Model::new();
    deploy(&model, &Looks::pass(), 'a').unwrap();
    let report = deploy_saying(&model, &Looks::pass(), 'a', &["--restart"]).unwrap();
    assert!(report.is_done, "{report:?}");
    assert_eq!(model.state.borrow().moves.len(), 2);
    expect_consistent(&model, 'a');
}

#[test]
fn a_rollback_goes_to_the_last_verified_release_and_holds_what_it_leaves() {
    let model = Model::new();
    deploy(&model, &Looks::pass(), 'a').unwrap();
    deploy(&model, &Looks::fail_then_pass(), 'b').unwrap();
    deploy(&model, &Looks::pass(), 'c').unwrap();
    let report = roll_back(&model, &Looks::pass(), None).unwrap();
    assert!(report.is_done, "{report:?}");
    // Not to `b`, whose revision came just before that of `c`.
    expect_consistent(&model, 'a');
    let refused = deploy(&model, &Looks::pass(), 'c').unwrap();
    assert!(!refused.is_done && refused.what.contains("held"), "{refused:?}");
    assert!(refused.what.contains("too slow"), "{refused:?}");
    let report = deploy_saying(&model, &Looks::pass(), 'c', &["--despite-hold"]).unwrap();
    assert!(report.is_done, "{report:?}");
    expect_consistent(&model, 'c');
}

#[test]
fn what_was_not_verified_or_is_held_is_no_way_back() {
    let model = Model::new();
    for letter in ['a', 'b', 'c'] {
        deploy(&model, &Looks::pass(), letter).unwrap();
    }
    let rows = [
        (Status::Verified, false, 2),
        (Status::Verified, true, 1),
        (Status::Pending, false, 1),
        (Status::Failed, false, 1),
        (Status::RolledBack, false, 1),
        (Status::Superseded, false, 1),
    ];
    for (status, hold, expected) in rows {
        let mut ledger = ledger(&model);
        let from = ledger.entries[2].clone();
        ledger.entries[1] = Entry {
            status,
            hold,
            ..ledger.entries[1].clone()
        };
        let way_back = ledger.way_back(Some(&from)).unwrap();
        assert_eq!(way_back.release, expected, "{status:?}, hold {hold}");
    }
}

#[test]
fn rollbacks_go_further_back_each_time() {
    let model = Model::new();
    for letter in ['a', 'b', 'c'] {
        deploy(&model, &Looks::pass(), letter).unwrap();
    }
    for letter in ['b', 'a'] {
        assert!(roll_back(&model, &Looks::pass(), None).unwrap().is_done);
        expect_consistent(&model, letter);
    }
    let report = roll_back(&model, &Looks::pass(), None).unwrap();
    assert!(
        !report.is_done && report.what.contains("no other verified release"),
        "{report:?}"
    );
    expect_consistent(&model, 'a');
}

#[test]
fn a_rollback_to_a_number_goes_there_or_says_what_can_be_gone_to() {
    let model = Model::new();
    for letter in ['a', 'b', 'c'] {
        deploy(&model, &Looks::pass(), letter).unwrap();
    }
    let report = roll_back(&model, &Looks::pass(), Some(9)).unwrap();
    assert!(
        !report.is_done && report.hint.contains("3 (cccccccccc), 2 (bbbbbbbbbb)"),
        "{report:?}"
    );
    assert!(roll_back(&model, &Looks::pass(), Some(1)).unwrap().is_done);
    expect_consistent(&model, 'a');
}
