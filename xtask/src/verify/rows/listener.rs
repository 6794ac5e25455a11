//! I: what answers on the two ports, and with which certificate.

use serde_json::Value;

use crate::verify::facts::{Unknown, list_at, seconds, text};
use crate::verify::row::{Finding, Row, View};

const DAY: f64 = 86_400.0;

pub(crate) const ROWS: &[Row] = &[
    Row::new("I1", "HTTPS and its policy", |view| {
        let wanted = &view.declared.listener;
        let expected = format!("HTTPS {} {}", wanted.https_port, wanted.ssl_policy);
        let (listener, actual) = match on_port(view, wanted.https_port)? {
            None => (String::new(), format!("nobody listens on {}", wanted.https_port)),
            Some(live) => (
                text(live, "/ListenerArn"),
                format!(
                    "{} {} {}",
                    text(live, "/Protocol"),
                    text(live, "/Port"),
                    text(live, "/SslPolicy")
                ),
            ),
        };
        let finding = Finding::same(expected, actual);
        Ok(if listener.is_empty() {
            finding.aws(create(view, wanted.https_port)?)
        } else {
            finding.aws(format!(
                "elbv2 modify-listener --listener-arn {listener} --protocol HTTPS --port {} --ssl-policy {}",
                wanted.https_port, wanted.ssl_policy
            ))
        })
    }),
    Row::new("I2", "certificate of the listener", |view| {
        let wanted = view.output("certificate_arn")?;
        let live = https(view)?;
        let listener = text(live, "/ListenerArn");
        Ok(
            Finding::same(&wanted, text(live, "/Certificates/0/CertificateArn")).aws(format!(
                "elbv2 modify-listener --listener-arn {listener} --certificates CertificateArn={wanted}"
            )),
        )
    }),
    Row::new("I3", "the certificate is good, and for this host", certificate),
    Row::new("I4", "HTTP redirects", |view| {
        let wanted = &view.declared.listener;
        let expected = format!("{} to HTTPS {}", wanted.redirect_status, wanted.https_port);
        let Some(live) = on_port(view, wanted.http_port)? else {
            return Ok(
                Finding::said(false, expected, format!("nobody listens on {}", wanted.http_port))
                    .aws(create(view, wanted.http_port)?),
            );
        };
        let at = |name: &str| text(live, &format!("/DefaultActions/0/RedirectConfig/{name}"));
        let actual = format!("{} to {} {}", at("StatusCode"), at("Protocol"), at("Port"));
        Ok(Finding::same(expected, actual).aws(format!(
            "elbv2 modify-listener --listener-arn {} --default-actions '{}'",
            text(live, "/ListenerArn"),
            redirect(wanted.https_port, &wanted.redirect_status)
        )))
    }),
    Row::new("I5", "which hosts are served", |view| {
        let wanted = &view.declared.listener;
        let group = view.output("target_group_arn")?;
        let rules: Vec<_> = list_at(view.fact("rules")?, "/Rules")
            .filter(|rule| text(rule, "/Priority") != "default")
            .collect();
        let actual: Vec<_> = rules.iter().map(|rule| said(rule)).collect();
        let expected = format!(
            "{}: {} to {group}",
            wanted.rule_priority,
            wanted.rule_hosts.join(" ")
        );
        let finding = Finding::same(expected, actual.join(", "));
        Ok(match rules.first() {
            Some(rule) => finding.aws(format!(
                "elbv2 modify-rule --rule-arn {} --conditions Field=host-header,Values={} \
                 --actions Type=forward,TargetGroupArn={group}",
                text(rule, "/RuleArn"),
                wanted.rule_hosts.join(",")
            )),
            None => finding.aws(format!(
                "elbv2 create-rule --listener-arn {} --priority {} --conditions Field=host-header,Values={} \
                 --actions Type=forward,TargetGroupArn={group}",
                text(https(view)?, "/ListenerArn"),
                wanted.rule_priority,
                wanted.rule_hosts.join(",")
            )),
        })
    }),
    Row::new("I6", "answer to any other host", |view| {
        let wanted = &view.declared.listener.default_status;
        let live = https(view)?;
        let actual = text(live, "/DefaultActions/0/FixedResponseConfig/StatusCode");
        Ok(Finding::same(wanted, actual).aws(format!(
            "elbv2 modify-listener --listener-arn {} --default-actions \
             'Type=fixed-response,FixedResponseConfig={{StatusCode={wanted}}}'",
            text(live, "/ListenerArn")
        )))
    }),
];

fn on_port<'a>(view: &View<'a>, port: u64) -> Result<Option<&'a Value>, Unknown> {
    let port = port.to_string();
    Ok(list_at(view.fact("listeners")?, "/Listeners").find(|listener| text(listener, "/Port") == port))
}

/// The listener that rows besides I1 are about; I1 says when there is none.
fn https<'a>(view: &View<'a>) -> Result<&'a Value, Unknown> {
    let port = view.declared.listener.https_port;
    on_port(view, port)?.ok_or_else(|| Unknown {
        reason: format!("nobody listens on {port}"),
        hint: "see I1".to_owned(),
    })
}

fn redirect(port: u64, status: &str) -> String {
    format!("Type=redirect,RedirectConfig={{Protocol=HTTPS,Port={port},StatusCode={status}}}")
}

fn create(view: &View<'_>, port: u64) -> Result<String, Unknown> {
    let wanted = &view.declared.listener;
    let arn = view.output("load_balancer_arn")?;
    let create = format!("elbv2 create-listener --load-balancer-arn {arn} --port {port}");
    Ok(if port == wanted.https_port {
        format!(
            "{create} --protocol HTTPS --ssl-policy {} --certificates CertificateArn={} --default-actions \
             'Type=fixed-response,FixedResponseConfig={{StatusCode={}}}'",
            wanted.ssl_policy,
            view.output("certificate_arn")?,
            wanted.default_status
        )
    } else {
        let action = redirect(wanted.https_port, &wanted.redirect_status);
        format!("{create} --protocol HTTP --default-actions '{action}'")
    })
}

fn certificate(view: &View<'_>) -> Result<Finding, Unknown> {
    let wanted = &view.declared.listener;
    let certificate = view.fact("certificate")?;
    let status = text(certificate, "/Certificate/Status");
    let names: Vec<_> = list_at(certificate, "/Certificate/SubjectAlternativeNames")
        .map(|name| text(name, ""))
        .chain([text(certificate, "/Certificate/DomainName")])
        .collect();
    let covers = names.iter().any(|name| covers(name, &wanted.certificate_host));
    let ends = certificate
        .pointer("/Certificate/NotAfter")
        .and_then(seconds)
        .unwrap_or(view.now);
    let days = ((ends - view.now) / DAY).floor();
    let expected = format!(
        "ISSUED for {}, {} days or more",
        wanted.certificate_host, wanted.certificate_min_days
    );
    let mut shown: Vec<String> = Vec::new();
    for name in names {
        if !name.is_empty() && !shown.contains(&name) {
            shown.push(name);
        }
    }
    let holds = status == "ISSUED" && covers && days >= f64::from(wanted.certificate_min_days);
    let arn = view.output("certificate_arn")?;
    Ok(Finding::said(holds, expected, format!("{status} for {}, {days} days", shown.join(" "))).aws(format!(
        "acm describe-certificate --certificate-arn {arn} --query 'Certificate.[Status,DomainValidationOptions,RenewalSummary]'"
    )))
}

/// Whether a name of a certificate is good for `host`. A star stands for one label.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(host),
        Some(rest) => host
            .split_once('.')
            .is_some_and(|(label, parent)| !label.is_empty() && parent.eq_ignore_ascii_case(rest)),
    }
}

fn said(rule: &Value) -> String {
    let hosts: Vec<_> = list_at(rule, "/Conditions")
        .flat_map(|condition| {
            let values = list_at(condition, "/HostHeaderConfig/Values");
            let plain = condition.pointer("/HostHeaderConfig").is_none();
            values.chain(list_at(condition, "/Values").filter(move |_| plain))
        })
        .map(|host| text(host, ""))
        .collect();
    format!(
        "{}: {} to {}",
        text(rule, "/Priority"),
        hosts.join(" "),
        text(rule, "/Actions/0/TargetGroupArn")
    )
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_star_stands_for_one_label() {
        let rows = [
            ("mcp.example.com", "mcp.example.com", true),
            ("MCP.example.com", "mcp.example.com", true),
            ("*.example.com", "mcp.example.com", true),
            ("*.example.com", "a.mcp.example.com", false),
            ("*.example.com", "example.com", false),
            ("example.com", "mcp.example.com", false),
            ("", "mcp.example.com", false),
        ];
        for (name, host, expected) in rows {
            assert_eq!(covers(name, host), expected, "{name} for {host}");
        }
    }
}
