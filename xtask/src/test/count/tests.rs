//! The samples are recorded output of cargo 1.95 and Node 20, of tests that print misleading lines.

use super::*;

const CARGO: &str = include_str!("../samples/cargo_test.txt");
const CARGO_BROKEN: &str = include_str!("../samples/cargo_broken.txt");
const NODE_SPEC: &str = include_str!("../samples/node_spec.txt");
const NODE_TAP: &str = include_str!("../samples/node_tap.txt");

fn counts(passed: u64, failed: u64) -> Counts {
    Counts { passed, failed }
}

#[test]
fn cargo_test_is_summed_over_its_binaries() {
    assert_eq!(cargo_test(CARGO), counts(3, 1));
}

#[test]
fn a_build_that_fails_has_no_tests_and_one_failure() {
    assert_eq!(cargo_test(CARGO_BROKEN), counts(0, 0));
    assert_eq!(settle(Some(cargo_test(CARGO_BROKEN)), false), counts(0, 1));
}

#[test]
fn node_totals_are_read_from_both_reporters() {
    assert_eq!(node_test(NODE_SPEC), counts(3, 1));
    assert_eq!(node_test(NODE_TAP), counts(3, 1));
}

#[test]
fn a_cancelled_node_test_is_a_failure() {
    assert_eq!(node_test("ℹ pass 2\nℹ fail 0\nℹ cancelled 1\n"), counts(2, 1));
}

#[test]
fn the_last_summary_line_counts() {
    let check = |output, expected| assert_eq!(summary_line(output), expected, "{output}");
    check(
        "ok ping\n1 passed, 0 failed\nfailed tools\n30 passed, 2 failed\n",
        counts(30, 2),
    );
    check("30 passed, two failed\n", counts(0, 0));
    check("", counts(0, 0));
}

#[test]
fn counts_and_exit_status_are_made_to_agree() {
    let check = |counted, success, expected| assert_eq!(settle(counted, success), expected, "{counted:?}");
    check(Some(counts(5, 0)), true, counts(5, 0));
    check(Some(counts(5, 2)), false, counts(5, 2));
    check(Some(counts(5, 2)), true, counts(5, 2));
    check(Some(counts(5, 0)), false, counts(5, 1));
    check(Some(counts(0, 0)), true, counts(0, 1));
    check(None, true, counts(1, 0));
    check(None, false, counts(0, 1));
}

#[test]
fn the_excerpt_of_cargo_test_is_its_failures() {
    let excerpt = excerpt(CARGO);
    assert!(
        excerpt.starts_with("failures:\n\n---- tests::is_wrong stdout ----"),
        "{excerpt}"
    );
    assert!(excerpt.contains("assertion `left == right` failed"));
    assert!(!excerpt.contains("Doc-tests"));
}

#[test]
fn the_excerpt_of_anything_else_is_its_end() {
    let lines: Vec<String> = (1..=200).map(|n| n.to_string()).collect();
    assert_eq!(excerpt(&lines.join("\n")), lines[120..].join("\n"));
    assert!(excerpt(CARGO_BROKEN).contains("cannot find value `c`"));
}
