//! The questions to an account: each once, none that changes anything, and all allowed.

use std::collections::BTreeSet;

use super::{declared, healthy};
use crate::verify::questions;

#[test]
fn every_question_is_asked_once_and_only_for_what_is_looked_at() {
    let (declared, facts) = (declared(), healthy());
    let mut asked = BTreeSet::new();
    for number in 0..questions::ROUNDS {
        for question in questions::round(number, &declared, &facts) {
            assert!(
                asked.insert(question.fact.clone()),
                "`{}` is asked twice",
                question.fact
            );
            let verb = question.arguments.get(1).unwrap();
            let reads = ["get-", "describe-", "list-", "simulate-"];
            assert!(
                reads.iter().any(|read| verb.starts_with(read)),
                "`{verb}` may change something"
            );
        }
    }
    let from_elsewhere = |name: &&str| {
        let elsewhere = ["live/", "drift/", "synthesised/"];
        elsewhere.iter().any(|prefix| name.starts_with(prefix))
    };
    let recorded: BTreeSet<String> = facts
        .names()
        .filter(|name| !from_elsewhere(name))
        .map(str::to_owned)
        .collect();
    assert_eq!(asked, recorded);
}

#[test]
fn the_role_that_verifies_may_ask_every_question() {
    let roles = include_str!("../../../../infra/lib/construct/read-actions.ts").to_ascii_lowercase();
    // What follows is for one role only, and then what all may do with parameters.
    let (all, rest) = roles.split_once("drift_actions").unwrap();
    let (_, parameters) = rest.split_once("parameter_actions").unwrap();
    let allowed = format!("{all}{parameters}");
    let (declared, facts) = (declared(), healthy());
    for number in 0..questions::ROUNDS {
        for question in questions::round(number, &declared, &facts) {
            let [service, verb, ..] = &*question.arguments else {
                panic!("`{}` has no verb", question.fact);
            };
            let (prefix, verb) = match (&**service, &**verb) {
                ("elbv2", verb) => ("elasticloadbalancing", verb),
                // There is no action of its own for it.
                ("ecr", "list-image-referrers") => ("ecr", "batch-get-image"),
                named => named,
            };
            let action = format!("'{prefix}:{}'", verb.replace('-', ""));
            // Everybody may ask who they are.
            assert!(
                service == "sts" || allowed.contains(&action),
                "`{service} {verb}`"
            );
        }
    }
}
