//! H: the load balancer.

use crate::verify::facts::{Unknown, list_at, text};
use crate::verify::row::{Finding, Row, View};

pub(crate) const ROWS: &[Row] = &[
    Row::new("H1", "state, zones and scheme", |view| {
        let wanted = &view.declared.load_balancer;
        let zones = |names: Vec<String>| {
            let mut names = names;
            names.sort();
            names.join(" ")
        };
        let answer = view.fact("load balancer")?;
        let at = |name: &str| text(answer, &format!("/LoadBalancers/0/{name}"));
        let live = list_at(answer, "/LoadBalancers/0/AvailabilityZones").map(|zone| text(zone, "/ZoneName"));
        let expected = format!(
            "active, {}, {}",
            wanted.scheme,
            zones(wanted.availability_zones.clone())
        );
        let actual = format!(
            "{}, {}, {}",
            at("State/Code"),
            at("Scheme"),
            zones(live.collect())
        );
        Ok(Finding::same(expected, actual)
            .aws(format!("elbv2 describe-load-balancers --names {}", wanted.name)))
    }),
    Row::new("H2", "idle timeout", |view| {
        attribute(
            view,
            "idle_timeout.timeout_seconds",
            view.declared.load_balancer.idle_timeout_seconds,
        )
    }),
    Row::new("H3", "longest connection of a client", |view| {
        attribute(
            view,
            "client_keep_alive.seconds",
            view.declared.load_balancer.client_keep_alive_seconds,
        )
    }),
    Row::new("H4", "HTTP/2", |view| {
        attribute(view, "routing.http2.enabled", view.declared.load_balancer.http2)
    }),
    Row::new("H5", "malformed headers are dropped", |view| {
        let wanted = view.declared.load_balancer.drop_invalid_header_fields;
        attribute(view, "routing.http.drop_invalid_header_fields.enabled", wanted)
    }),
    Row::new("H6", "requests that two servers would read differently", |view| {
        let wanted = &view.declared.load_balancer.desync_mitigation_mode;
        attribute(view, "routing.http.desync_mitigation_mode", wanted)
    }),
    Row::new("H7", "protected from deletion", |view| {
        attribute(
            view,
            "deletion_protection.enabled",
            view.declared.load_balancer.deletion_protection,
        )
    }),
    Row::new("H8", "access log", |view| {
        attribute(
            view,
            "access_logs.s3.enabled",
            view.declared.load_balancer.access_logs,
        )
    }),
    Row::new("H9", "firewall", |view| {
        let wanted = view
            .declared
            .load_balancer
            .firewall
            .as_deref()
            .unwrap_or_default();
        let name = view.text("firewall", "/WebACL/Name")?;
        let arn = view.text("load balancer", "/LoadBalancers/0/LoadBalancerArn")?;
        let finding = Finding::same(or_none(wanted), or_none(&name));
        Ok(if wanted.is_empty() {
            finding.aws(format!("wafv2 disassociate-web-acl --resource-arn {arn}"))
        } else {
            finding.aws(format!(
                "wafv2 associate-web-acl --resource-arn {arn} --web-acl-arn \
                 $(aws wafv2 list-web-acls --scope REGIONAL --output text \
                 --query \"WebACLs[?Name=='{wanted}'].ARN\")"
            ))
        })
    }),
];

#[expect(
    clippy::needless_pass_by_value,
    reason = "callers have text, numbers and truth values, and say them alike"
)]
fn attribute(view: &View<'_>, key: &str, wanted: impl ToString) -> Result<Finding, Unknown> {
    let wanted = wanted.to_string();
    let attributes = view.fact("load balancer attributes")?;
    let found = list_at(attributes, "/Attributes").find(|entry| text(entry, "/Key") == key);
    let arn = view.text("load balancer", "/LoadBalancers/0/LoadBalancerArn")?;
    let actual = found.map(|entry| text(entry, "/Value")).unwrap_or_default();
    Ok(Finding::same(&wanted, actual).aws(format!(
        "elbv2 modify-load-balancer-attributes --load-balancer-arn {arn} --attributes Key={key},Value={wanted}"
    )))
}

fn or_none(name: &str) -> &str {
    if name.is_empty() { "none" } else { name }
}
