//! What only some modules of the gateway may use.

use super::{Offence, Tree};

/// Something with a home.
struct Absence {
    what: &'static str,
    /// Whether a path, by its parts, uses it.
    used_by: fn(&[&str]) -> bool,
    /// Modules below `gateway/src` where it is at home.
    home: &'static [&'static str],
    fix: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        what: "axum",
        used_by: |path| path.first() == Some(&"axum"),
        home: &["web"],
        fix: "only `web` knows HTTP frameworks; pass plain types",
    },
    Absence {
        what: "the AWS SDK",
        used_by: |path| {
            path.first()
                .is_some_and(|name| name.starts_with("aws_") && !name.starts_with("aws_lc_"))
                && path.len() > 1
        },
        home: &["store", "app"],
        fix: "go through `store`; no SDK type leaves it",
    },
    Absence {
        what: "the environment",
        used_by: |path| path.starts_with(&["std", "env"]),
        home: &["config/env"],
        fix: "declare the variable in `config/env` and take the setting as an argument",
    },
    Absence {
        what: "the wall clock",
        used_by: |path| {
            ["SystemTime", "Timestamp", "Zoned"]
                .iter()
                .any(|clock| contains(path, &[clock, "now"]))
        },
        home: &["clock"],
        fix: "take a `Clock`, so that tests can move time",
    },
    Absence {
        what: "a free task",
        used_by: |path| contains(path, &["tokio", "spawn"]) || contains(path, &["tokio", "task", "spawn"]),
        home: &["lifecycle"],
        fix: "spawn through `lifecycle`, so that a drain waits for the task",
    },
];

/// Finds uses away from home.
pub(super) fn check(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (file, path) in tree.gateway() {
        let away: Vec<&Absence> = ABSENCES
            .iter()
            .filter(|absence| !absence.home.iter().any(|m| is_in(path, m)))
            .collect();
        for used in file.paths() {
            let segments: Vec<&str> = used.segments.iter().map(String::as_str).collect();
            for absence in away.iter().filter(|absence| (absence.used_by)(&segments)) {
                let what = format!("`{}` uses {}", segments.join("::"), absence.what);
                offences.push(Offence::new(&file.path, used.line, what, absence.fix));
            }
        }
    }
    offences
}

/// Whether the file is `module.rs` or lies below `module/`.
fn is_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn contains(path: &[&str], part: &[&str]) -> bool {
    path.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::super::assert_lines;
    use super::*;

    fn check_at(path: &str, text: &str, lines: &[usize]) {
        assert_lines(check, &format!("gateway/src/{path}"), text, lines);
    }

    #[test]
    fn axum_is_at_home_in_web() {
        check_at("web/mod.rs", "use axum::Router;\n", &[]);
        check_at("mcp/mod.rs", "use axum::Router;\n", &[1]);
        check_at("webhook.rs", "fn f() -> axum::response::Response {}\n", &[1]);
    }

    #[test]
    fn the_aws_sdk_is_at_home_in_store_and_app() {
        check_at("store/keys.rs", "use aws_sdk_dynamodb::Client;\n", &[]);
        check_at("app.rs", "use aws_config::BehaviorVersion;\n", &[]);
        check_at("id.rs", "use aws_lc_rs::digest;\n", &[]);
        check_at("oauth/token.rs", "\nuse aws_smithy_types::DateTime;\n", &[2]);
        check_at("oauth/token.rs", "let aws_region = 1;\n", &[]);
    }

    #[test]
    fn the_environment_is_at_home_in_one_file() {
        check_at("config/env.rs", "std::env::var(\"PORT\")", &[]);
        check_at("config/server.rs", "std::env::var(\"PORT\")", &[1]);
        check_at("cli.rs", "use std::{env, io};\n", &[1]);
        check_at("cli.rs", "env!(\"CARGO_PKG_VERSION\")", &[]);
    }

    #[test]
    fn the_wall_clock_is_at_home_in_clock() {
        check_at("clock.rs", "Timestamp::now()", &[]);
        check_at("jwt.rs", "jiff::Timestamp::now()", &[1]);
        check_at("jwt.rs", "std::time::SystemTime::now()", &[1]);
        check_at("jwt.rs", "tokio::time::Instant::now(); clock.now()", &[]);
    }

    #[test]
    fn tasks_are_at_home_in_lifecycle() {
        check_at("lifecycle.rs", "tokio::spawn(f)", &[]);
        check_at("web/accept.rs", "tokio::spawn(f)", &[1]);
        check_at("web/accept.rs", "use tokio::task::spawn;\n", &[1]);
        check_at(
            "web/accept.rs",
            "lifecycle.spawn(f); tokio::task::spawn_blocking(f)",
            &[],
        );
    }

    #[test]
    fn tests_and_other_crates_are_free() {
        check_at(
            "id.rs",
            "#[cfg(test)]\nmod tests {\n    fn f() { tokio::spawn(g) }\n}\n",
            &[],
        );
        assert_lines(check, "gateway/tests/it/main.rs", "use axum::Router;\n", &[]);
        assert_lines(check, "xtask/src/main.rs", "std::env::var(\"PATH\")", &[]);
    }
}
