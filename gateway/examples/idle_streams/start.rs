//! How long the gateway takes from its start to its first answer, and what it takes in memory when it waits.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use gateway::jwt::{Claims, SigningKeys};
use gateway::secret::Keyring;
use serde_json::json;

use super::{Options, Server, post};

const SECRET: &str = "9c1e77a05b3d4f2e8a6b0d94c2f7e113";
/// How long a gateway is left alone before its idle memory is read.
const SETTLE: Duration = Duration::from_millis(700);

/// What the starts showed, each list sorted.
#[derive(Debug)]
pub(super) struct Starts {
    pub(super) first_list: Vec<Duration>,
    pub(super) idle_kib: Vec<u64>,
}

/// The one in the middle: a start that something else disturbed does not count, nor does a lucky one.
pub(super) fn median<T: Copy>(sorted: &[T]) -> Option<T> {
    sorted.get(sorted.len() / 2).copied()
}

/// A gateway on loopback with a store of its own, both gone when dropped.
pub(super) struct Gateway {
    pub(super) server: Server,
    pub(super) token: String,
    began: Instant,
    data: PathBuf,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

impl Gateway {
    pub(super) fn start(options: &Options) -> Result<Self> {
        let data = std::env::temp_dir().join(format!("gateway-bench-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        let url = format!("http://{address}");
        let token = token(&url)?;
        let began = Instant::now();
        let child = Command::new(&options.gateway)
            .arg("serve")
            .env_clear()
            .env("HOST", "127.0.0.1")
            .env("PORT", port.to_string())
            .env("PUBLIC_URL", &url)
            .env("DATA_DIR", &data)
            .env("SESSION_SECRET", SECRET)
            .env("GOOGLE_CLIENT_ID", "bench")
            .env("GOOGLE_CLIENT_SECRET", "bench")
            .env("GOOGLE_ISSUER", "http://127.0.0.1:9")
            .env("GOOGLE_API_BASE_URL", "http://127.0.0.1:9")
            .env("ALLOWED_DOMAIN", "example.com")
            .env("LOG_LEVEL", "warn")
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start `{}`; build it first", options.gateway.display()))?;
        let server = Server { child, address };
        Ok(Self {
            server,
            token,
            began,
            data,
        })
    }

    /// Polls until the gateway answers `tools/list`: the time since its start.
    pub(super) fn first_list(&self) -> Result<Duration> {
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        let request = post(self.server.address, &self.token, None, &list);
        let request = request.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        while self.began.elapsed() < Duration::from_secs(10) {
            if let Ok(mut socket) = TcpStream::connect(self.server.address) {
                socket.write_all(request.as_bytes())?;
                let mut answer = String::new();
                socket.read_to_string(&mut answer)?;
                let elapsed = self.began.elapsed();
                ensure!(
                    answer.starts_with("HTTP/1.1 200"),
                    "tools/list was answered: {answer}"
                );
                return Ok(elapsed);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("the gateway did not listen within 10 s")
    }
}

/// Starts the gateway again and again on an empty directory, each time until it has answered and settled.
pub(super) fn measure(options: &Options) -> Result<Starts> {
    let (mut first_lists, mut idle_kib) = (Vec::new(), Vec::new());
    for _ in 0..options.starts.max(1) {
        let gateway = Gateway::start(options)?;
        first_lists.push(gateway.first_list()?);
        std::thread::sleep(SETTLE);
        idle_kib.push(gateway.server.resident_kib()?);
    }
    first_lists.sort_unstable();
    idle_kib.sort_unstable();
    Ok(Starts {
        first_list: first_lists,
        idle_kib,
    })
}

/// An access token as the gateway would sign it: the bench holds its secret.
fn token(url: &str) -> Result<String> {
    let keys = SigningKeys::derive(&Keyring::new(SECRET.to_owned().into(), Vec::new()))?;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
    let now = i64::try_from(now)?;
    Ok(keys.sign(&Claims {
        iss: url.to_owned(),
        sub: "1001".to_owned(),
        aud: format!("{url}/mcp"),
        client_id: "bench".to_owned(),
        scope: "mcp".to_owned(),
        email: "bench@example.com".to_owned(),
        jti: "bench".to_owned(),
        sid: "bench".to_owned(),
        iat: now,
        exp: now + 3_600,
    })?)
}
