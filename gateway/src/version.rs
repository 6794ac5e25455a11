//! Which gateway this is: told at start, by `/status` and on the landing page.

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit this binary was built from, twelve hexadecimal digits; `unknown` outside a checkout.
pub const GIT_SHA: &str = env!("GATEWAY_GIT_SHA");

/// The version of rmcp that is linked in.
pub const RMCP_VERSION: &str = env!("GATEWAY_RMCP_VERSION");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rmcp_version_is_the_locked_one() {
        let lock: toml::Table = include_str!("../../Cargo.lock").parse().expect("a lock file");
        let rmcp = lock["package"]
            .as_array()
            .expect("packages")
            .iter()
            .find(|package| package["name"].as_str() == Some("rmcp"));
        assert_eq!(
            rmcp.expect("rmcp is locked")["version"].as_str(),
            Some(RMCP_VERSION)
        );
    }

    #[test]
    fn the_commit_is_short_or_unknown() {
        let hexadecimal = GIT_SHA.len() == 12 && GIT_SHA.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(hexadecimal || GIT_SHA == "unknown", "{GIT_SHA}");
    }
}
