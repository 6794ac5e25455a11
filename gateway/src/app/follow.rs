//! Follows the version counters: what a task does when the tool list changed or a grant was denied anywhere.

use std::time::Duration;

use crate::lifecycle::Lifecycle;
use crate::session::peers::Versions;
use crate::web::App;

/// Until the denied grants are read again that could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// Starts to follow. At the first look the denied grants are read; the tool list is the one that clients get anyway.
pub(super) fn follow_versions(app: &App, lifecycle: &Lifecycle) {
    let app = App::clone(app);
    lifecycle.spawn_loop(async move {
        let mut versions = app.peers.versions();
        versions.mark_changed();
        let mut before: Option<Versions> = None;
        while versions.changed().await.is_ok() {
            let Some(now) = *versions.borrow_and_update() else {
                continue;
            };
            if before.is_none_or(|before| before.revocation != now.revocation) {
                read_denied_grants(&app).await;
            }
            if before.is_some_and(|before| before.catalogue != now.catalogue) {
                let version = app.mcp.list_version(now.catalogue);
                let streams = app.mcp.wheel.tell_list_changed(version).await;
                tracing::info!(streams, version = now.catalogue, "the tool list changed");
            }
            before = Some(now);
        }
    });
}

async fn read_denied_grants(app: &App) {
    loop {
        match app.store.denied_grants().await {
            Ok(grants) => {
                tracing::debug!(grants = grants.len(), "denied grants were read");
                app.bearer.deny(grants);
                let streams = app.mcp.wheel.end_denied(|grant| app.bearer.is_denied(grant));
                if streams > 0 {
                    tracing::info!(streams, "streams of denied grants were ended");
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "the denied grants could not be read; trying again");
                tokio::time::sleep(app.clock.interval(RETRY)).await;
            }
        }
    }
}
