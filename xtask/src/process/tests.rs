//! Processes are real here: small shells that behave well, badly, or not at all.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

use super::{GUARD, POLL, Process, guard, run, run_visible_while, tail};
use crate::interrupt::{Interrupt, Interrupted};
use crate::problem::Problem;

const LONG: Duration = Duration::from_secs(30);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn start(script: &str, directory: &TempDir) -> Process {
    Process::start("child", &mut shell(script), &directory.path().join("log")).unwrap()
}

fn wait_for_line(process: &mut Process, line: &str) {
    let log = process.log.clone();
    let seen = || Ok(fs::read_to_string(&log)?.lines().any(|l| l == line).then_some(()));
    process.wait_ready(LONG, &Interrupt::default(), seen).unwrap();
}

/// Running, as opposed to gone or waiting to be reaped (nobody reaps orphans in some containers).
fn is_running(pid: Pid) -> bool {
    let state = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
    let zombie = state.is_ok_and(|stat| stat.contains(") Z "));
    test_kill_process(pid).is_ok() && !zombie
}

fn wait_until_gone(pid: Pid) -> bool {
    let start = Instant::now();
    while is_running(pid) && start.elapsed() < LONG {
        std::thread::sleep(POLL);
    }
    !is_running(pid)
}

fn pid_in(path: &Path) -> Pid {
    Pid::from_raw(fs::read_to_string(path).unwrap().trim().parse().unwrap()).unwrap()
}

#[test]
fn output_of_both_kinds_lands_in_the_log() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("deep/log");
    run(
        "child",
        &mut shell("echo out; echo err >&2"),
        &log,
        &Interrupt::default(),
    )
    .unwrap();
    assert_eq!(fs::read_to_string(log).unwrap(), "out\nerr\n");
}

#[test]
fn a_failing_command_is_an_error_that_shows_the_end_of_its_log() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let error = run(
        "child",
        &mut shell("echo no disk; exit 3"),
        &log,
        &Interrupt::default(),
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "`child` failed: exit status: 3");
    assert_eq!(error.downcast_ref::<Problem>().unwrap().detail(), "no disk");
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let directory = TempDir::new().unwrap();
    let mut command = Command::new("no-such-program-anywhere");
    let error = Process::start("child", command.arg("--now"), &directory.path().join("log")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`no-such-program-anywhere --now` does not start"
    );
}

#[test]
fn a_child_that_stops_when_asked_gets_the_time_to_clean_up() {
    let directory = TempDir::new().unwrap();
    let mut process = start(
        "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done",
        &directory,
    );
    wait_for_line(&mut process, "up");
    process.stop();
    assert!(process.status.unwrap().success());
    assert!(fs::read_to_string(&process.log).unwrap().ends_with("bye\n"));
}

#[test]
fn a_child_that_ignores_the_request_is_killed_after_the_grace_period() {
    let directory = TempDir::new().unwrap();
    let mut process = start("trap '' TERM; echo up; while :; do sleep 0.02; done", &directory);
    process.grace = Duration::from_millis(200);
    wait_for_line(&mut process, "up");
    let asked = Instant::now();
    process.stop();
    assert!(asked.elapsed() >= process.grace);
    assert!(!is_running(process.group));
    assert!(!process.status.unwrap().success());
}

#[test]
fn what_the_child_started_goes_with_it() {
    let directory = TempDir::new().unwrap();
    let pid_file = directory.path().join("pid");
    let script = format!("sleep 300 & echo $! > '{}'; echo up; wait", pid_file.display());
    let mut process = start(&script, &directory);
    wait_for_line(&mut process, "up");
    let grandchild = pid_in(&pid_file);
    drop(process);
    assert!(wait_until_gone(grandchild));
}

#[test]
fn the_guard_goes_when_the_child_is_stopped() {
    let directory = TempDir::new().unwrap();
    let mut process = start("sleep 300", &directory);
    let guard = Pid::from_child(process.guard.as_ref().unwrap());
    process.stop();
    assert!(!is_running(guard));
}

/// A guard whose input ends is what remains of an xtask that was killed.
#[test]
fn the_guard_stops_the_child_when_xtask_is_killed() {
    let directory = TempDir::new().unwrap();
    let mut process = start("sleep 300", &directory);
    drop(process.guard.as_mut().unwrap().stdin.take());
    let status = process.wait(LONG, &Interrupt::default()).unwrap();
    assert!(!status.success());
}

#[test]
fn the_guard_waits_as_long_as_its_input_is_open() {
    let mut victim = Command::new("sleep")
        .arg("300")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut guard = guard(Pid::from_child(&victim)).unwrap();
    std::thread::sleep(POLL);
    assert_eq!(guard.try_wait().unwrap(), None, "guard script: {GUARD}");
    for child in [&mut guard, &mut victim] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_child_that_ends_before_it_is_ready_is_an_error() {
    let directory = TempDir::new().unwrap();
    let mut process = start("echo port taken; exit 64", &directory);
    let never = || Ok(None::<()>);
    let error = process
        .wait_ready(LONG, &Interrupt::default(), never)
        .unwrap_err();
    assert_eq!(error.to_string(), "`child` ended by itself: exit status: 64");
    assert_eq!(error.downcast_ref::<Problem>().unwrap().detail(), "port taken");
}

#[test]
fn a_child_that_never_gets_ready_is_an_error() {
    let directory = TempDir::new().unwrap();
    let mut process = start("sleep 300", &directory);
    let never = || Ok(None::<()>);
    let error = process
        .wait_ready(POLL, &Interrupt::default(), never)
        .unwrap_err();
    assert_eq!(error.to_string(), "`child` did not get ready within 0 s");
}

#[test]
fn something_else_is_done_while_a_child_runs_and_no_longer() {
    let mut times = 0;
    let mut meanwhile = || times += 1;
    run_visible_while(
        "child",
        &mut shell("sleep 0.2"),
        &Interrupt::default(),
        &mut meanwhile,
    )
    .unwrap();
    assert!(times >= 2, "{times}");
    let failed = run_visible_while("child", &mut shell("exit 3"), &Interrupt::default(), &mut || {});
    assert!(failed.unwrap_err().to_string().contains("failed: exit status: 3"));
}

#[test]
fn an_interrupt_ends_every_wait() {
    let directory = TempDir::new().unwrap();
    let interrupt = Interrupt::default();
    interrupt.raise();
    let mut process = start("sleep 300", &directory);
    assert!(process.wait(LONG, &interrupt).unwrap_err().is::<Interrupted>());
    let never = || Ok(None::<()>);
    assert!(
        process
            .wait_ready(LONG, &interrupt, never)
            .unwrap_err()
            .is::<Interrupted>()
    );
}

#[test]
fn the_tail_of_a_log_is_its_last_lines() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let lines: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
    fs::write(&log, lines.join("\n")).unwrap();
    assert_eq!(tail(&log), lines[70..].join("\n"));
    assert_eq!(tail(&directory.path().join("none")), "");
}
