//! The contract suite: what the store promises, run against the embedded engine and against one that somebody
//! else wrote, so that no quirk of one engine is taken for DynamoDB.

mod behaviours;
mod calls;
#[cfg(feature = "embedded")]
mod faults;
mod fleet;
mod grants;
pub(super) mod kms;
mod rows;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::{Store, tables};
use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::config::store::Backend;
use crate::id;

/// The time at which every test starts, in seconds since the Unix epoch.
const START: i64 = 1_800_000_000;

/// A store under test, with its clock and the directory of its files.
#[cfg_attr(
    not(feature = "embedded"),
    expect(dead_code, reason = "only the tests of that engine look at its files")
)]
struct Bench {
    store: Store,
    clock: Clock,
    config: StoreConfig,
    /// Goes when the test ends.
    dir: TempDir,
}

impl Bench {
    #[cfg(feature = "embedded")]
    async fn in_memory() -> Self {
        Self::open(|_| Backend::Memory).await
    }

    #[cfg(feature = "embedded")]
    async fn in_a_file() -> Self {
        Self::open(|dir| Backend::Embedded {
            data_dir: dir.join("data"),
            master_key_file: dir.join("master.key"),
        })
        .await
    }

    async fn foreign() -> Self {
        let endpoint = setting("STORE_CONTRACT_ENDPOINT");
        let kms = kms::config().await;
        Self::open(|_| Backend::DynamoDb {
            endpoint: Some(endpoint),
            kms,
        })
        .await
    }

    async fn open(backend: impl FnOnce(&Path) -> Backend) -> Self {
        let dir = TempDir::new();
        let run = id::random_token();
        let config = StoreConfig {
            backend: backend(dir.path()),
            sessions_table: format!("sessions-{run}"),
            tokens_table: format!("tokens-{run}"),
        };
        let clock = Clock::manual(Timestamp::from_second(START).unwrap());
        let store = Store::open(&config, clock.clone()).unwrap();
        if let Backend::DynamoDb { .. } = config.backend {
            for table in [&config.sessions_table, &config.tokens_table] {
                let client = store.0.db.client().await.unwrap();
                tables::create(client, table).await.unwrap();
            }
        }
        store.prepare().await.unwrap();
        Self {
            store,
            clock,
            config,
            dir,
        }
    }

    #[cfg(feature = "embedded")]
    /// Everything in memory is dropped, and the store opened again with the same files.
    async fn reopened(self) -> Self {
        let Self {
            store,
            clock,
            config,
            dir,
        } = self;
        drop(store);
        let store = Store::open(&config, clock.clone()).unwrap();
        store.prepare().await.unwrap();
        Self {
            store,
            clock,
            config,
            dir,
        }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// A URL that xtask tells the tests.
fn setting(name: &str) -> url::Url {
    #[expect(
        clippy::disallowed_methods,
        reason = "a setting of the tests, not of the gateway"
    )]
    let endpoint = std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "`{name}` names an endpoint that plays AWS, and `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and \
             `AWS_REGION` go with it; `cargo xtask test` starts one and sets them"
        )
    });
    endpoint.parse().unwrap_or_else(|_| panic!("`{name}` is a URL"))
}

/// A directory that is removed when the test ends.
pub(super) struct TempDir(PathBuf);

impl TempDir {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("gateway-store-{}", id::random_token()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Every behaviour as a test of an engine.
macro_rules! hold_on {
    ($open:expr; $module:ident; $($behaviour:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $behaviour() {
            super::$module::$behaviour(&$open.await).await;
        }
    )*};
}

macro_rules! engines {
    ($($module:ident { $($behaviour:ident)* })*) => {
        #[cfg(feature = "embedded")]
        mod embedded_engine {
            $(hold_on!(super::Bench::in_memory(); $module; $($behaviour)*);)*
        }
        #[cfg(feature = "embedded")]
        mod embedded_engine_in_a_file {
            $(hold_on!(super::Bench::in_a_file(); $module; $($behaviour)*);)*
        }
        mod foreign_engine {
            $(hold_on!(super::Bench::foreign(); $module; $($behaviour)*);)*
        }
    };
}

engines! {
    behaviours {
        a_row_of_each_type_comes_back_as_it_was
        a_row_that_was_never_stored_is_a_miss
        expiry_hides_a_row_before_the_engine_deletes_it
        a_code_is_redeemed_once_under_50_racing_takers
        a_code_that_has_expired_or_never_was_is_not_redeemed
        a_code_is_not_redeemed_for_a_family_that_exists
        an_authorization_is_taken_once_under_50_racing_takers
        an_authorization_that_was_taken_does_not_come_back
        a_family_is_rotated_once_under_50_racers
        a_family_that_was_revoked_is_not_rotated
        a_lease_excludes_others_until_it_is_released_or_runs_out
        one_of_50_racers_gets_the_lease
        a_session_that_was_ended_stays_ended_under_racing_writes
        a_tombstone_counts_until_its_expiry
        writes_about_a_session_touch_their_own_facts_only
        using_a_client_never_shortens_its_life
        no_secret_is_stored_in_clear
        a_row_that_does_not_parse_is_corrupt
    }
    grants {
        a_google_grant_is_replaced_once_under_50_racers_of_two_tasks
        a_new_login_is_not_undone_by_a_refresh_that_began_before_it
        a_google_grant_moved_to_another_persons_row_is_corrupt
        a_google_grant_under_another_master_key_is_corrupt
    }
    calls {
        a_log_keeps_its_events_in_order_and_ends_once
        an_event_is_written_by_one_of_50_racers
        a_log_that_has_expired_or_skips_a_number_takes_nothing
        open_calls_of_50_racers_undo_nothing_and_what_was_left_goes_in_the_end
    }
    fleet {
        a_fleet_that_nobody_wrote_is_empty_and_the_first_write_makes_it
        a_heartbeat_forgets_who_is_gone_and_a_task_that_leaves_is_gone
        counters_and_heartbeats_of_50_racers_undo_nothing
        a_denied_grant_counts_until_its_end_and_then_makes_room
    }
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    use secrecy::ExposeSecret as _;

    let bench = Bench::in_a_file().await;
    bench
        .store
        .put_google_grant(&rows::ana(), &rows::google_grant())
        .await
        .unwrap();
    bench.store.put_code("c", &rows::code()).await.unwrap();
    let redeemed = bench.store.redeem_code_once("c", "f", &rows::family()).await;
    redeemed.unwrap();

    let bench = bench.reopened().await;
    let family = bench.store.refresh_family("f").await.unwrap();
    assert_eq!(family, Some(rows::family()));
    let grant = bench.store.google_grant(&rows::ana()).await.unwrap().unwrap();
    assert_eq!(grant.refresh_token.expose_secret(), rows::REFRESH);
}
