//! The one place that reads the environment: every variable is declared here once.
//!
//! The reference page, the checks and the messages are all made from these declarations.

use std::collections::BTreeMap;

use super::variable::{Default, Kind, Section, Variable};
use super::{Config, ConfigErrors};

/// Declares each variable as a constant and lists them all in [`ALL`].
macro_rules! variables {
    ($(#[doc = $doc:literal] $name:ident {
        $section:ident, $kind:expr, $default:expr, $why:literal $(, secret: $secret:literal)?
    })+) => {
        $(
            #[doc = $doc]
            pub const $name: &Variable = &Variable {
                name: stringify!($name),
                section: Section::$section,
                doc: $doc.trim_ascii(),
                kind: $kind,
                default: $default,
                why: $why,
                secret: false $(|| $secret)?,
            };
        )+

        /// Every variable, in the order of the reference.
        pub const ALL: &[&Variable] = &[$($name),+];
    };
}

const HTTP_LOOPBACK: Kind = Kind::Text("an https URL, or an http one on a loopback host");
const SECRET: Kind = Kind::Text("at least 32 characters of randomness");
const TABLE: Kind = Kind::Text("3 to 255 of the characters `a-z A-Z 0-9 _ . -`");

variables! {
    /// The origin that users paste into their client and that tokens name as issuer.
    PUBLIC_URL { Server, Kind::Text("an https origin, or an http one on a loopback host"), Default::Required,
        "MCP clients refuse an http issuer and compare the issuer byte by byte, so it has no path." }
    /// The address to listen on.
    HOST { Server, Kind::Text("an IP address"), Default::Value("127.0.0.1"),
        "Nothing but this machine reaches a gateway that was started by hand; a container sets `0.0.0.0`." }
    /// The port to listen on.
    PORT { Server, Kind::Number { min: 0, max: 65_535 }, Default::Value("3000"),
        "`0` picks a free one." }
    /// Further `Host` values that are served besides the one of `PUBLIC_URL`, separated by commas.
    ALLOWED_HOSTS { Server, Kind::Text("a list of `host` or `host:port`"), Default::Described("none"),
        "Any other `Host` is refused, which stops DNS rebinding." }
    /// Browser origins that may call, separated by commas; `https://*.example.com` stands for every subdomain.
    ALLOWED_ORIGINS { Server, Kind::Text("a list of origins or of `https://*.example.com` patterns"),
        Default::Described("none"),
        "Requests without an `Origin`, which is what desktop clients send, need no entry; `*` is refused." }
    /// How long an idle connection is kept open.
    KEEP_ALIVE_TIMEOUT { Server, Kind::Millis { min: 310_000, max: 86_400_000 }, Default::Value("350000"),
        "Longer than the load balancer's idle timeout of 300 s, else it reuses a dying connection and answers 502." }
    /// How long the headers of a request may take to arrive.
    HEADER_TIMEOUT { Server, Kind::Millis { min: 1_000, max: 60_000 }, Default::Value("10000"),
        "Slow headers must not hold connections." }
    /// How long a connection is silent before the kernel probes it.
    TCP_KEEPALIVE { Server, Kind::Millis { min: 1_000, max: 60_000 }, Default::Value("10000"),
        "A peer that vanished is noticed even when nothing is written." }
    /// How many connections may be open; further ones are answered 503 with `Retry-After`.
    MAX_CONNECTIONS { Server, Kind::Number { min: 1, max: 1_000_000 }, Default::Value("25000"),
        "Above the 10000 streams a task is sized for, and a bound on its memory." }
    /// How long requests are served after SIGTERM before the listener closes; SIGINT does not wait.
    DRAIN_GRACE { Server, Kind::Millis { min: 0, max: 60_000 }, Default::Value("20000"),
        "A load balancer may learn of the stop after the task, and sends requests until then." }
    /// How long a stop may take before what is left is cut.
    DRAIN_TIMEOUT { Server, Kind::Millis { min: 1_000, max: 119_000 }, Default::Value("110000"),
        "Below the 120 s after which ECS kills the task." }

    /// The private port, on which tasks of one deployment talk to each other.
    PEER_PORT { Server, Kind::Number { min: 0, max: 65_535 }, Default::Value("3001"),
        "Listens with `STORE=dynamodb` only, at `HOST`; nothing but the tasks themselves may reach it." }
    /// The address at which other tasks reach this one.
    PEER_HOST { Server, Kind::Text("an IP address"),
        Default::Described("`HOST`, or the address of the default route where `HOST` is every interface"),
        "Told to the other tasks through the store." }

    /// How often a comment is written to every open stream.
    SSE_KEEPALIVE_INTERVAL { Calls, Kind::Millis { min: 1_000, max: 30_000 }, Default::Value("15000"),
        "A quarter or less of every idle timeout on the path, the shortest being 60 s." }
    /// How long one call may take; streams have no limit.
    REQUEST_TIMEOUT { Calls, Kind::Millis { min: 1_000, max: 3_600_000 }, Default::Value("300000"),
        "A stuck call ends with an error instead of holding its client." }
    /// How long a call of a session may stay silent before its answer turns into an event stream.
    SLOW_AFTER { Calls, Kind::Millis { min: 0, max: 30_000 }, Default::Value("2000"),
        "Below `REQUEST_TIMEOUT`; most calls are faster and are answered as plain JSON." }
    /// How many calls of one person may be at work at once; a further one is told to call again later.
    MAX_CALLS_PER_USER { Calls, Kind::Number { min: 1, max: 10_000 }, Default::Value("64"),
        "Counted by each task; more than any client has at once, and a bound on what one person takes from others." }
    /// How long the record of an unused session is kept.
    SESSION_IDLE_TTL { Calls, Kind::Millis { min: 1_000, max: 2_592_000_000 }, Default::Value("1800000"),
        "A client that comes back later is still served: its session id carries what is needed." }

    /// The Workspace domain whose people may log in.
    ALLOWED_DOMAIN { Google, Kind::Text("a domain such as `example.com`"), Default::Required,
        "Must equal the `hd` claim of the ID token; without it any Google account could log in." }
    /// The OAuth client of this gateway at Google.
    GOOGLE_CLIENT_ID { Google, Kind::Text("a client id without spaces"), Default::Required,
        "Its redirect URI is `PUBLIC_URL` followed by `/auth/callback`." }
    /// The secret of that client.
    GOOGLE_CLIENT_SECRET { Google, Kind::Text("a client secret without spaces"), Default::Required,
        "Issued by Google together with the id.", secret: true }
    /// The OpenID issuer that people log in with.
    GOOGLE_ISSUER { Google, HTTP_LOOPBACK, Default::Value("https://accounts.google.com"),
        "Differs only where an emulator plays Google." }
    /// One base URL for all Google APIs.
    GOOGLE_API_BASE_URL { Google, HTTP_LOOPBACK, Default::Described("Google's own hosts"),
        "Set only where an emulator plays Google." }

    /// The engine that keeps state: one inside this process, or Amazon DynamoDB.
    STORE { Store, Kind::OneOf(&["embedded", "dynamodb"]), Default::Value("embedded"),
        "Both run the same code; `embedded` serves a single task." }
    /// The directory of the embedded engine's file.
    DATA_DIR { Store, Kind::Text("a path"), Default::Value("./data"),
        "Read with `STORE=embedded` only." }
    /// An endpoint that speaks the DynamoDB API.
    DYNAMODB_ENDPOINT { Store, Kind::Text("an http or https URL"), Default::Described("that of the AWS region"),
        "Read with `STORE=dynamodb` only; region and credentials come from the AWS SDK's own variables." }
    /// An endpoint that speaks the KMS API.
    KMS_ENDPOINT { Store, Kind::Text("an http or https URL"), Default::Described("that of the key's AWS region"),
        "Read with `STORE=dynamodb` only; differs only where an emulator plays KMS." }
    /// The table of sessions and of what expires with them.
    SESSIONS_TABLE { Store, TABLE, Default::Value("mcp-gateway-sessions"),
        "Environments that share an AWS account need names of their own." }
    /// The table of clients, grants and encrypted credentials.
    TOKENS_TABLE { Store, TABLE, Default::Value("mcp-gateway-tokens"),
        "Apart from the sessions, so that access to it can be granted apart." }

    /// Every symmetric key of the gateway is derived from this secret.
    SESSION_SECRET { Keys, SECRET, Default::Required,
        "All tasks share it; make one with `openssl rand -base64 48`.", secret: true }
    /// The secret before the current one, which still opens and verifies what it sealed and signed.
    SESSION_SECRET_PREVIOUS { Keys, SECRET, Default::Described("none"),
        "Set during a rotation, so that nobody has to log in again.", secret: true }
    /// The KMS key that encrypts credentials at rest.
    KMS_KEY_ARN { Keys, Kind::Text("the ARN of a KMS key, `arn:aws:kms:REGION:ACCOUNT:key/ID`"),
        Default::Described("required with `STORE=dynamodb`"),
        "All tasks share it; records that another key encrypted still open as long as the task may use that key." }
    /// The local key file that encrypts credentials at rest.
    MASTER_KEY_FILE { Keys, Kind::Text("a path"), Default::Described("`master.key` in `DATA_DIR`"),
        "Read with `STORE=embedded` only; made with mode 0600 when missing." }

    /// The least important log lines that are written.
    LOG_LEVEL { Process, Kind::OneOf(&["error", "warn", "info", "debug", "trace"]), Default::Value("info"),
        "Libraries log warnings only, and `info` with `debug` and `trace`: below that they quote requests and headers." }
    /// How log lines look: one JSON object each, or text for people.
    LOG_FORMAT { Process, Kind::OneOf(&["json", "text"]), Default::Value("json"),
        "Both write one line per event to standard output." }
    /// What every interval and timeout is multiplied by, after its limits were checked.
    TIME_SCALE { Process, Kind::Text("a number from 0.001 to 1"), Default::Value("1"),
        "Plays hours in minutes against a load balancer shortened alike; a release build has no such knob." }
    /// A TOML file with the same settings, keys in lower case.
    CONFIG_FILE { Process, Kind::Text("a path"), Default::Described("none"),
        "The environment wins over the file." }
}

/// Reads the configuration from the environment of this process and from the file it names.
pub fn load() -> Result<Config, ConfigErrors> {
    let env: BTreeMap<String, String> = std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .collect();
    let path = env
        .get(CONFIG_FILE.name)
        .map(|path| path.trim())
        .filter(|path| !path.is_empty());
    let Some(path) = path else {
        return Config::load(&env, None);
    };
    match std::fs::read_to_string(path) {
        Ok(text) => Config::load(&env, Some(&text)),
        // What the file would have said is unknown, so nothing else is worth reporting.
        Err(error) => Err(ConfigErrors::unreadable_file(path, &error)),
    }
}
