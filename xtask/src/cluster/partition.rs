//! Unplugs parts of the cluster: packets from and to them are dropped by the kernel, so that connections hang as they
//! do when a cable is pulled, and do not fail at once as they do when a process dies.
//!
//! This takes root and nftables. A task is told apart by its addresses and by the group that it runs as.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

use super::plan::Part;
use crate::apt;
use crate::interrupt::Interrupt;
use crate::problem::Problem;

/// Waits for the end of its input, which is the end of xtask, and plugs everything in again.
const GUARD: &str = r#"read -r _; "$1" delete table inet "$2""#;

/// How a part is recognised on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    /// Where it listens.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The group that its process runs as, for the connections that it opens itself.
    pub(crate) group: Option<u32>,
}

/// What is unplugged at present. Dropping it plugs everything in.
#[derive(Debug)]
pub(crate) struct Partition {
    table: String,
    log: PathBuf,
    cut: BTreeMap<String, Wire>,
    guard: Option<(PathBuf, Child)>,
}

impl Partition {
    /// Nothing unplugged. `name` tells this cluster's rules from those of another.
    pub(crate) fn new(name: u16, log: PathBuf) -> Self {
        Self {
            table: format!("mcp_cluster_{name}"),
            log,
            cut: BTreeMap::new(),
            guard: None,
        }
    }

    /// Whether `part` is unplugged.
    pub(crate) fn is_cut(&self, part: Part) -> bool {
        self.cut.contains_key(&part.to_string())
    }

    /// Unplugs `part`.
    pub(crate) fn cut(&mut self, part: Part, wire: Wire, interrupt: &Interrupt) -> anyhow::Result<()> {
        if !may_cut() {
            let hint = "run the cluster as root on Linux; without that, `kill` is as near as it gets";
            return Err(Problem::new(format!("`{part}` cannot be cut off here"), hint).into());
        }
        let nft = apt::program("nft", "nftables", "cutting off a task", &self.log, interrupt)?;
        self.cut.insert(part.to_string(), wire);
        apply(&nft, &ruleset(&self.table, &self.cut))?;
        if self.guard.is_none() {
            let guard = Command::new("sh")
                .args(["-c", GUARD, "xtask-guard"])
                .arg(&nft)
                .arg(&self.table)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .context("`sh` does not start")?;
            self.guard = Some((nft, guard));
        }
        Ok(())
    }

    /// Plugs `part` in; it is fine when it is.
    pub(crate) fn heal(&mut self, part: Part) -> anyhow::Result<()> {
        let Some((nft, _)) = &self.guard else {
            return Ok(());
        };
        if self.cut.remove(&part.to_string()).is_some() {
            apply(nft, &ruleset(&self.table, &self.cut))?;
        }
        Ok(())
    }

    /// Plugs everything in.
    pub(crate) fn end(&mut self) {
        self.cut.clear();
        if let Some((_, mut guard)) = self.guard.take() {
            // The end of its input makes it delete the table.
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether this process may change the rules of the kernel.
pub(crate) fn may_cut() -> bool {
    cfg!(target_os = "linux") && rustix::process::geteuid().is_root()
}

/// The whole table, replaced at once. `add` before `delete`, because only a table that is there can be deleted.
fn ruleset(table: &str, cut: &BTreeMap<String, Wire>) -> String {
    let mut rules = String::new();
    for wire in cut.values() {
        for address in &wire.addresses {
            let (ip, port) = (address.ip(), address.port());
            // Writing to a string cannot fail.
            let _ = writeln!(rules, "    ip daddr {ip} tcp dport {port} drop");
            let _ = writeln!(rules, "    ip saddr {ip} tcp sport {port} drop");
        }
        if let Some(group) = wire.group {
            let _ = writeln!(rules, "    meta skgid {group} drop");
        }
    }
    format!(
        "add table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n  chain output {{\n    \
         type filter hook output priority 0;\n{rules}  }}\n}}\n"
    )
}

fn apply(nft: &PathBuf, ruleset: &str) -> anyhow::Result<()> {
    let mut child = Command::new(nft)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("`nft` does not start")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(ruleset.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let hint = "the kernel has to know nf_tables";
    Err(Problem::new("`nft` refuses the rules", hint)
        .with_detail(String::from_utf8_lossy(&output.stderr))
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_name_both_directions_and_the_process() {
        let wire = Wire {
            addresses: vec!["127.0.0.12:3000".parse().unwrap()],
            group: Some(1_003_002),
        };
        let rules = ruleset("mcp_cluster_8443", &BTreeMap::from([("2".to_owned(), wire)]));
        for line in [
            "add table inet mcp_cluster_8443",
            "ip daddr 127.0.0.12 tcp dport 3000 drop",
            "ip saddr 127.0.0.12 tcp sport 3000 drop",
            "meta skgid 1003002 drop",
        ] {
            assert!(
                rules.lines().any(|found| found.trim() == line),
                "`{line}` in:\n{rules}"
            );
        }
        assert!(!ruleset("t", &BTreeMap::new()).contains("drop"));
    }
}
