//! `cargo xtask tidy`: the habits of this repository, as checks.
//!
//! What rustc and clippy can check is theirs (`Cargo.toml`, `clippy.toml`); here is what they cannot see.

mod absence;
mod direction;
mod repository;
mod rust;
mod source;

use std::fmt;
use std::fs;

use anyhow::Context as _;
use xshell::{Shell, cmd};

use crate::Outcome;
use crate::test::Counts;
use crate::ui;
use crate::workspace::Workspace;

use source::Source;

/// Check the habits that compilers do not: file heads and sizes, module direction, what may be used where.
///
/// Prints one line per offence on stdout: file, line, what is wrong, what to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Tidy {}

impl Tidy {
    /// Looks at every file that git knows or would add.
    #[expect(clippy::unused_self, reason = "every verb runs alike")]
    pub(crate) fn run(self, workspace: &Workspace) -> anyhow::Result<Outcome> {
        let offences = check(&Tree::of(workspace)?);
        for offence in offences.iter().flat_map(|(_, offences)| offences) {
            ui::data(offence);
        }
        let clean = offences.iter().all(|(_, offences)| offences.is_empty());
        Ok(if clean { Outcome::Done } else { Outcome::Refused })
    }
}

/// The same checks for `cargo xtask test`: a rule is a test, and the report has the offences.
pub(crate) fn suite(workspace: &Workspace) -> anyhow::Result<(Counts, String)> {
    let mut counts = Counts::default();
    let mut report = String::new();
    for (_, offences) in check(&Tree::of(workspace)?) {
        let clean = offences.is_empty();
        counts += Counts {
            passed: u64::from(clean),
            failed: u64::from(!clean),
        };
        for offence in offences {
            report.push_str(&offence.to_string());
            report.push('\n');
        }
    }
    Ok((counts, report))
}

/// A check of the whole tree.
type Rule = fn(&Tree) -> Vec<Offence>;

/// Every rule by name.
const RULES: &[(&str, Rule)] = &[
    ("a Rust file begins with `//!`", rust::headers),
    ("files are short", rust::sizes),
    ("exceptions to lints say why", rust::allowed_lints),
    ("nothing is left over", rust::leftovers),
    ("modules are used in one direction", direction::check),
    ("some things are used in one place only", absence::check),
    ("every crate has the workspace's lints", repository::lints),
    ("ADR numbers are unique", repository::adr_numbers),
    ("packages come from nowhere in particular", repository::registries),
    ("no file names a machine", repository::machine_paths),
];

fn check(tree: &Tree) -> Vec<(&'static str, Vec<Offence>)> {
    RULES.iter().map(|(name, rule)| (*name, rule(tree))).collect()
}

/// One place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Offence {
    path: String,
    line: usize,
    what: String,
    fix: &'static str,
}

impl Offence {
    fn new(path: &str, line: usize, what: impl Into<String>, fix: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
            fix,
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.what, self.fix)
    }
}

/// The text files of the repository.
#[derive(Debug)]
struct Tree {
    /// The absolute path of the checkout, which no file may mention.
    root: String,
    files: Vec<Source>,
}

impl Tree {
    /// What git tracks or would add. Files that are not UTF-8 are no text.
    fn of(workspace: &Workspace) -> anyhow::Result<Self> {
        let sh = Shell::new()?;
        sh.change_dir(workspace.root());
        let listed = cmd!(sh, "git ls-files -z --cached --others --exclude-standard")
            .quiet()
            .read()
            .context("git does not list the files of this checkout")?;
        let files = listed
            .split_terminator('\0')
            .filter_map(|path| {
                Some(Source::new(
                    path,
                    fs::read_to_string(workspace.root().join(path)).ok()?,
                ))
            })
            .collect();
        Ok(Self {
            root: workspace.root().to_string_lossy().into_owned(),
            files,
        })
    }

    fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.has_extension("rs"))
    }

    /// Test code by its place, or because the module above declares it under `#[cfg(test)]`, or is test code itself.
    fn is_test(&self, file: &Source) -> bool {
        let declared_for_tests = || {
            let Some((directory, name)) = module_of(&file.path) else {
                return false;
            };
            let above = ["/mod.rs", ".rs", "/lib.rs", "/main.rs"].map(|end| format!("{directory}{end}"));
            let above = self
                .rust()
                .find(|other| other.path != file.path && above.contains(&other.path));
            above.is_some_and(|above| above.declares_for_tests(name) || self.is_test(above))
        };
        file.is_test() || (file.has_extension("rs") && declared_for_tests())
    }

    /// The gateway's own code, without its tests.
    fn gateway(&self) -> impl Iterator<Item = (&Source, &str)> {
        self.rust()
            .filter(|file| !self.is_test(file))
            .filter_map(|file| Some((file, file.path.strip_prefix("gateway/src/")?)))
    }

    #[cfg(test)]
    fn sample(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| Source::new(path, (*text).to_owned()))
            .collect();
        Self {
            root: "/checkout/of/someone".to_owned(),
            files,
        }
    }
}

/// Where the module of a Rust file is declared, without an ending, and its name. The root of a crate has neither.
fn module_of(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_suffix(".rs")?;
    let module = path.strip_suffix("/mod").unwrap_or(path).rsplit_once('/');
    module.filter(|(_, name)| !["lib", "main"].contains(name))
}

/// Asserts that `rule` finds in a file with `text` at `path` exactly the given lines.
#[cfg(test)]
#[track_caller]
fn assert_lines(rule: Rule, path: &str, text: &str, lines: &[usize]) {
    let found: Vec<usize> = rule(&Tree::sample(&[(path, text)]))
        .iter()
        .map(|offence| offence.line)
        .collect();
    assert_eq!(found, lines, "{path}: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the last file is test code beside the others.
    fn last_is_test(files: &[(&str, &str)]) -> bool {
        let tree = Tree::sample(files);
        tree.is_test(tree.files.last().unwrap())
    }

    #[test]
    fn a_module_that_is_declared_for_tests_only_is_test_code() {
        let test = "#[cfg(test)]\npub(crate) mod fake;\n";
        assert!(last_is_test(&[
            ("g/src/oidc/mod.rs", test),
            ("g/src/oidc/fake.rs", "")
        ]));
        assert!(last_is_test(&[
            ("g/src/oidc.rs", test),
            ("g/src/oidc/fake.rs", "")
        ]));
        assert!(last_is_test(&[("g/src/lib.rs", test), ("g/src/fake.rs", "")]));
        assert!(last_is_test(&[("g/src/lib.rs", test), ("g/src/fake/mod.rs", "")]));
    }

    #[test]
    fn so_is_what_it_declares_itself() {
        assert!(last_is_test(&[
            ("g/src/store/mod.rs", "#[cfg(test)]\nmod fake;\n"),
            ("g/src/store/fake.rs", "mod rows;\n"),
            ("g/src/store/fake/rows.rs", ""),
        ]));
    }

    #[test]
    fn any_other_module_is_not() {
        for above in [
            "mod fake;\n",
            "#[cfg(test)]\nmod other;\nmod fake;\n",
            "#[cfg(test)]\nmod faker;\n",
            "// #[cfg(test)]\nmod fake;\n",
            "#[cfg(feature = \"x\")]\nmod fake;\n",
            "",
        ] {
            assert!(
                !last_is_test(&[("g/src/oidc/mod.rs", above), ("g/src/oidc/fake.rs", "")]),
                "{above}"
            );
        }
        let test = "#[cfg(test)]\nmod fake;\n";
        assert!(!last_is_test(&[
            ("g/src/store/mod.rs", test),
            ("g/src/oidc/fake.rs", "")
        ]));
        assert!(!last_is_test(&[("g/src/oidc/fake.rs", "")]));
        assert!(!last_is_test(&[
            ("g/src/lib.rs", "mod app;"),
            ("g/src/main.rs", "mod cli;")
        ]));
    }
}
