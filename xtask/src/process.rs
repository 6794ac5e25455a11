//! Child processes that never outlive this one, however it ends.
//!
//! A child leads a process group of its own, so a stop reaches what it started, and Ctrl-C in the terminal
//! reaches only xtask, which then stops its children in order. A guard (a shell that waits for its input to
//! end) stops the group when xtask is killed without a chance to clean up.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal};

use crate::interrupt::Interrupt;
use crate::problem::Problem;

/// How often a wait looks around.
const POLL: Duration = Duration::from_millis(20);
/// How long a child may take to stop by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How many lines of a log are shown when its child fails.
const TAIL_LINES: usize = 30;

/// This program as it runs, for a child of its own; on Linux even when a new one was built over it meanwhile, which must not
/// break a release off.
pub(crate) fn this_program() -> std::io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_owned());
    }
    std::env::current_exe()
}

/// Waits for the end of its input, which is the end of xtask, and stops the group given as `$1`.
const GUARD: &str = r#"read -r _; kill -s TERM -- "-$1"; sleep 5; kill -s KILL -- "-$1""#;

/// A running child with its log. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    group: Pid,
    guard: Option<Child>,
    status: Option<ExitStatus>,
    grace: Duration,
}

impl Process {
    /// Starts `command` without input and with its output in a new file `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let output = create_log(log)?;
        command.stdout(output.try_clone()?).stderr(output);
        Self::spawn(name, command, log.to_owned())
    }

    /// Starts `command` without input and with its output on our stderr.
    pub(crate) fn start_visible(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        command.stdout(std::io::stderr());
        Self::spawn(name, command, PathBuf::new())
    }

    /// Starts `command` without input and with its output on ours: what it prints is data.
    pub(crate) fn start_attached(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        Self::spawn(name, command, PathBuf::new())
    }

    fn spawn(name: &str, command: &mut Command, log: PathBuf) -> anyhow::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("`{}` does not start", shown(command)))?;
        let group = Pid::from_child(&child);
        let name = name.to_owned();
        let mut process = Self {
            name,
            log,
            child,
            group,
            guard: None,
            status: None,
            grace: GRACE,
        };
        process.guard = Some(guard(group)?);
        Ok(process)
    }

    /// How the child ended, or `None` while it runs.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status)
    }

    /// Waits until the child ends by itself; at most `limit`.
    pub(crate) fn wait(&mut self, limit: Duration, interrupt: &Interrupt) -> anyhow::Result<ExitStatus> {
        self.wait_while(limit, interrupt, &mut || {})
    }

    /// The same, and does `meanwhile` again and again.
    fn wait_while(
        &mut self,
        limit: Duration,
        interrupt: &Interrupt,
        meanwhile: &mut dyn FnMut(),
    ) -> anyhow::Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            meanwhile();
            self.check(start, limit, interrupt, "end")?;
        }
    }

    /// Asks `probe` until it has an answer. It is an error when the child ends first, or `limit` passes.
    pub(crate) fn wait_ready<T>(
        &mut self,
        limit: Duration,
        interrupt: &Interrupt,
        mut probe: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let start = Instant::now();
        loop {
            if let Some(answer) = probe()? {
                return Ok(answer);
            }
            self.expect_running()?;
            self.check(start, limit, interrupt, "get ready")?;
        }
    }

    /// It is an error when the child ended; the error shows the end of its log.
    pub(crate) fn expect_running(&mut self) -> anyhow::Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => Err(self.problem(&format!("ended by itself: {status}")).into()),
        }
    }

    /// The child's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the child and what it started, without a word and without waiting.
    pub(crate) fn kill(&self) {
        if self.status.is_none() {
            let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
        }
    }

    /// Asks the child to stop, without waiting.
    pub(crate) fn ask_to_stop(&self) {
        if self.status.is_none() {
            // The only error is that the group is gone, which is what was wanted.
            let _ = rustix::process::kill_process_group(self.group, Signal::TERM);
        }
    }

    /// Asks the child to stop as Ctrl-C does, without waiting.
    pub(crate) fn interrupt(&self) {
        if self.status.is_none() {
            // As above: a group that is gone is what was wanted.
            let _ = rustix::process::kill_process_group(self.group, Signal::INT);
        }
    }

    /// Stops the child: SIGTERM, and SIGKILL for whatever of its group is left after a grace period.
    pub(crate) fn stop(&mut self) {
        self.ask_to_stop();
        let start = Instant::now();
        while matches!(self.ended(), Ok(None)) && start.elapsed() < self.grace {
            std::thread::sleep(POLL);
        }
        let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
        if self.status.is_none() {
            self.status = self.child.wait().ok();
        }
        if let Some(mut guard) = self.guard.take() {
            let _ = guard.kill();
            let _ = guard.wait();
        }
    }

    /// Sleeps a moment; it is an error when somebody asks us to stop or `limit` has passed.
    fn check(
        &self,
        start: Instant,
        limit: Duration,
        interrupt: &Interrupt,
        goal: &str,
    ) -> anyhow::Result<()> {
        interrupt.check()?;
        if start.elapsed() > limit {
            return Err(self
                .problem(&format!("did not {goal} within {} s", limit.as_secs()))
                .into());
        }
        std::thread::sleep(POLL);
        Ok(())
    }

    /// An error about this child, with the end of its log.
    fn problem(&self, what: &str) -> Problem {
        let what = format!("`{}` {what}", self.name);
        if self.log.as_os_str().is_empty() {
            return Problem::new(what, "its output is above");
        }
        Problem::new(what, format!("its whole output is in `{}`", self.log.display()))
            .with_detail(tail(&self.log))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs `command` to its end, its output in `log`. It is an error when it fails.
pub(crate) fn run(
    name: &str,
    command: &mut Command,
    log: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let mut process = Process::start(name, command, log)?;
    expect_success(&mut process, interrupt, &mut || {})
}

/// Runs `command` to its end, its output on our stderr. It is an error when it fails.
pub(crate) fn run_visible(name: &str, command: &mut Command, interrupt: &Interrupt) -> anyhow::Result<()> {
    run_visible_while(name, command, interrupt, &mut || {})
}

/// The same, and does `meanwhile` again and again.
pub(crate) fn run_visible_while(
    name: &str,
    command: &mut Command,
    interrupt: &Interrupt,
    meanwhile: &mut dyn FnMut(),
) -> anyhow::Result<()> {
    let mut process = Process::start_visible(name, command)?;
    expect_success(&mut process, interrupt, meanwhile)
}

fn expect_success(
    process: &mut Process,
    interrupt: &Interrupt,
    meanwhile: &mut dyn FnMut(),
) -> anyhow::Result<()> {
    const LIMIT: Duration = Duration::from_mins(30);
    let status = process.wait_while(LIMIT, interrupt, meanwhile)?;
    if status.success() {
        return Ok(());
    }
    Err(process.problem(&format!("failed: {status}")).into())
}

/// The command line, as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last lines of a log; empty when there is none.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(TAIL_LINES);
    lines.get(start..).unwrap_or_default().join("\n")
}

fn guard(group: Pid) -> anyhow::Result<Child> {
    Command::new("sh")
        .args(["-c", GUARD, "xtask-guard", &group.as_raw_pid().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("`sh` does not start")
}

/// Appending keeps the lines of stdout and stderr whole when both go to one file.
fn create_log(path: &Path) -> anyhow::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    File::create(path).with_context(|| format!("`{}` cannot be written", path.display()))?;
    Ok(OpenOptions::new().append(true).open(path)?)
}

#[cfg(test)]
mod tests;
