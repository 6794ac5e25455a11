//! What holds for the repository as a whole: manifests, lock files, decision records, traces of a machine.

use std::collections::BTreeMap;

use super::source::Source;
use super::{Offence, Tree};

/// Directories of people on their machines. Written in halves, so that this file does not contain them.
const HOMES: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
];

/// The one source that `Cargo.lock` may name: every mirror of it writes the same.
const CRATES_IO: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// The one registry that `package-lock.json` may name: npm asks the one it is configured for in its place.
const NPM: &str = "\"resolved\": \"https://registry.npmjs.org/";

/// Every crate takes the workspace's lints.
pub(super) fn lints(tree: &Tree) -> Vec<Offence> {
    let takes = |text: &str| {
        let mut lines = text.lines().map(str::trim).skip_while(|line| *line != "[lints]");
        lines.next().is_some() && lines.next() == Some("workspace = true")
    };
    tree.files
        .iter()
        .filter(|file| {
            file.name() == "Cargo.toml" && file.text.lines().any(|line| line.trim() == "[package]")
        })
        .filter(|file| !takes(&file.text))
        .map(|file| {
            let what = "the crate has lints of its own or none";
            Offence::new(&file.path, 1, what, "write `[lints]` and `workspace = true`")
        })
        .collect()
}

/// No number names two decisions.
pub(super) fn adr_numbers(tree: &Tree) -> Vec<Offence> {
    let mut first = BTreeMap::new();
    let mut offences = Vec::new();
    for file in &tree.files {
        let Some(name) = file
            .path
            .strip_prefix("docs/adr/")
            .filter(|_| file.has_extension("md"))
        else {
            continue;
        };
        let Some((number, _)) = name
            .split_once('-')
            .filter(|(number, _)| number.parse::<u32>().is_ok())
        else {
            continue;
        };
        if let Some(other) = first.insert(number, name) {
            let what = format!("the number {number} belongs to `{other}` as well");
            offences.push(Offence::new(&file.path, 1, what, "take the next free number"));
        }
    }
    offences
}

/// Where a package was downloaded from depends on the machine, so no file says more than the public registry.
pub(super) fn registries(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            if names_registry(file, line.trim()) {
                let what = "the line names the registry of a machine";
                let fix = "leave it to the configuration of whoever installs";
                offences.push(Offence::new(&file.path, index + 1, what, fix));
            }
        }
    }
    offences
}

fn names_registry(file: &Source, line: &str) -> bool {
    match file.name() {
        "package-lock.json" => line.starts_with("\"resolved\":") && !line.starts_with(NPM),
        "Cargo.lock" => line.starts_with("source = ") && line != CRATES_IO,
        ".npmrc" => line.contains("registry="),
        "config.toml" if file.path.ends_with(".cargo/config.toml") => ["[source", "[registr"]
            .iter()
            .any(|table| line.starts_with(table)),
        _ if file.path.contains("/requirements/") && file.has_extension("txt") => {
            !line.starts_with('#') && (line.starts_with('-') || line.contains("://"))
        }
        _ => false,
    }
}

/// Nothing of the machine that somebody worked on.
pub(super) fn machine_paths(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            if HOMES.iter().any(|home| line.contains(home)) || has_absolute(line, &tree.root) {
                let what = "the line has a path of one machine";
                offences.push(Offence::new(
                    &file.path,
                    index + 1,
                    what,
                    "write it relative to the checkout",
                ));
            }
        }
    }
    offences
}

/// Whether `path` stands in `line` as itself, not as the end of a longer path. A checkout right below the root
/// of a file system (`/app` in a container) has too common a name to tell anything.
fn has_absolute(line: &str, path: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    path.split('/').count() > 2
        && line
            .match_indices(path)
            .any(|(at, _)| !line.split_at(at).0.ends_with(goes_on))
}

#[cfg(test)]
mod tests {
    use super::super::assert_lines;
    use super::*;

    #[test]
    fn a_crate_without_the_workspaces_lints_is_found() {
        let check = |text, lines| assert_lines(lints, "a/Cargo.toml", text, lines);
        check("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n", &[]);
        check("[package]\nname = \"a\"\n", &[1]);
        check(
            "[package]\nname = \"a\"\n[lints.rust]\nunsafe_code = \"allow\"\n",
            &[1],
        );
        check("[package]\n[lints]\n[dependencies]\na.workspace = true\n", &[1]);
        check("[workspace]\n", &[]);
    }

    #[test]
    fn two_decisions_with_one_number_are_found() {
        let tree = |second| {
            Tree::sample(&[
                ("docs/adr/0001-a.md", ""),
                (second, ""),
                ("docs/adr/README.md", ""),
            ])
        };
        assert_eq!(adr_numbers(&tree("docs/adr/0002-b.md")), []);
        let offences = adr_numbers(&tree("docs/adr/0001-b.md"));
        assert_eq!(offences.len(), 1);
        assert!(
            offences[0]
                .to_string()
                .starts_with("docs/adr/0001-b.md:1: the number 0001 belongs to `0001-a.md`")
        );
    }

    #[test]
    fn a_lock_file_that_names_a_host_is_found() {
        let url = "https://packages.example.com/a";
        let check = |path, text: &str, lines| assert_lines(registries, path, text, lines);
        check(
            "x/package-lock.json",
            &format!("{{\n  \"resolved\": \"{url}\",\n"),
            &[2],
        );
        check("x/package-lock.json", "{\n  \"integrity\": \"sha512-x\",\n", &[]);
        check(
            "x/package-lock.json",
            &format!("{{\n  {NPM}a/-/a-1.0.0.tgz\",\n"),
            &[],
        );
        check(
            "Cargo.lock",
            &format!("{CRATES_IO}\nsource = \"registry+{url}\"\n"),
            &[2],
        );
        check(
            "xtask/requirements/a.txt",
            &format!("# {url}\na==1\n--index-url {url}\n"),
            &[3],
        );
        check("xtask/requirements/a.txt", &format!("a @ {url}\n"), &[1]);
        check(
            ".npmrc",
            &format!("omit-lockfile-registry-resolved=true\nregistry={url}\n"),
            &[2],
        );
        check(
            ".cargo/config.toml",
            "[alias]\nx = \"run\"\n[source.crates-io]\n",
            &[3],
        );
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let check = |text: &str, lines| assert_lines(machine_paths, "docs/a.md", text, lines);
        check("see docs/b.md\n", &[]);
        check(&format!("see {}ann/notes\n", HOMES[0]), &[1]);
        check("\ncd /checkout/of/someone\n", &[2]);
        check("x = '/checkout/of/someone/docs'\n", &[1]);
        check("see docs/checkout/of/someone\n", &[]);
        assert!(!has_absolute("COPY gateway /app", "/app"));
    }
}
