//! A log-in as a client does it, with a scripted browser at the Google emulator: for what needs an access token.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::workspace::Workspace;

/// The program, relative to the checkout.
const PROGRAM: &str = "xtask/probe/login.mjs";

/// Where to log in, and how to get there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The gateway's origin.
    pub(crate) url: &'a str,
    /// A certificate authority that is trusted besides the usual ones.
    pub(crate) authority: Option<&'a Path>,
    /// Addresses of hosts that DNS does not know.
    pub(crate) names: &'a [(&'a str, &'a str)],
}

/// Logs `email` in and returns its access token.
pub(crate) fn token(workspace: &Workspace, place: Place<'_>, email: &str) -> anyhow::Result<String> {
    let names: Value = place
        .names
        .iter()
        .map(|(name, address)| ((*name).to_owned(), Value::from(*address)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let wanted = json!({ "url": place.url, "email": email, "names": names });
    let mut command = Command::new("node");
    command
        .arg(workspace.root().join(PROGRAM))
        .arg(wanted.to_string())
        .stdin(Stdio::null())
        .envs(place.authority.map(|file| ("NODE_EXTRA_CA_CERTS", file)));
    let output = command.output().context("`node` does not start")?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
    }
    let what = format!("`{email}` cannot log in at `{}`", place.url);
    Err(Problem::new(what, "look at the log of the gateway")
        .with_detail(String::from_utf8_lossy(&output.stderr))
        .into())
}
