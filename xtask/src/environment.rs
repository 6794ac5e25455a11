//! The one place that reads this process's environment.

use std::ffi::OsString;
use std::path::PathBuf;

/// The value of `name`, unless it is unset or empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place in xtask that reads the environment"
)]
pub(crate) fn var(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The file that running `program` would start, looked up in `PATH`.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&var("PATH")?)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::find_program;

    #[test]
    fn a_program_is_found_in_path_or_not_at_all() {
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("no-such-program-anywhere"), None);
    }
}
