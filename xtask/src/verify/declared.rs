//! `declared.json`, which the infrastructure's synth writes: what the account is compared with.
//!
//! `infra/lib/declared.ts` says what each field means. Fields that no assertion reads are left out here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use crate::problem::Problem;

/// The one version of the file that is understood.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Declared {
    pub(crate) environment: String,
    pub(crate) account: Account,
    pub(crate) service: Service,
    pub(crate) tasks: Tasks,
    pub(crate) task_definition: TaskDefinition,
    pub(crate) registry: Registry,
    pub(crate) secrets: Secrets,
    pub(crate) load_balancer: LoadBalancer,
    pub(crate) listener: Listener,
    pub(crate) target_group: TargetGroup,
    pub(crate) network: Network,
    pub(crate) scaling: Scaling,
    pub(crate) signals: Signals,
    pub(crate) data: Data,
    pub(crate) live: Live,
    pub(crate) parameters: Parameters,
    pub(crate) outputs: BTreeMap<String, Output>,
}

/// Group A.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: Option<String>,
    pub(crate) region: String,
    pub(crate) stacks: Vec<Stack>,
}

/// One stack, in the order of deployment.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stack {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) termination_protection: bool,
}

/// Groups B and C.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Service {
    pub(crate) cluster: String,
    pub(crate) name: String,
    pub(crate) min_tasks: u64,
    pub(crate) minimum_healthy_percent: u64,
    pub(crate) maximum_percent: u64,
    pub(crate) circuit_breaker: CircuitBreaker,
    pub(crate) deployment_alarms: Vec<String>,
    pub(crate) strategy: String,
    pub(crate) health_check_grace_period_seconds: u64,
    pub(crate) availability_zone_rebalancing: String,
    pub(crate) enable_execute_command: bool,
    pub(crate) assign_public_ip: String,
    pub(crate) container_name: String,
    pub(crate) container_port: u64,
    pub(crate) deployment_controller: String,
}

/// B6.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CircuitBreaker {
    pub(crate) enable: bool,
    pub(crate) rollback: bool,
    pub(crate) threshold_type: String,
    pub(crate) threshold_value: u64,
    pub(crate) reset_on_healthy_task: bool,
}

/// Group D.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tasks {
    pub(crate) distinct_zones_min: u64,
}

/// Group E.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TaskDefinition {
    pub(crate) family: String,
    pub(crate) cpu: String,
    pub(crate) memory: String,
    pub(crate) stop_timeout_seconds: u64,
    pub(crate) readonly_root_filesystem: bool,
    pub(crate) user: String,
    pub(crate) privileged: bool,
    pub(crate) dropped_capabilities: Vec<String>,
    pub(crate) entry_point: Vec<String>,
    pub(crate) command: Vec<String>,
    pub(crate) health_check: HealthCheck,
    pub(crate) log_group: String,
    pub(crate) log_mode: String,
    pub(crate) environment: BTreeMap<String, Option<String>>,
    pub(crate) secrets: Vec<SecretReference>,
    pub(crate) cpu_architecture: String,
    pub(crate) task_role: String,
    pub(crate) execution_role: String,
    pub(crate) open_files: u64,
}

/// E12.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct HealthCheck {
    pub(crate) command: Vec<String>,
    pub(crate) interval_seconds: u64,
    pub(crate) timeout_seconds: u64,
    pub(crate) retries: u64,
    pub(crate) start_period_seconds: u64,
}

/// A setting that is a reference to a secret.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SecretReference {
    pub(crate) setting: String,
    pub(crate) secret: String,
}

/// Group F.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Registry {
    pub(crate) repository: String,
    pub(crate) tag_mutability: String,
    pub(crate) scan_on_push: bool,
    pub(crate) untagged_expiry_days: u64,
}

/// Group G.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) names: Vec<String>,
    pub(crate) deploy_role: Option<String>,
}

/// Group H.
#[expect(
    clippy::struct_excessive_bools,
    reason = "as many switches as a load balancer has"
)]
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LoadBalancer {
    pub(crate) name: String,
    pub(crate) scheme: String,
    pub(crate) availability_zones: Vec<String>,
    pub(crate) idle_timeout_seconds: u64,
    pub(crate) client_keep_alive_seconds: u64,
    pub(crate) http2: bool,
    pub(crate) drop_invalid_header_fields: bool,
    pub(crate) desync_mitigation_mode: String,
    pub(crate) deletion_protection: bool,
    pub(crate) access_logs: bool,
    pub(crate) firewall: Option<String>,
}

/// Group I.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Listener {
    pub(crate) https_port: u64,
    pub(crate) ssl_policy: String,
    pub(crate) certificate_host: String,
    pub(crate) certificate_min_days: u32,
    pub(crate) http_port: u64,
    pub(crate) redirect_status: String,
    pub(crate) default_status: String,
    pub(crate) rule_priority: u64,
    pub(crate) rule_hosts: Vec<String>,
}

/// Group J.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TargetGroup {
    pub(crate) target_type: String,
    pub(crate) protocol: String,
    pub(crate) protocol_version: String,
    pub(crate) port: u64,
    pub(crate) health_path: String,
    pub(crate) health_interval_seconds: u64,
    pub(crate) health_timeout_seconds: u64,
    pub(crate) healthy_threshold: u64,
    pub(crate) unhealthy_threshold: u64,
    pub(crate) health_matcher: String,
    pub(crate) stickiness: bool,
    pub(crate) stickiness_type: String,
    pub(crate) stickiness_seconds: u64,
    pub(crate) deregistration_delay_seconds: u64,
    pub(crate) slow_start_seconds: u64,
    pub(crate) algorithm: String,
}

/// K1.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Network {
    pub(crate) ingress_cidrs: Vec<String>,
    pub(crate) ingress_ports: Vec<u64>,
    pub(crate) task_port: u64,
    pub(crate) peer_port: u64,
}

/// K2.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Scaling {
    pub(crate) min_tasks: u64,
    pub(crate) max_tasks: u64,
}

/// K3 and K5.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Signals {
    pub(crate) alarms: Vec<String>,
    pub(crate) log_retention_days: u64,
}

/// Group M.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Data {
    pub(crate) tables: Vec<String>,
    pub(crate) partition_key: String,
    pub(crate) billing_mode: String,
    pub(crate) time_to_live_attribute: String,
    pub(crate) point_in_time_recovery: bool,
    pub(crate) point_in_time_recovery_days: u64,
    pub(crate) deletion_protection: bool,
    pub(crate) encryption: String,
    pub(crate) key_alias: String,
    pub(crate) key_rotation: bool,
}

/// Group L.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Live {
    pub(crate) url: String,
    pub(crate) host: String,
    pub(crate) mcp_paths: Vec<String>,
    pub(crate) health_path: String,
    pub(crate) stream_comment_seconds: u64,
    pub(crate) stream_open_seconds_min: u64,
    pub(crate) connection_idle_seconds: Vec<u64>,
    pub(crate) call_seconds_max: u64,
}

/// Names in the parameter store.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) prefix: String,
    pub(crate) image_digest: String,
}

/// Where a value is that only the account knows.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Output {
    pub(crate) stack: String,
    pub(crate) key: String,
}

impl Declared {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let json = fs::read_to_string(path).map_err(|error| {
            Problem::new(
                format!("`{}` cannot be read: {error}", path.display()),
                "leave `--declared` out: then it is made from `infra/config` of this checkout",
            )
        })?;
        Self::parse(&json).with_context(|| format!("`{}` is not understood", path.display()))
    }

    /// Reads `json`, whose version comes first: another version may mean something else by every field.
    pub(crate) fn parse(json: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_str(json)?;
        if version != VERSION {
            let hint = "check out the commit that was deployed, and verify from there";
            return Err(Problem::new(format!("its version is `{version}`, not `{VERSION}`"), hint).into());
        }
        Ok(serde_json::from_str(json)?)
    }
}
