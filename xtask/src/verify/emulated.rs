//! What cannot be looked at where ministack plays AWS, because it does not keep it or does not have it.
//!
//! `infra/emulate/gaps.ts` says how each is verified instead.

/// The assertions that are left out, and why.
pub(crate) const LEFT_OUT: [(&str, &str); 17] = [
    (
        "A6",
        "templates are deployed without what it refuses, and with its own addresses",
    ),
    ("B6", "the threshold of the circuit breaker is not kept"),
    ("B9", "the health check grace period is always 0"),
    ("B10", "rebalancing over zones is not kept"),
    ("C1", "deployments are not listed"),
    ("C2", "deployments are not listed"),
    ("C3", "deployments are not listed"),
    ("D4", "every task is in the first zone"),
    (
        "D5",
        "CloudFormation starts the first tasks without their secrets, and they end",
    ),
    ("D7", "the protection of tasks is not kept"),
    ("F5", "images are not scanned"),
    ("F7", "what refers to an image is not listed"),
    ("H1", "every zone is the first"),
    ("J1", "the version of the protocol is not kept"),
    ("J7", "tasks do not say their addresses"),
    ("K3", "there is no application auto scaling"),
    ("M3", "how far back a table can be restored is not kept"),
];
