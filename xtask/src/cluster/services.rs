//! What AWS and Google are to the tasks: a store, a key service and an identity provider, as children.
//!
//! The store is ministack: of the engines that need nothing but Python or Java it answers a thousand requests a second
//! on one core (moto 80, DynamoDB Local 300 and two gigabytes), and the store contract runs on it already. The keys are
//! moto's, because ministack's KMS does not encrypt.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::http::{self, Request};
use crate::interrupt::Interrupt;
use crate::process::Process;
use crate::ui::{self, Mark};
use crate::workspace::Workspace;
use crate::{emulator, ministack, moto};

/// The names of the tables, as in production.
pub(crate) const TABLES: [&str; 2] = ["mcp-gateway-sessions", "mcp-gateway-tokens"];

/// The region that everybody speaks of.
pub(crate) const REGION: &str = "us-east-1";

/// The Workspace domain whose people may log in.
pub(crate) const DOMAIN: &str = "example.com";

/// A service with its address.
#[derive(Debug)]
pub(crate) struct Service {
    /// The running child.
    pub(crate) process: Process,
    /// Where it listens, on loopback.
    pub(crate) port: u16,
}

impl Service {
    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Everything that the tasks share.
#[derive(Debug)]
pub(crate) struct Services {
    /// The DynamoDB API, with both tables.
    pub(crate) store: Service,
    /// The KMS API.
    pub(crate) kms: Service,
    /// The key that encrypts data keys.
    pub(crate) key_arn: String,
    /// The Google emulator.
    pub(crate) google: Service,
    /// What it says about itself.
    pub(crate) accounts: emulator::Ready,
}

impl Services {
    /// Starts all of them at once.
    pub(crate) fn start(
        workspace: &Workspace,
        directory: &Path,
        redirect_uri: &str,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let (store, kms, google) = std::thread::scope(|scope| {
            let store = scope.spawn(|| start_store(workspace, &directory.join("store.log"), interrupt));
            let kms = scope.spawn(|| start_kms(workspace, &directory.join("kms.log"), interrupt));
            let log = directory.join("google.log");
            let google = emulator::start(workspace, redirect_uri, &log, interrupt);
            (store.join(), kms.join(), google)
        });
        let panicked = |_| anyhow::anyhow!("a service's thread panicked");
        let store = store.map_err(panicked)??;
        let (kms, key_arn) = kms.map_err(panicked)??;
        let (process, accounts) = google?;
        let port = accounts.url.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.context("the emulator's URL has no port")?;
        Ok(Self {
            store,
            kms,
            key_arn,
            google: Service { process, port },
            accounts,
        })
    }

    /// What a task has to know about them, with credentials that they take.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let [sessions, tokens] = TABLES;
        let accounts = &self.accounts;
        vec![
            ("STORE", "dynamodb".to_owned()),
            ("DYNAMODB_ENDPOINT", self.store.url()),
            ("SESSIONS_TABLE", sessions.to_owned()),
            ("TOKENS_TABLE", tokens.to_owned()),
            ("KMS_KEY_ARN", self.key_arn.clone()),
            ("KMS_ENDPOINT", self.kms.url()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("GOOGLE_CLIENT_ID", accounts.client_id.clone()),
            ("GOOGLE_CLIENT_SECRET", accounts.client_secret.clone()),
            ("GOOGLE_ISSUER", accounts.url.clone()),
            ("GOOGLE_API_BASE_URL", accounts.url.clone()),
            ("ALLOWED_DOMAIN", DOMAIN.to_owned()),
        ]
    }

    /// Asks all of them to stop, without waiting.
    pub(crate) fn ask_to_stop(&self) {
        for service in [&self.store, &self.kms, &self.google] {
            service.process.ask_to_stop();
        }
    }

    /// It is an error when one of them ended.
    pub(crate) fn expect_running(&mut self) -> anyhow::Result<()> {
        for service in [&mut self.store, &mut self.kms, &mut self.google] {
            service.process.expect_running()?;
        }
        Ok(())
    }
}

fn start_store(workspace: &Workspace, log: &Path, interrupt: &Interrupt) -> anyhow::Result<Service> {
    let start = Instant::now();
    let (process, port) = ministack::start(workspace, log, interrupt)?;
    for table in TABLES {
        create_table(port, table)?;
    }
    let took = ui::seconds(start.elapsed());
    ui::step(
        Mark::Ok,
        format_args!("store with both tables, by ministack, after {took}"),
    );
    Ok(Service { process, port })
}

fn create_table(port: u16, table: &str) -> anyhow::Result<()> {
    let create = json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    });
    call(port, "dynamodb", "DynamoDB_20120810.CreateTable", &create)?;
    let expiry = json!({
        "TableName": table,
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": true},
    });
    call(port, "dynamodb", "DynamoDB_20120810.UpdateTimeToLive", &expiry)?;
    Ok(())
}

fn start_kms(workspace: &Workspace, log: &Path, interrupt: &Interrupt) -> anyhow::Result<(Service, String)> {
    let start = Instant::now();
    let (process, port) = moto::start(workspace, log, interrupt)?;
    let created = call(
        port,
        "kms",
        "TrentService.CreateKey",
        &json!({"Description": "cluster"}),
    )?;
    let arn = created.pointer("/KeyMetadata/Arn").and_then(Value::as_str);
    let arn = arn.context("the new key has no ARN")?.to_owned();
    let took = ui::seconds(start.elapsed());
    ui::step(
        Mark::Ok,
        format_args!("key service with a key, by moto, after {took}"),
    );
    Ok((Service { process, port }, arn))
}

/// One request of the AWS JSON protocol to an emulator, which takes any signature but wants to read a service in it.
fn call(port: u16, service: &str, target: &str, body: &Value) -> anyhow::Result<Value> {
    let version = if service == "dynamodb" { "1.0" } else { "1.1" };
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let request = Request {
        method: "POST",
        path: "/",
        headers: &[
            ("X-Amz-Target", target),
            ("Content-Type", &format!("application/x-amz-json-{version}")),
            ("Authorization", &authorization),
        ],
        body: &body.to_string(),
    };
    let (status, answer) = http::send(port, request).with_context(|| format!("`{target}` gets no answer"))?;
    anyhow::ensure!(status == 200, "`{target}` is answered {status}: {answer}");
    serde_json::from_str(&answer).with_context(|| format!("the answer to `{target}` is no JSON"))
}
