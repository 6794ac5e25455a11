//! The Google emulator of `xtask/emulator`, as a running child.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use crate::interrupt::Interrupt;
use crate::npm;
use crate::process::Process;
use crate::ui;
use crate::workspace::Workspace;

/// Where the emulator lives, relative to the checkout.
pub(crate) const DIRECTORY: &str = "xtask/emulator";

const READY_LIMIT: Duration = Duration::from_secs(30);

/// What the emulator says about itself when it serves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ready {
    /// Base URL of everything: `OpenID` issuer and APIs.
    pub(crate) url: String,
    /// The gateway's OAuth client at "Google".
    pub(crate) client_id: String,
    /// Its secret.
    pub(crate) client_secret: String,
    /// Who has an account.
    pub(crate) users: Vec<User>,
}

/// An account of the emulator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub(crate) struct User {
    /// The address to log in with.
    pub(crate) email: String,
    /// Its Workspace domain.
    pub(crate) domain: String,
}

/// Installs the emulator if need be, starts it on a free port and waits until it serves.
pub(crate) fn start(
    workspace: &Workspace,
    redirect_uri: &str,
    log: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<(Process, Ready)> {
    npm::install(workspace, DIRECTORY, interrupt)?;
    let mut command = Command::new("node");
    command
        .arg(workspace.root().join(DIRECTORY).join("server.mjs"))
        .args(["--port", "0"])
        .args(["--redirect-uri", redirect_uri]);
    let mut process = Process::start("google emulator", &mut command, log)?;
    let ready = process.wait_ready(READY_LIMIT, interrupt, || {
        let output = fs::read_to_string(log)?;
        output.lines().find_map(ready_line).transpose()
    })?;
    ui::step(ui::Mark::Ok, format_args!("google emulator at {}", ready.url));
    Ok((process, ready))
}

/// The one JSON line among whatever else is printed. A line is complete when it parses.
fn ready_line(line: &str) -> Option<anyhow::Result<Ready>> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    (value.get("ready")? == true)
        .then(|| serde_json::from_value(value).context("the emulator's ready line is not as expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_is_found_by_its_content() {
        let line = r#"{"ready":true,"url":"http://127.0.0.1:4000","clientId":"id","clientSecret":"s",
            "users":[{"email":"ann@example.com","domain":"example.com","canary":"c"}]}"#;
        let ready = ready_line(line).unwrap().unwrap();
        assert_eq!(ready.url, "http://127.0.0.1:4000");
        assert_eq!(ready.client_id, "id");
        assert_eq!(ready.users[0].email, "ann@example.com");
    }

    #[test]
    fn other_lines_and_half_lines_are_not_it() {
        for line in [
            "",
            "listening",
            "{\"ready\":tr",
            "{\"ready\":false}",
            "{\"level\":\"info\"}",
            "42",
        ] {
            assert!(ready_line(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_ready_line_without_its_fields_is_an_error() {
        let error = ready_line(r#"{"ready":true,"url":"http://127.0.0.1:4000"}"#)
            .unwrap()
            .unwrap_err();
        assert!(format!("{error:#}").contains("clientId"));
    }
}
