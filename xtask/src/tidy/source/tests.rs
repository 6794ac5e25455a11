//! What is code and what is not, by example.

use super::*;

fn check_blank(text: &str, expected: &str) {
    let blanked = without_literals(text);
    assert_eq!(blanked, expected);
    assert_eq!(blanked.lines().count(), text.lines().count());
}

fn check_paths(code: &str, expected: &[&str]) {
    let found: Vec<String> = Source::new("a.rs", code.to_owned())
        .paths()
        .iter()
        .filter(|path| path.segments.len() > 1)
        .map(|path| format!("{} {}", path.line, path.segments.join("::")))
        .collect();
    assert_eq!(found, expected, "{code}");
}

#[test]
fn comments_are_blanked_and_lines_stay() {
    check_blank("a // b\nc", "a     \nc");
    check_blank("a /* b\n /* c */ d */ e", "a     \n              e");
    check_blank("//! x", "     ");
}

#[test]
fn literals_are_blanked() {
    check_blank(r#"f("a \" b", 'c')"#, "f(        ,    )");
    check_blank("f(r#\"a \" b\"#) g", "f(          ) g");
    check_blank("f(br\"a\") g", "f(     ) g");
    check_blank("f(b\"a\", '\\'', '\"') g", "f(b   ,     ,    ) g");
}

#[test]
fn lifetimes_and_raw_identifiers_are_code() {
    check_blank("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
    check_blank("r#type for r in", "r#type for r in");
}

#[test]
fn paths_are_found_with_their_lines() {
    check_paths(
        "use crate::store::Store;\n\nfn f() { std::env::var(\"X\"); }",
        &["1 crate::store::Store", "3 std::env::var"],
    );
}

#[test]
fn groups_become_one_path_each() {
    check_paths(
        "use std::{\n    env,\n    io::{self, Write as _},\n};",
        &["2 std::env", "3 std::io::self", "3 std::io::Write"],
    );
}

#[test]
fn globs_generics_and_blocks_end_a_path() {
    check_paths("use crate::model::*;", &["1 crate::model"]);
    check_paths("Vec::<crate::a::B>::new()", &["1 crate::a::B"]);
    check_paths("match x { A::B => { c::d() } }", &["1 A::B", "1 c::d"]);
}

#[test]
fn what_is_not_code_has_no_paths() {
    check_paths("// crate::a\nlet s = \"crate::b\";", &[]);
}

#[test]
fn tests_inside_a_file_have_no_paths() {
    let code = "use a::b;\n#[cfg(test)]\nmod tests {\n    use c::d;\n    fn f() { { } }\n}\nuse e::f;\n";
    check_paths(code, &["1 a::b", "7 e::f"]);
    check_paths("#[cfg(test)]\nmod tests;\nuse e::f;", &["3 e::f"]);
    check_paths(
        "#[cfg(test)]\n#[track_caller]\nfn f() { a::b() }\nuse e::f;",
        &["4 e::f"],
    );
}

#[test]
fn test_files_are_known_by_their_place() {
    let is_test = |path| Source::new(path, String::new()).is_test();
    assert!(is_test("gateway/tests/it/main.rs"));
    assert!(is_test("gateway/src/id/tests.rs"));
    assert!(is_test("xtask/emulator/proxy.test.mjs"));
    assert!(!is_test("xtask/src/test.rs"));
    assert!(!is_test("xtask/src/test/count.rs"));
}
