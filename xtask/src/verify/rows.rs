//! Every assertion, group by group. A group is a letter, as in the runbooks and in `infra/lib/declared.ts`.

mod account;
mod data;
mod images;
mod listener;
mod live;
mod load_balancer;
mod network;
mod release;
mod service;
mod target_group;
mod task_definition;
mod tasks;

pub(crate) use self::live::TOOLS;
use super::row::Row;

/// A group of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The letter with which the ids of its rows begin.
    pub(crate) letter: char,
    /// What its rows are about.
    pub(crate) title: &'static str,
    /// The rows.
    pub(crate) rows: &'static [Row],
}

/// What says nothing about a release that is on its way, and is not held against it: other releases, and how the tasks
/// of those before it ended.
pub(crate) const BESIDE_A_RELEASE: [&str; 4] = ["A6", "D6", "E10", "F2"];

/// All groups in the order of their letters.
pub(crate) const GROUPS: &[Group] = &[
    Group {
        letter: 'A',
        title: "account and stacks",
        rows: account::ROWS,
    },
    Group {
        letter: 'B',
        title: "service",
        rows: service::ROWS,
    },
    Group {
        letter: 'C',
        title: "deployment",
        rows: service::DEPLOYMENT,
    },
    Group {
        letter: 'D',
        title: "tasks",
        rows: tasks::ROWS,
    },
    Group {
        letter: 'E',
        title: "task definition",
        rows: task_definition::ROWS,
    },
    Group {
        letter: 'F',
        title: "images",
        rows: images::ROWS,
    },
    Group {
        letter: 'G',
        title: "secrets and roles",
        rows: images::SECRETS,
    },
    Group {
        letter: 'H',
        title: "load balancer",
        rows: load_balancer::ROWS,
    },
    Group {
        letter: 'I',
        title: "listeners and certificate",
        rows: listener::ROWS,
    },
    Group {
        letter: 'J',
        title: "target group",
        rows: target_group::ROWS,
    },
    Group {
        letter: 'K',
        title: "network, scaling, signals",
        rows: network::ROWS,
    },
    Group {
        letter: 'L',
        title: "live",
        rows: live::ROWS,
    },
    Group {
        letter: 'M',
        title: "data",
        rows: data::ROWS,
    },
];
