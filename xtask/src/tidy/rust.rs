//! How a source file begins, how long it is, and what must not stay in it.

use super::source::without_literals;
use super::{Offence, Tree};

/// The ceiling for a file, in lines.
const FILE_LINES: usize = 500;

/// Extensions of files that people write and read as code.
const CODE: &[&str] = &["rs", "ts", "js", "mjs", "toml", "yml", "yaml", "sh"];

/// Words for work that was put off. Written in halves, so that this file does not contain them.
const PUT_OFF: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Macros that mark unfinished work.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// Every Rust file says first what it is.
pub(super) fn headers(tree: &Tree) -> Vec<Offence> {
    tree.rust()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| {
            Offence::new(
                &file.path,
                1,
                "no `//!` on the first line",
                "say in one sentence what the file is",
            )
        })
        .collect()
}

/// Code, but not tests, fits into 500 lines a file.
pub(super) fn sizes(tree: &Tree) -> Vec<Offence> {
    tree.files
        .iter()
        .filter(|file| {
            ["rs", "ts", "js", "mjs"]
                .iter()
                .any(|extension| file.has_extension(extension))
        })
        .filter(|file| !tree.is_test(file))
        .filter_map(|file| {
            let lines = file.text.lines().count();
            let what = format!("{lines} lines, {FILE_LINES} are allowed");
            (lines > FILE_LINES)
                .then(|| Offence::new(&file.path, lines, what, "split the file by what its parts do"))
        })
        .collect()
}

/// `#[expect(lint, reason = "…")]` disappears when it is no longer needed; its older sibling does not.
pub(super) fn allowed_lints(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.rust() {
        for (number, line) in numbered(&without_literals(&file.text)) {
            let squeezed: String = line.split_whitespace().collect();
            if squeezed.contains("#[allow(") || squeezed.contains("#![allow(") {
                let fix = "write `#[expect(…, reason = \"…\")]`";
                offences.push(Offence::new(
                    &file.path,
                    number,
                    "a lint is switched off with `allow`",
                    fix,
                ));
            }
        }
    }
    offences
}

/// Nothing that says "later".
pub(super) fn leftovers(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| CODE.iter().any(|extension| file.has_extension(extension)))
    {
        for (number, line) in numbered(&file.text) {
            if let Some(word) = PUT_OFF.iter().find(|word| has_word(line, word)) {
                let fix = "do it, or open an issue and say nothing here";
                offences.push(Offence::new(
                    &file.path,
                    number,
                    format!("`{word}` is left over"),
                    fix,
                ));
            }
        }
        if !file.has_extension("rs") {
            continue;
        }
        for (number, line) in numbered(&without_literals(&file.text)) {
            if let Some(name) = UNFINISHED.iter().find(|name| has_word(line, name)) {
                offences.push(Offence::new(
                    &file.path,
                    number,
                    format!("`{name}` is left over"),
                    "finish it",
                ));
            }
        }
    }
    offences
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Whether `word` stands in `line` and is not part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = line.split_at(at);
        let after = after.strip_prefix(word).unwrap_or_default();
        !before.ends_with(is_word) && (word.ends_with('!') || !after.starts_with(is_word))
    })
}

#[cfg(test)]
mod tests {
    use super::super::assert_lines;
    use super::*;

    #[test]
    fn a_rust_file_without_a_header_is_found() {
        assert_lines(headers, "a.rs", "//! What it is.\n", &[]);
        assert_lines(headers, "a.rs", "use std::fmt;\n", &[1]);
        assert_lines(headers, "a.rs", "", &[1]);
        assert_lines(headers, "a.md", "text", &[]);
    }

    #[test]
    fn a_file_above_the_ceiling_is_found_unless_it_is_a_test() {
        let full = "//!\n".repeat(FILE_LINES);
        assert_lines(sizes, "a.rs", &full, &[]);
        let over = format!("{full}//!\n");
        assert_lines(sizes, "a.rs", &over, &[501]);
        assert_lines(sizes, "xtask/emulator/server.mjs", &over, &[501]);
        assert_lines(sizes, "a/tests.rs", &over, &[]);
        assert_lines(sizes, "gateway/tests/it/main.rs", &over, &[]);
        assert_lines(sizes, "package-lock.json", &over, &[]);
    }

    #[test]
    fn allow_is_found_and_expect_is_fine() {
        assert_lines(allowed_lints, "a.rs", "#[allow(dead_code)]\nfn f() {}\n", &[1]);
        assert_lines(allowed_lints, "a.rs", "//!\n#![allow(dead_code)]\n", &[2]);
        assert_lines(
            allowed_lints,
            "a.rs",
            "#[expect(dead_code, reason = \"#[allow(x)]\")]\n",
            &[],
        );
        assert_lines(allowed_lints, "a.rs", "// #[allow(dead_code)]\n", &[]);
    }

    #[test]
    fn work_that_was_put_off_is_found_in_code_and_comments() {
        let [later, broken, _] = PUT_OFF else {
            unreachable!()
        };
        assert_lines(leftovers, "a.rs", &format!("// {later}: finish\n"), &[1]);
        assert_lines(leftovers, "a.mjs", &format!("\n/* {broken} */\n"), &[2]);
        assert_lines(leftovers, "a.rs", &format!("let {later}S = 1;\n"), &[]);
        assert_lines(leftovers, "a.md", &format!("{later}\n"), &[]);
    }

    #[test]
    fn unfinished_code_is_found() {
        assert_lines(leftovers, "a.rs", "fn f() {\n    todo!()\n}\n", &[2]);
        assert_lines(leftovers, "a.rs", "let x = dbg!(y);\n", &[1]);
        assert_lines(
            leftovers,
            "a.rs",
            "// todo!()\nlet s = \"todo!\";\nmy_todo!();\n",
            &[],
        );
    }
}
