//! The configuration as a whole: defaults, problems, warnings, secrecy, and the committed reference.

use std::collections::BTreeSet;

use super::variable::{Default as Preset, Kind};
use super::*;

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const SECRET: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";

/// What every start needs, changed and extended by `changes`; an empty value unsets.
fn env_with(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let required = [
        ("PUBLIC_URL", "https://mcp.example.com"),
        ("ALLOWED_DOMAIN", "example.com"),
        ("GOOGLE_CLIENT_ID", "client.apps.example.com"),
        ("GOOGLE_CLIENT_SECRET", "canary-google-secret"),
        ("SESSION_SECRET", SECRET),
    ];
    required
        .iter()
        .chain(changes)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn load(changes: &[(&str, &str)]) -> Config {
    Config::load(&env_with(changes), None).expect("a valid configuration")
}

fn problems(changes: &[(&str, &str)]) -> Vec<String> {
    let errors = Config::load(&env_with(changes), None).expect_err("an invalid configuration");
    errors
        .problems
        .into_iter()
        .map(|problem| problem.message)
        .collect()
}

#[test]
fn five_variables_are_enough_and_the_rest_has_defaults() {
    let config = load(&[]);
    insta::assert_debug_snapshot!(config);
}

#[test]
fn every_variable_changes_the_configuration_alone() {
    let plain = format!("{:?}", load(&[]));
    let changed = [
        ("PUBLIC_URL", "https://other.example.com"),
        ("HOST", "0.0.0.0"),
        ("PORT", "8080"),
        ("ALLOWED_HOSTS", "internal.example.com"),
        ("ALLOWED_ORIGINS", "https://*.example.com, http://localhost:6274"),
        ("KEEP_ALIVE_TIMEOUT", "310000"),
        ("HEADER_TIMEOUT", "5000"),
        ("TCP_KEEPALIVE", "5000"),
        ("MAX_CONNECTIONS", "10"),
        ("DRAIN_GRACE", "1000"),
        ("DRAIN_TIMEOUT", "25000"),
        ("PEER_PORT", "8081"),
        ("PEER_HOST", "10.0.0.7"),
        ("SSE_KEEPALIVE_INTERVAL", "5000"),
        ("REQUEST_TIMEOUT", "60000"),
        ("SLOW_AFTER", "500"),
        ("MAX_CALLS_PER_USER", "5"),
        ("SESSION_IDLE_TTL", "60000"),
        ("ALLOWED_DOMAIN", "example.org"),
        ("GOOGLE_CLIENT_ID", "other"),
        ("GOOGLE_ISSUER", "http://localhost:4000"),
        ("GOOGLE_API_BASE_URL", "http://localhost:4000"),
        ("STORE", "dynamodb"),
        ("DATA_DIR", "/var/lib/gateway"),
        ("DYNAMODB_ENDPOINT", "http://localhost:8000"),
        ("SESSIONS_TABLE", "staging-sessions"),
        ("TOKENS_TABLE", "staging-tokens"),
        (
            "SESSION_SECRET_PREVIOUS",
            "b94d27b9934d3e08a52e52d7da7dabfac484efe3",
        ),
        ("KMS_KEY_ARN", KEY),
        ("KMS_ENDPOINT", "http://localhost:5000"),
        ("MASTER_KEY_FILE", "/run/secrets/master.key"),
        ("LOG_LEVEL", "debug"),
        ("LOG_FORMAT", "text"),
        ("TIME_SCALE", "0.5"),
    ];
    // Secrets look the same in `Debug`, and the file is covered on its own.
    let untold = ["GOOGLE_CLIENT_SECRET", "SESSION_SECRET", "CONFIG_FILE"];
    let covered: BTreeSet<_> = changed.iter().map(|(name, _)| *name).chain(untold).collect();
    assert_eq!(covered, env::ALL.iter().map(|known| known.name).collect());
    for (name, value) in changed {
        let with_key = [(name, value), ("KMS_KEY_ARN", KEY)];
        let changes = if name == "STORE" {
            &with_key[..]
        } else {
            &with_key[..1]
        };
        assert_ne!(format!("{:?}", load(changes)), plain, "{name} changes nothing");
    }
    let secret = load(&[("GOOGLE_CLIENT_SECRET", "another")]).google.client_secret;
    assert_eq!(secret.expose_secret(), "another");
    assert_eq!(load(&[]).session_secret.expose_secret(), SECRET);
}

#[test]
fn every_declared_variable_is_read() {
    let env = env_with(&[]);
    let mut reader = Reader::new(&env, file::File::default());
    Config::read(&mut reader).expect("a valid configuration");
    reader.asked.insert(env::CONFIG_FILE.name);
    assert_eq!(reader.asked, env::ALL.iter().map(|known| known.name).collect());
}

#[test]
fn every_required_variable_is_missed_by_name() {
    let errors = Config::load(&BTreeMap::new(), None).expect_err("nothing is set");
    insta::assert_snapshot!(errors);
}

#[test]
fn all_problems_are_reported_at_once() {
    let errors = Config::load(
        &env_with(&[
            ("PUBLIC_URL", "http://mcp.example.com"),
            ("HOST", "localhost"),
            ("PORT", "70000"),
            ("ALLOWED_HOSTS", "mcp.example.com, https://a.example.com"),
            ("ALLOWED_ORIGINS", "https://app.example.com,*"),
            ("KEEP_ALIVE_TIMEOUT", "300000"),
            ("HEADER_TIMEOUT", "10s"),
            ("DRAIN_TIMEOUT", "120000"),
            ("SSE_KEEPALIVE_INTERVAL", "60000"),
            ("ALLOWED_DOMAIN", "@example.com"),
            ("GOOGLE_CLIENT_ID", "two words"),
            ("GOOGLE_CLIENT_SECRET", "canary with spaces"),
            ("GOOGLE_ISSUER", "http://accounts.example.com"),
            ("STORE", "sqlite"),
            ("SESSIONS_TABLE", "no spaces"),
            ("SESSION_SECRET", "canary"),
            (
                "SESSION_SECRET_PREVIOUS",
                "canary-canary-canary-canary-canary-canary-",
            ),
            ("LOG_LEVEL", "verbose"),
            ("LOG_FORMAT", "xml\u{1b}[31m"),
        ]),
        None,
    )
    .expect_err("nineteen problems");
    assert!(!errors.to_string().contains("canary"), "a secret was printed");
    insta::assert_snapshot!(errors);
}

#[test]
fn numbers_are_refused_outside_their_range_and_accepted_on_its_edge() {
    for variable in env::ALL {
        let (Kind::Millis { min, max } | Kind::Number { min, max }) = variable.kind else {
            continue;
        };
        // Out of the way of the checks across fields.
        let name = variable.name;
        let load = |value: &str| {
            let mut env = env_with(&[("SLOW_AFTER", "0"), ("DRAIN_GRACE", "0")]);
            env.insert(name.to_owned(), value.to_owned());
            Config::load(&env, None)
        };
        for good in [min, max] {
            assert!(load(&good.to_string()).is_ok(), "{name}={good}");
        }
        let above = (max + 1).to_string();
        let below = min.checked_sub(1).map_or("-1".to_owned(), |n| n.to_string());
        for bad in [
            above.as_str(),
            &below,
            "ten",
            "1e4",
            "10.5",
            "99999999999999999999999",
        ] {
            let errors = load(bad).expect_err(name);
            assert_eq!(errors.problems.len(), 1);
            let expected = format!("`{name}` must be {}, got `{bad}`", variable.kind);
            assert_eq!(errors.problems[0].message, expected);
        }
    }
}

#[test]
fn the_ranges_keep_the_timeout_ladder_in_order() {
    let range = |variable: &variable::Variable| match variable.kind {
        Kind::Millis { min, max } => (min, max),
        _ => panic!("{} is no duration", variable.name),
    };
    let idle = u64::try_from(timeouts::LOAD_BALANCER_IDLE.as_millis()).expect("fits");
    assert!(range(env::SSE_KEEPALIVE_INTERVAL).1 * 3 < idle);
    assert!(idle < range(env::KEEP_ALIVE_TIMEOUT).0);
    assert!(range(env::HEADER_TIMEOUT).1 < range(env::KEEP_ALIVE_TIMEOUT).0);
    assert!(range(env::DRAIN_TIMEOUT).1 < 120_000);
    assert!(load(&[]).server.drain_grace < load(&[]).server.drain_timeout);
    assert!(range(env::SLOW_AFTER).1 <= range(env::SSE_KEEPALIVE_INTERVAL).1);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    assert_eq!(
        problems(&[("SLOW_AFTER", "5000"), ("REQUEST_TIMEOUT", "5000")]),
        ["`SLOW_AFTER` is `5000`, which is not below `REQUEST_TIMEOUT`, which is `5000`"]
    );
    assert_eq!(
        problems(&[("DRAIN_TIMEOUT", "20000")]),
        ["`DRAIN_GRACE` is `20000`, which is not below `DRAIN_TIMEOUT`, which is `20000`"]
    );
    assert_eq!(
        problems(&[("SESSION_SECRET_PREVIOUS", SECRET)]),
        ["`SESSION_SECRET_PREVIOUS` equals `SESSION_SECRET`"]
    );
    assert_eq!(
        problems(&[("SESSIONS_TABLE", "gateway"), ("TOKENS_TABLE", "gateway")]),
        ["`TOKENS_TABLE` and `SESSIONS_TABLE` are both `gateway`"]
    );
    assert_eq!(
        problems(&[("STORE", "dynamodb")]),
        ["`KMS_KEY_ARN` is not set, and `STORE` is `dynamodb`"]
    );
    assert_eq!(
        problems(&[("STORE", "dynamodb"), ("KMS_KEY_ARN", " ")]),
        ["`KMS_KEY_ARN` is not set, and `STORE` is `dynamodb`"]
    );
}

#[test]
fn the_store_follows_its_engine() {
    let embedded = load(&[("DATA_DIR", "/srv/state")]).store.backend;
    let store::Backend::Embedded {
        data_dir,
        master_key_file,
    } = embedded
    else {
        panic!("{embedded:?}");
    };
    assert_eq!(data_dir.to_str(), Some("/srv/state"));
    assert_eq!(master_key_file.to_str(), Some("/srv/state/master.key"));
    let aws = load(&[("STORE", "DynamoDB"), ("KMS_KEY_ARN", KEY)]).store.backend;
    let store::Backend::DynamoDb { endpoint: None, kms } = aws else {
        panic!("{aws:?}");
    };
    assert_eq!(
        (kms.key.as_str(), kms.key.region(), kms.endpoint),
        (KEY, "eu-west-1", None)
    );
}

#[test]
fn only_the_arn_of_a_key_names_a_kms_key() {
    for good in [
        KEY,
        "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
    ] {
        let config = load(&[("STORE", "dynamodb"), ("KMS_KEY_ARN", good)]);
        assert!(format!("{config:?}").contains(good));
    }
    for bad in [
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "alias/gateway",
        "arn:aws:kms:eu-west-1:123456789012:alias/gateway",
        "arn:aws:kms:eu-west-1:123456789012:key/",
        "arn:aws:kms:eu-west-1:1234:key/1234abcd",
        "arn:aws:kms::123456789012:key/1234abcd",
        "arn:aws:s3:eu-west-1:123456789012:key/1234abcd",
        "arn:aws:kms:eu-west-1:123456789012:key/1234abcd:more",
        "arn:aws:kms:eu-west-1:123456789012:key/12 34",
    ] {
        let message = problems(&[("STORE", "dynamodb"), ("KMS_KEY_ARN", bad)]).concat();
        let expected = "`KMS_KEY_ARN` must be the ARN of a KMS key, `arn:aws:kms:REGION:ACCOUNT:key/ID`";
        assert_eq!(message, format!("{expected}, got `{bad}`"));
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "port = 1111\nlog_level = \"warn\"\nallowed_origins = [\"https://app.example.com\"]";
    let config = Config::load(&env_with(&[("PORT", "2222")]), Some(file)).expect("valid");
    assert_eq!(config.server.port, 2222);
    assert_eq!(config.log_level, "warn");
    assert_eq!(config.server.allowed_origins, ["https://app.example.com"]);
}

#[test]
fn problems_of_the_file_and_of_the_environment_come_together() {
    let file = "prot = 1\nslow_after = \"soon\"";
    let errors = Config::load(&env_with(&[("PORT", "x")]), Some(file)).expect_err("three problems");
    let named: Vec<_> = errors
        .problems
        .iter()
        .map(|problem| problem.variable.as_str())
        .collect();
    assert_eq!(named, ["prot", "PORT", "SLOW_AFTER"]);
}

#[test]
fn an_empty_or_blank_value_counts_as_unset() {
    let config = load(&[("PORT", ""), ("ALLOWED_ORIGINS", " , "), ("LOG_LEVEL", "  ")]);
    assert_eq!(config.server.port, 3000);
    assert_eq!(config.log_level, "info");
    assert!(config.server.allowed_origins.is_empty());
    assert_eq!(
        problems(&[("ALLOWED_DOMAIN", " ")]),
        ["`ALLOWED_DOMAIN` is not set"]
    );
}

#[test]
fn a_value_ends_before_the_line_break_of_its_file() {
    let config = load(&[("GOOGLE_CLIENT_ID", "client\n")]);
    assert_eq!(config.google.client_id, "client");
}

#[test]
fn what_is_set_in_vain_is_warned_about_without_its_value() {
    let config = load(&[
        ("DYNAMODB_ENDPOINT", "http://localhost:8000"),
        ("SESSION_SECRET_OLD", "canary"),
    ]);
    assert_eq!(
        config.warnings,
        ["`DYNAMODB_ENDPOINT` is set, but not read with `STORE=embedded`"]
    );
    let config = load(&[("SSE_KEEPALIVE", "canary")]);
    assert_eq!(
        config.warnings,
        ["`SSE_KEEPALIVE` is not read; did you mean `SSE_KEEPALIVE_INTERVAL`?"]
    );
}

#[test]
fn no_secret_is_in_the_debug_form() {
    let config = load(&[(
        "SESSION_SECRET_PREVIOUS",
        "b94d27b9934d3e08a52e52d7da7dabfac484efe3",
    )]);
    let shown = format!("{config:?}");
    for secret in [SECRET, "canary-google-secret", "b94d27b9934d3e08"] {
        assert!(!shown.contains(secret), "{secret} was printed");
    }
}

#[test]
fn an_unreadable_file_is_the_only_problem_worth_reporting() {
    let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
    let errors = ConfigErrors::unreadable_file("/etc/gateway.toml", &missing);
    insta::assert_snapshot!(errors);
}

#[test]
fn every_effective_timeout_is_listed() {
    insta::assert_json_snapshot!(load(&[("SLOW_AFTER", "1234")]).timeouts());
}

#[test]
fn defaults_are_described_as_sentences() {
    for variable in env::ALL {
        for sentence in [variable.doc, variable.why] {
            assert!(sentence.ends_with('.'), "{}: `{sentence}`", variable.name);
            assert!(!sentence.contains('|'), "{}: breaks the table", variable.name);
        }
        assert!(!(variable.secret && matches!(variable.default, Preset::Value(_))));
    }
}

#[test]
fn the_committed_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/configuration.md");
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of this test, not a setting of the gateway"
    )]
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    if update {
        std::fs::write(path, reference()).expect("the page is written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == reference(),
        "docs/reference/configuration.md is out of date; rewrite it with: UPDATE_DOCS=1 cargo test -p gateway --lib config"
    );
}

#[test]
fn time_scale_shortens_every_duration_after_its_limits_were_checked() {
    let half = load(&[("TIME_SCALE", "0.5")]);
    assert_eq!(half.warnings.len(), 1, "{:?}", half.warnings);
    let designed = load(&[]).timeouts();
    for variable in env::ALL {
        if let Kind::Millis { .. } = variable.kind {
            let name = variable.name;
            assert!(
                designed.iter().any(|rung| rung.name == name),
                "`{name}` is no rung"
            );
        }
    }
    for (rung, before) in half.timeouts().iter().zip(&designed) {
        assert_eq!(rung.ms, before.ms.map(|ms| ms / 2), "{}", rung.name);
    }
    // The kernel counts this one in seconds, and takes no zero.
    let least = load(&[("TIME_SCALE", "0.001")]);
    assert_eq!(least.server.tcp_keepalive, std::time::Duration::from_secs(1));
    assert_eq!(
        problems(&[("TIME_SCALE", "1.5"), ("KEEP_ALIVE_TIMEOUT", "300000")]),
        [
            "`KEEP_ALIVE_TIMEOUT` must be milliseconds from 310000 to 86400000, got `300000`",
            "`TIME_SCALE` must be a number from 0.001 to 1, got `1.5`"
        ]
    );
    assert_eq!(problems(&[("TIME_SCALE", "NaN")]).len(), 1);
}
