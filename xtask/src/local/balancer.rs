//! The load balancer of the stage: `HAProxy`, configured from what the deployed load balancer says of itself.
//!
//! So a wrong number in the templates, or one changed by hand, does here what it would do in AWS. What is emulated has
//! no data plane with TLS and timeouts of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::api::Api;
use super::{ADDRESS, HOST};
use crate::cluster::attributes::Attributes;
use crate::cluster::haproxy::{self, Places, Runtime, SLOTS};
use crate::cluster::tls::{self, Tls};
use crate::interrupt::Interrupt;
use crate::process::Process;
use crate::ui::{self, Mark};
use crate::{apt, http};

const READY_LIMIT: Duration = Duration::from_secs(10);

/// It, and what it was told.
#[derive(Debug)]
pub(crate) struct Balancer {
    directory: PathBuf,
    program: PathBuf,
    tls: Tls,
    /// The running one, and those that only finish what they have.
    process: Option<Process>,
    leaving: Vec<Process>,
    config: String,
    /// The slot of each target in the rotation.
    targets: BTreeMap<SocketAddr, usize>,
    /// Slots whose target was deregistered, and since when.
    draining: BTreeMap<usize, Instant>,
}

/// What is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Deployed {
    attributes: Attributes,
    places: Places,
    targets: BTreeSet<SocketAddr>,
}

impl Balancer {
    /// None runs yet.
    pub(crate) fn new(directory: &Path, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let log = directory.join("setup.log");
        let names = format!("DNS:{HOST}");
        Ok(Self {
            directory: directory.to_owned(),
            program: apt::program("haproxy", "haproxy", "the load balancer", &log, interrupt)?,
            tls: tls::provide(&directory.join("tls"), &names, &log, interrupt)?,
            process: None,
            leaving: Vec::new(),
            config: String::new(),
            targets: BTreeMap::new(),
            draining: BTreeMap::new(),
        })
    }

    /// What clients trust.
    pub(crate) fn authority(&self) -> &Path {
        &self.tls.authority
    }

    /// Makes it as it is deployed now.
    pub(crate) fn follow(&mut self, api: &mut Api, interrupt: &Interrupt) -> anyhow::Result<()> {
        self.leaving
            .retain_mut(|process| matches!(process.ended(), Ok(None)));
        let Some(deployed) = self.read(api)? else {
            self.process = None;
            self.config.clear();
            self.targets.clear();
            return Ok(());
        };
        let config = haproxy::render(&deployed.attributes, &deployed.places);
        if config != self.config {
            self.restart(&config, &deployed, interrupt)?;
        }
        self.move_targets(&deployed)
    }

    /// The new one takes the ports over; the old one finishes what it has, as an ALB does with a changed attribute.
    fn restart(&mut self, config: &str, deployed: &Deployed, interrupt: &Interrupt) -> anyhow::Result<()> {
        let file = self.directory.join("haproxy.cfg");
        fs::write(&file, config)?;
        let mut command = Command::new(&self.program);
        command.arg("-db").arg("-f").arg(&file);
        let old = self.process.take();
        if let Some(old) = &old {
            command.args(["-sf", &old.id().to_string()]);
        }
        let mut process = Process::start("haproxy", &mut command, &self.directory.join("haproxy.log"))?;
        let runtime = Runtime::at(&deployed.places.socket);
        let id = process.id();
        process.wait_ready(READY_LIMIT, interrupt, || Ok(runtime.is_of(id).then_some(())))?;
        runtime.say(&haproxy::begin(&deployed.attributes))?;
        let idle = deployed.attributes.idle_timeout.as_secs();
        ui::step(
            Mark::Ok,
            format_args!("load balancer at https://{HOST}, idle timeout {idle} s"),
        );
        self.leaving.extend(old);
        self.process = Some(process);
        config.clone_into(&mut self.config);
        self.targets.clear();
        self.draining.clear();
        Ok(())
    }

    fn move_targets(&mut self, deployed: &Deployed) -> anyhow::Result<()> {
        let runtime = Runtime::at(&deployed.places.socket);
        let gone: Vec<_> = self
            .targets
            .keys()
            .filter(|target| !deployed.targets.contains(target))
            .copied()
            .collect();
        for target in gone {
            if let Some(slot) = self.targets.remove(&target) {
                runtime.say(&haproxy::deregister(slot))?;
                self.draining.insert(slot, Instant::now());
                ui::step(Mark::Run, format_args!("{target} leaves the rotation"));
            }
        }
        let delay = deployed.attributes.deregistration_delay;
        let over: Vec<_> = self
            .draining
            .iter()
            .filter(|(_, since)| since.elapsed() >= delay)
            .map(|(slot, _)| *slot)
            .collect();
        for slot in over {
            runtime.say(&haproxy::close_connections(slot))?;
            self.draining.remove(&slot);
        }
        for target in &deployed.targets {
            if self.targets.contains_key(target) || !answers(*target, &deployed.attributes) {
                continue;
            }
            let free = (1..=SLOTS).find(|slot| {
                !self.draining.contains_key(slot) && self.targets.values().all(|taken| taken != slot)
            });
            let slot = free.context("the load balancer has no slot for another target")?;
            // ECS counts a task as healthy when it runs, and stops an old one then: a first good answer has to do.
            runtime.say(&haproxy::register(slot, *target, true))?;
            self.targets.insert(*target, slot);
            ui::step(Mark::Ok, format_args!("{target} joins the rotation"));
        }
        Ok(())
    }

    /// What the emulator says; nothing while no load balancer serves TLS.
    fn read(&self, api: &mut Api) -> anyhow::Result<Option<Deployed>> {
        let mut ask = |operation: &str, parameters: Value| api.ask("elbv2", operation, &parameters);
        let balancers = ask("describe_load_balancers", json!({}))?;
        let Some(balancer) = text(&balancers, "/LoadBalancers/0/LoadBalancerArn") else {
            return Ok(None);
        };
        let of_balancer = json!({ "LoadBalancerArn": balancer });
        let listeners = ask("describe_listeners", of_balancer.clone())?;
        let listener = |protocol: &str| {
            list(&listeners, "/Listeners").find(|one| text(one, "/Protocol").as_deref() == Some(protocol))
        };
        let Some(https) = listener("HTTPS") else {
            return Ok(None);
        };
        let rules = ask(
            "describe_rules",
            json!({ "ListenerArn": https.get("ListenerArn") }),
        )?;
        let Some(rule) = list(&rules, "/Rules")
            .find(|rule| text(rule, "/Conditions/0/Field").as_deref() == Some("host-header"))
        else {
            return Ok(None);
        };
        let group = text(rule, "/Actions/0/TargetGroupArn")
            .or_else(|| text(rule, "/Actions/0/ForwardConfig/TargetGroups/0/TargetGroupArn"));
        let of_group = json!({ "TargetGroupArn": group.context("the rule forwards to nobody")? });
        let attributes = attributes(
            &map(&ask("describe_load_balancer_attributes", of_balancer)?),
            &map(&ask("describe_target_group_attributes", of_group.clone())?),
            &ask(
                "describe_target_groups",
                json!({ "TargetGroupArns": [of_group.get("TargetGroupArn")] }),
            )?,
        )?;
        let mut hosts =
            list(rule, "/Conditions/0/HostHeaderConfig/Values").chain(list(rule, "/Conditions/0/Values"));
        let host = hosts.find_map(Value::as_str).map(str::to_owned);
        let plain = listener("HTTP").and_then(port);
        let listen = |port: u16| -> anyhow::Result<SocketAddr> { Ok(format!("{ADDRESS}:{port}").parse()?) };
        let health = ask("describe_target_health", of_group)?;
        let targets = list(&health, "/TargetHealthDescriptions")
            .filter(|target| text(target, "/TargetHealth/State").as_deref() != Some("draining"));
        Ok(Some(Deployed {
            attributes,
            places: Places {
                listen: listen(port(https).unwrap_or(443))?,
                redirect: plain.map(listen).transpose()?,
                host,
                certificate: self.tls.server.clone(),
                socket: self.directory.join("haproxy.sock"),
            },
            targets: targets.filter_map(address).collect(),
        }))
    }
}

fn answers(target: SocketAddr, attributes: &Attributes) -> bool {
    http::status_at(target, &attributes.health.path).is_ok_and(|status| status == 200)
}

/// The numbers under the names that AWS has for them. One that is missing is an error: a guess would hide it.
fn attributes(
    balancer: &BTreeMap<String, String>,
    group: &BTreeMap<String, String>,
    groups: &Value,
) -> anyhow::Result<Attributes> {
    let seconds = |attributes: &BTreeMap<String, String>, name: &str| -> anyhow::Result<Duration> {
        let value = attributes
            .get(name)
            .with_context(|| format!("there is no attribute `{name}`"))?;
        Ok(Duration::from_secs(value.parse()?))
    };
    let of_group = |name: &str| {
        let value = groups.pointer(&format!("/TargetGroups/0/{name}"));
        value.with_context(|| format!("the target group has no `{name}`"))
    };
    let number = |name: &str| -> anyhow::Result<u64> { of_group(name)?.as_u64().context("is no number") };
    let mut attributes = Attributes::production();
    attributes.idle_timeout = seconds(balancer, "idle_timeout.timeout_seconds")?;
    attributes.deregistration_delay = seconds(group, "deregistration_delay.timeout_seconds")?;
    let sticky = group
        .get("stickiness.enabled")
        .is_some_and(|value| value == "true");
    attributes.stickiness = sticky
        .then(|| seconds(group, "stickiness.lb_cookie.duration_seconds"))
        .transpose()?;
    let health = &mut attributes.health;
    of_group("HealthCheckPath")?
        .as_str()
        .unwrap_or("/")
        .clone_into(&mut health.path);
    health.interval = Duration::from_secs(number("HealthCheckIntervalSeconds")?);
    health.timeout = Duration::from_secs(number("HealthCheckTimeoutSeconds")?);
    health.healthy = u32::try_from(number("HealthyThresholdCount")?)?;
    health.unhealthy = u32::try_from(number("UnhealthyThresholdCount")?)?;
    Ok(attributes)
}

fn map(answer: &Value) -> BTreeMap<String, String> {
    list(answer, "/Attributes")
        .filter_map(|one| Some((text(one, "/Key")?, text(one, "/Value")?)))
        .collect()
}

fn address(target: &Value) -> Option<SocketAddr> {
    let port = port(target.get("Target")?)?;
    // A task that has no address yet is registered under another name.
    Some(SocketAddr::new(text(target, "/Target/Id")?.parse().ok()?, port))
}

fn port(of: &Value) -> Option<u16> {
    u16::try_from(of.get("Port")?.as_u64()?).ok()
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
        rows.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn group() -> Value {
        json!({ "TargetGroups": [{ "HealthCheckPath": "/health", "HealthCheckIntervalSeconds": 15,
            "HealthCheckTimeoutSeconds": 10, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 3 }] })
    }

    #[test]
    fn the_numbers_are_those_that_are_deployed() {
        let balancer = attribute(&[("idle_timeout.timeout_seconds", "60")]);
        let mut of_group = attribute(&[
            ("deregistration_delay.timeout_seconds", "0"),
            ("stickiness.enabled", "true"),
            ("stickiness.lb_cookie.duration_seconds", "3600"),
        ]);
        let read = attributes(&balancer, &of_group, &group()).unwrap();
        assert_eq!(read.idle_timeout, Duration::from_mins(1));
        assert_eq!(read.deregistration_delay, Duration::ZERO);
        assert_eq!(read.stickiness, Some(Duration::from_hours(1)));
        assert_eq!(read.health, Attributes::production().health);
        of_group.insert("stickiness.enabled".to_owned(), "false".to_owned());
        assert_eq!(
            attributes(&balancer, &of_group, &group()).unwrap().stickiness,
            None
        );
    }

    #[test]
    fn what_is_not_said_is_not_guessed() {
        let of_group = attribute(&[("deregistration_delay.timeout_seconds", "300")]);
        let error = attributes(&BTreeMap::new(), &of_group, &group()).unwrap_err();
        assert!(
            error.to_string().contains("`idle_timeout.timeout_seconds`"),
            "{error}"
        );
        let balancer = attribute(&[("idle_timeout.timeout_seconds", "300")]);
        let error = attributes(&balancer, &of_group, &json!({})).unwrap_err();
        assert!(error.to_string().contains("`HealthCheckPath`"), "{error}");
    }

    #[test]
    fn a_target_is_an_address_or_none() {
        let target = |id: &str| json!({ "Target": { "Id": id, "Port": 3000 } });
        assert_eq!(
            address(&target("10.66.0.2")),
            Some("10.66.0.2:3000".parse().unwrap())
        );
        assert_eq!(address(&target("task-1")), None);
        assert_eq!(address(&json!({})), None);
    }
}
