//! What the operating system lets this process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files besides the connections of clients: the store, connections to Google, the listener, and the connections
/// that get an answer although all places are taken.
const OTHER_FILES: usize = 512;

/// Raises the limit of open files as far as this process may, and returns it. `None`: there is none.
pub fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // Some systems name a maximum that they do not give.
        Err(_) => limit.current,
    }
}

/// How many connections of `wanted` have a file each under `open_files`: accepting more would fail, and then not even
/// a health check would be answered.
pub fn connections_within(open_files: Option<u64>, wanted: usize) -> usize {
    let Some(files) = open_files.and_then(|files| usize::try_from(files).ok()) else {
        return wanted;
    };
    wanted.min(files.saturating_sub(OTHER_FILES).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        let rows = [
            (None, 25_000, 25_000),
            (Some(u64::MAX), 25_000, 25_000),
            (Some(25_512), 25_000, 25_000),
            (Some(25_511), 25_000, 24_999),
            (Some(4_096), 25_000, 3_584),
            (Some(4_096), 100, 100),
            (Some(64), 25_000, 1),
        ];
        for (open_files, wanted, granted) in rows {
            assert_eq!(connections_within(open_files, wanted), granted, "{open_files:?}");
        }
    }

    #[test]
    fn the_limit_is_raised_to_its_maximum() {
        let raised = raise_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(raised, limit.current);
        assert_eq!(limit.current, limit.maximum);
    }
}
