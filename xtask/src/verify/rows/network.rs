//! K: who reaches whom, how far the service scales, and whether anybody would hear of trouble.

use serde_json::Value;

use crate::release::ledger::Entry;
use crate::verify::facts::{list_at, rings_since, text};
use crate::verify::row::{Finding, Row};

pub(crate) const ROWS: &[Row] = &[
    Row::new("K1", "who reaches the load balancer", |view| {
        let wanted = &view.declared.network;
        let id = view.output("load_balancer_security_group_id")?;
        let expected = wanted
            .ingress_ports
            .iter()
            .flat_map(|port| {
                wanted
                    .ingress_cidrs
                    .iter()
                    .map(move |cidr| format!("{port} from {cidr}"))
            })
            .collect::<Vec<_>>();
        let actual = ingress(view.fact("load balancer security group")?);
        let fix = repair(&id, &expected, &actual);
        Ok(Finding::same_set(expected, actual).aws(fix))
    }),
    Row::new("K2", "who reaches the tasks", |view| {
        let wanted = &view.declared.network;
        let id = view.output("task_security_group_id")?;
        let balancer = view.output("load_balancer_security_group_id")?;
        let expected = vec![
            format!("{} from {balancer}", wanted.task_port),
            format!("{} from {id}", wanted.peer_port),
        ];
        let actual = ingress(view.fact("task security group")?);
        let fix = repair(&id, &expected, &actual);
        Ok(Finding::same_set(expected, actual).aws(fix))
    }),
    Row::new("K3", "how far the service scales", |view| {
        let wanted = &view.declared.scaling;
        let answer = view.fact("scaling")?;
        let at = |name: &str| text(answer, &format!("/ScalableTargets/0/{name}"));
        let suspended: Vec<_> = [
            "DynamicScalingInSuspended",
            "DynamicScalingOutSuspended",
            "ScheduledScalingSuspended",
        ]
        .into_iter()
        .filter(|name| at(&format!("SuspendedState/{name}")) == "true")
        .map(|name| format!(", {name}"))
        .collect();
        let actual = format!(
            "{}-{}{}",
            at("MinCapacity"),
            at("MaxCapacity"),
            suspended.concat()
        );
        let service = &view.declared.service;
        Ok(
            Finding::same(format!("{}-{}", wanted.min_tasks, wanted.max_tasks), actual).aws(format!(
                "application-autoscaling register-scalable-target --service-namespace ecs \
             --scalable-dimension ecs:service:DesiredCount --resource-id service/{}/{} --min-capacity {} \
             --max-capacity {} --suspended-state DynamicScalingInSuspended=false,\
             DynamicScalingOutSuspended=false,ScheduledScalingSuspended=false",
                service.cluster, service.name, wanted.min_tasks, wanted.max_tasks
            )),
        )
    }),
    Row::new("K4", "every alarm is there, and may act", |view| {
        let mut wanted = view.declared.signals.alarms.clone();
        wanted.extend(view.declared.service.deployment_alarms.iter().cloned());
        let answer = view.fact("alarms")?;
        let live = list_at(answer, "/MetricAlarms").chain(list_at(answer, "/CompositeAlarms"));
        let live: Vec<_> = live
            .filter(|alarm| text(alarm, "/ActionsEnabled") != "false")
            .map(|alarm| text(alarm, "/AlarmName"))
            .collect();
        let missing: Vec<_> = wanted
            .iter()
            .filter(|name| !live.contains(name))
            .cloned()
            .collect();
        let holds = missing.is_empty();
        let actual = if holds {
            "all of them".to_owned()
        } else {
            format!("without {}", missing.join(" "))
        };
        Ok(Finding::said(holds, "all of them", actual).aws(format!(
            "cloudwatch enable-alarm-actions --alarm-names {}",
            missing.join(" ")
        )))
    }),
    Row::new("K5", "no alarm rings", |view| {
        let answer = view.fact("alarms")?;
        // What rang before a release began, for which it may well have been made, is not held against it.
        let began = view.digest.and_then(|digest| {
            let ledger = view.facts.ledger().ok()?;
            ledger.meant(Some(digest)).map(Entry::began)
        });
        let is_new = |alarm: &Value| {
            began
                .zip(rings_since(alarm))
                .is_none_or(|(began, since)| since >= began)
        };
        let ringing: Vec<_> = list_at(answer, "/MetricAlarms")
            .chain(list_at(answer, "/CompositeAlarms"))
            .filter(|alarm| text(alarm, "/StateValue") == "ALARM" && is_new(alarm))
            .map(|alarm| text(alarm, "/AlarmName"))
            .collect();
        let actual = if ringing.is_empty() {
            "none".to_owned()
        } else {
            ringing.join(" ")
        };
        Ok(Finding::said(ringing.is_empty(), "none", actual).aws(format!(
            "cloudwatch describe-alarm-history --max-items 5 --alarm-name {}",
            ringing.first().map_or("", String::as_str)
        )))
    }),
    Row::new("K6", "how long logs are kept", |view| {
        let group = &view.declared.task_definition.log_group;
        let days = view.declared.signals.log_retention_days;
        let answer = view.fact("log group")?;
        // The question was for a prefix.
        let live = list_at(answer, "/logGroups").find(|live| text(live, "/logGroupName") == *group);
        let actual = live
            .map(|live| text(live, "/retentionInDays"))
            .unwrap_or_default();
        Ok(Finding::same(days, actual).aws(format!(
            "logs put-retention-policy --log-group-name {group} --retention-in-days {days}"
        )))
    }),
];

/// `port from source` of every rule that lets somebody in.
fn ingress(answer: &Value) -> Vec<String> {
    let mut rules = Vec::new();
    for permission in list_at(answer, "/SecurityGroups/0/IpPermissions") {
        let (from, to) = (text(permission, "/FromPort"), text(permission, "/ToPort"));
        let port = match (&*text(permission, "/IpProtocol"), from == to) {
            ("-1", _) => "everything".to_owned(),
            ("tcp", true) => from,
            ("tcp", false) => format!("{from}-{to}"),
            (protocol, true) => format!("{protocol} {from}"),
            (protocol, false) => format!("{protocol} {from}-{to}"),
        };
        for (list, name) in [
            ("/IpRanges", "/CidrIp"),
            ("/Ipv6Ranges", "/CidrIpv6"),
            ("/UserIdGroupPairs", "/GroupId"),
            ("/PrefixListIds", "/PrefixListId"),
        ] {
            rules.extend(
                list_at(permission, list).map(|source| format!("{port} from {}", text(source, name))),
            );
        }
    }
    rules
}

/// Lets in whoever is missing, and nobody else.
fn repair(id: &str, expected: &[String], actual: &[String]) -> String {
    let command = |verb: &str, rule: &String| {
        let (port, source) = rule.split_once(" from ").unwrap_or((rule, ""));
        let (protocol, port) = match port {
            "everything" => ("-1", "-1"),
            port => port.split_once(' ').unwrap_or(("tcp", port)),
        };
        let command = format!("ec2 {verb}-security-group-ingress --group-id {id}");
        // The short options know IPv4 and groups only.
        let listed = match source {
            source if source.contains(':') => format!("Ipv6Ranges=[{{CidrIpv6={source}}}]"),
            source if source.starts_with("pl-") => format!("PrefixListIds=[{{PrefixListId={source}}}]"),
            source => {
                let option = if source.starts_with("sg-") {
                    "--source-group"
                } else {
                    "--cidr"
                };
                return format!("{command} --protocol {protocol} --port {port} {option} {source}");
            }
        };
        let (from, to) = port
            .split_once('-')
            .filter(|(from, _)| !from.is_empty())
            .unwrap_or((port, port));
        format!("{command} --ip-permissions 'IpProtocol={protocol},FromPort={from},ToPort={to},{listed}'")
    };
    let missing = expected.iter().filter(|rule| !actual.contains(rule));
    let surplus = actual.iter().filter(|rule| !expected.contains(rule));
    missing
        .map(|rule| command("authorize", rule))
        .chain(surplus.map(|rule| command("revoke", rule)))
        .collect::<Vec<_>>()
        .join("\n")
}
