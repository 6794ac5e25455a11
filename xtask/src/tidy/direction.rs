//! Modules of the gateway use each other in one direction only.

use super::source::PathUse;
use super::{Offence, Tree};

/// Modules of one height.
struct Layer {
    modules: &'static [&'static str],
    /// Whether they may use each other.
    friends: bool,
}

/// From the top down: a module may use what stands below it. Modules not named here are leaves, at the bottom.
const LAYERS: &[Layer] = &[
    Layer {
        modules: &["main", "cli"],
        friends: true,
    },
    Layer {
        modules: &["app"],
        friends: true,
    },
    Layer {
        modules: &["web"],
        friends: true,
    },
    Layer {
        modules: &["mcp"],
        friends: true,
    },
    // They meet in the layers above.
    Layer {
        modules: &["oauth", "access", "session", "upstream", "google"],
        friends: false,
    },
    Layer {
        modules: &["store"],
        friends: true,
    },
    Layer {
        modules: &["model"],
        friends: true,
    },
];

/// The list of modules belongs to no layer.
const MODULE_LIST: &str = "lib.rs";

/// Finds uses that go up or sideways.
pub(super) fn check(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (file, path) in tree.gateway().filter(|(_, path)| *path != MODULE_LIST) {
        let user = module_of(path);
        for used in file.paths() {
            let Some(target) = target(path, &used).filter(|target| !may_use(user, target)) else {
                continue;
            };
            let what = format!("`{user}` uses `{target}`");
            let fix = "turn the edge round, or let a module above both pass what is needed";
            offences.push(Offence::new(&file.path, used.line, what, fix));
        }
    }
    offences
}

/// The top-level module that a file below `gateway/src` belongs to.
fn module_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The top-level module that a path in the file leads to, if it leads out of the file's own.
fn target(path: &str, used: &PathUse) -> Option<String> {
    let depth = path.split('/').count() - usize::from(path.ends_with("/mod.rs"));
    let supers = used
        .segments
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    let out_of_crate = used.segments.first().is_some_and(|first| first == "crate");
    let rest = if out_of_crate { 1 } else { supers };
    if !out_of_crate && (supers == 0 || supers < depth) {
        return None;
    }
    used.segments.get(rest).cloned()
}

fn may_use(user: &str, target: &str) -> bool {
    if user == target {
        return true;
    }
    let (user, target) = (height(user), height(target));
    if user == target {
        LAYERS.get(user).is_none_or(|layer| layer.friends)
    } else {
        user < target
    }
}

/// Counted from the top; leaves come last.
fn height(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.modules.contains(&module))
        .unwrap_or(LAYERS.len())
}

#[cfg(test)]
mod tests {
    use super::super::assert_lines;
    use super::*;

    #[test]
    fn downwards_is_fine() {
        assert_lines(
            check,
            "gateway/src/web/mcp.rs",
            "use crate::mcp::Mcp;\nuse crate::id::UserId;\n",
            &[],
        );
        assert_lines(
            check,
            "gateway/src/oauth/mod.rs",
            "use crate::store::{Store, StoreError};\n",
            &[],
        );
        assert_lines(
            check,
            "gateway/src/app.rs",
            "use crate::model::user::User;\n",
            &[],
        );
        assert_lines(check, "gateway/src/main.rs", "use crate::cli::Cli;\n", &[]);
    }

    #[test]
    fn upwards_is_found() {
        assert_lines(
            check,
            "gateway/src/store/mod.rs",
            "use crate::id::ClientId;\nuse crate::oauth::OAuth;\n",
            &[2],
        );
        assert_lines(
            check,
            "gateway/src/clock.rs",
            "fn f() { crate::model::user::User }\n",
            &[1],
        );
        assert_lines(
            check,
            "gateway/src/mcp/legacy.rs",
            "use crate::{id, web::App};\n",
            &[1],
        );
    }

    #[test]
    fn the_middle_does_not_use_each_other() {
        assert_lines(
            check,
            "gateway/src/oauth/token.rs",
            "use crate::access::bearer::Bearer;\n",
            &[1],
        );
        assert_lines(
            check,
            "gateway/src/google/mod.rs",
            "use crate::google::client::Client;\n",
            &[],
        );
    }

    #[test]
    fn leaves_may_use_leaves() {
        assert_lines(check, "gateway/src/jwt.rs", "use crate::secret::Keyring;\n", &[]);
    }

    #[test]
    fn super_is_followed_out_of_a_module() {
        assert_lines(check, "gateway/src/clock.rs", "use super::web::App;\n", &[1]);
        assert_lines(check, "gateway/src/store/mod.rs", "use super::web::App;\n", &[1]);
        assert_lines(
            check,
            "gateway/src/store/keys.rs",
            "use super::web;\nuse super::super::web::App;\n",
            &[2],
        );
    }

    #[test]
    fn tests_and_comments_may_name_anything() {
        assert_lines(check, "gateway/src/id/tests.rs", "use crate::web::App;\n", &[]);
        assert_lines(
            check,
            "gateway/src/id.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::web::App;\n}\n",
            &[],
        );
        assert_lines(check, "gateway/src/id.rs", "/// See [`crate::web::App`].\n", &[]);
        assert_lines(check, "gateway/src/lib.rs", "pub use crate::web::App;\n", &[]);
    }
}
