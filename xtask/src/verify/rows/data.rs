//! M: tables and key, which nothing can bring back.

use crate::verify::facts::{Unknown, list_at, text};
use crate::verify::row::{Finding, Row, View};

pub(crate) const ROWS: &[Row] = &[
    Row::new("M1", "tables", |view| {
        let wanted = &view.declared.data;
        let expected = format!("ACTIVE, {}, {}", wanted.partition_key, wanted.billing_mode);
        each(
            view,
            "table",
            &expected,
            |table| {
                let keys: Vec<_> = list_at(table, "/Table/KeySchema")
                    .map(|key| text(key, "/AttributeName"))
                    .collect();
                let billing = text(table, "/Table/BillingModeSummary/BillingMode");
                format!(
                    "{}, {}, {billing}",
                    text(table, "/Table/TableStatus"),
                    keys.join(" ")
                )
            },
            |table| {
                format!(
                    "dynamodb update-table --table-name {table} --billing-mode {}",
                    wanted.billing_mode
                )
            },
        )
    }),
    Row::new("M2", "rows expire", |view| {
        let attribute = &view.declared.data.time_to_live_attribute;
        each(
            view,
            "expiry",
            &format!("ENABLED by {attribute}"),
            |expiry| {
                let at = |name: &str| text(expiry, &format!("/TimeToLiveDescription/{name}"));
                // It is so for up to an hour after the table was made.
                let status = at("TimeToLiveStatus").replace("ENABLING", "ENABLED");
                format!("{status} by {}", at("AttributeName"))
            },
            |table| {
                format!(
                    "dynamodb update-time-to-live --table-name {table} \
             --time-to-live-specification Enabled=true,AttributeName={attribute}"
                )
            },
        )
    }),
    Row::new("M3", "tables can be put back to any second", |view| {
        let wanted = &view.declared.data;
        let expected = if wanted.point_in_time_recovery {
            format!("ENABLED for {} days", wanted.point_in_time_recovery_days)
        } else {
            "DISABLED".to_owned()
        };
        each(
            view,
            "backups",
            &expected,
            |backups| {
                let at = |name: &str| {
                    text(
                        backups,
                        &format!("/ContinuousBackupsDescription/PointInTimeRecoveryDescription/{name}"),
                    )
                };
                match &*at("PointInTimeRecoveryStatus") {
                    "ENABLED" => format!("ENABLED for {} days", at("RecoveryPeriodInDays")),
                    other => other.to_owned(),
                }
            },
            |table| {
                format!(
                    "dynamodb update-continuous-backups --table-name {table} --point-in-time-recovery-specification \
             PointInTimeRecoveryEnabled={},RecoveryPeriodInDays={}",
                    wanted.point_in_time_recovery, wanted.point_in_time_recovery_days
                )
            },
        )
    }),
    Row::new("M4", "tables are protected from deletion", |view| {
        let wanted = view.declared.data.deletion_protection;
        each(
            view,
            "table",
            &wanted.to_string(),
            |table| text(table, "/Table/DeletionProtectionEnabled"),
            |table| {
                let option = if wanted { "" } else { "no-" };
                format!("dynamodb update-table --table-name {table} --{option}deletion-protection-enabled")
            },
        )
    }),
    Row::new("M5", "tables are encrypted with our key", |view| {
        let key = view.text("key", "/KeyMetadata/Arn")?;
        let kind = &view.declared.data.encryption;
        each(
            view,
            "table",
            &format!("{kind} {key}"),
            |table| {
                let at = |name: &str| text(table, &format!("/Table/SSEDescription/{name}"));
                format!("{} {}", at("SSEType"), at("KMSMasterKeyArn"))
            },
            |table| {
                format!(
                    "dynamodb update-table --table-name {table} \
             --sse-specification Enabled=true,SSEType={kind},KMSMasterKeyId={key}"
                )
            },
        )
    }),
    Row::new("M6", "the key is enabled, stays and turns over", |view| {
        let wanted = &view.declared.data;
        let state = view.text("key", "/KeyMetadata/KeyState")?;
        let rotation = view.text("key rotation", "/KeyRotationEnabled")?;
        let key = view.text("key", "/KeyMetadata/KeyId")?;
        let expected = format!("Enabled, rotation {}", wanted.key_rotation);
        let finding = Finding::same(expected, format!("{state}, rotation {rotation}"));
        Ok(finding.aws(match &*state {
            "PendingDeletion" => {
                format!("kms cancel-key-deletion --key-id {key}\nkms enable-key --key-id {key}")
            }
            "Enabled" => format!("kms enable-key-rotation --key-id {key}"),
            _ => format!("kms enable-key --key-id {key}"),
        }))
    }),
];

/// Says the same of every table; the command is for the first that differs.
fn each(
    view: &View<'_>,
    fact: &str,
    expected: &str,
    said: impl Fn(&serde_json::Value) -> String,
    fix: impl Fn(&str) -> String,
) -> Result<Finding, Unknown> {
    let mut off = Vec::new();
    let mut fixes = Vec::new();
    for table in &view.declared.data.tables {
        let actual = said(view.fact(&format!("{fact}/{table}"))?);
        if actual != expected {
            off.push(format!("{table}: {actual}"));
            fixes.push(fix(table));
        }
    }
    let actual = if off.is_empty() {
        expected.to_owned()
    } else {
        off.join(", ")
    };
    Ok(Finding::said(off.is_empty(), expected, actual).aws(fixes.join("\n")))
}
