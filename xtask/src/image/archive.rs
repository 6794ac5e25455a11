//! The image as a `docker load` archive, byte for byte the same for the same input.
//!
//! Written by hand, because every builder puts the time of the build into it. Each engine reads this format.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Owner of the process, as `infra` declares it.
const USER: &str = "65532:65532";
/// The program in the image.
const PROGRAM: &str = "gateway";
/// Where programs look for certificate authorities. The AWS SDK ends a process that finds none.
const AUTHORITIES: [&str; 4] = [
    "etc",
    "etc/ssl",
    "etc/ssl/certs",
    "etc/ssl/certs/ca-certificates.crt",
];
/// Letters in a line of PEM.
const PEM_WIDTH: usize = 64;
/// Types of entries in a tar archive.
const FILE: char = '0';
const DIRECTORY: char = '5';
/// What a container of this image listens on.
const PORT: &str = "3000/tcp";
/// Of the health check, in nanoseconds; ECS has its own.
const HEALTH_INTERVAL: u64 = 15_000_000_000;
const HEALTH_TIMEOUT: u64 = 5_000_000_000;
/// The unit of a tar archive.
const BLOCK: u64 = 512;

/// What goes into an image.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    /// The static binary.
    pub(crate) program: &'a Path,
    /// What it stands on; nothing: an empty root.
    pub(crate) base: Option<&'a Base>,
    /// `amd64` or `arm64`.
    pub(crate) architecture: &'a str,
    /// When the commit was made, not the image.
    pub(crate) created: &'a str,
    /// Annotations of the whole.
    pub(crate) labels: &'a Value,
    /// The name it is loaded under.
    pub(crate) name: &'a str,
}

/// Another image, as an engine saved and `tar` unpacked it.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    config: Value,
    layers: Vec<PathBuf>,
}

impl Base {
    /// Reads what is in `directory`.
    pub(crate) fn read(directory: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| -> anyhow::Result<Value> {
            let text = fs::read(directory.join(name)).with_context(|| format!("the base has no `{name}`"))?;
            Ok(serde_json::from_slice(&text)?)
        };
        let manifest = read("manifest.json")?;
        let name = manifest.pointer("/0/Config").and_then(Value::as_str);
        let config = read(name.context("the manifest of the base names no configuration")?)?;
        let layers = manifest.pointer("/0/Layers").and_then(Value::as_array);
        let layers = layers.into_iter().flatten().filter_map(Value::as_str);
        Ok(Self {
            config,
            layers: layers.map(|name| directory.join(name)).collect(),
        })
    }

    fn list(&self, pointer: &str) -> Vec<Value> {
        let list = self.config.pointer(pointer).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    }
}

/// Writes the archive and returns the image's id, which is the digest of its configuration.
pub(crate) fn write(content: &Content<'_>, archive: &Path) -> anyhow::Result<String> {
    let layer = archive.with_extension("layer");
    let digest = write_layer(content.program, &layer)?;
    let config = config(content, &digest);
    let config = serde_json::to_vec(&config)?;
    let id = sha256(&mut &*config)?;
    let mut tar = Tar::create(archive)?;
    let mut names = Vec::new();
    let below = content
        .base
        .map(|base| base.layers.as_slice())
        .unwrap_or_default();
    for (number, path) in below.iter().chain([&layer]).enumerate() {
        let name = format!("layer-{number}.tar");
        let size = fs::metadata(path)?.len();
        let file = File::open(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
        tar.add(&name, 0o644, size, BufReader::new(file))?;
        names.push(name);
    }
    let name = format!("{id}.json");
    tar.add(&name, 0o644, config.len() as u64, &*config)?;
    let manifest = json!([{ "Config": name, "RepoTags": [content.name], "Layers": names }]);
    let manifest = serde_json::to_vec(&manifest)?;
    tar.add("manifest.json", 0o644, manifest.len() as u64, &*manifest)?;
    tar.finish()?;
    fs::remove_file(layer)?;
    Ok(format!("sha256:{id}"))
}

fn write_layer(program: &Path, layer: &Path) -> anyhow::Result<String> {
    let mut tar = Tar::create(layer)?;
    let size = fs::metadata(program)?.len();
    tar.add(PROGRAM, 0o555, size, BufReader::new(File::open(program)?))?;
    let [parents @ .., bundle] = AUTHORITIES;
    for parent in parents {
        tar.directory(parent)?;
    }
    let authorities = authorities();
    tar.add(bundle, 0o444, authorities.len() as u64, authorities.as_bytes())?;
    tar.finish()?;
    sha256(&mut BufReader::new(File::open(layer)?))
}

/// Mozilla's list, in the version of the lock file. That of this machine would make another image elsewhere.
fn authorities() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let letters: Vec<char> = STANDARD.encode(certificate).chars().collect();
        for line in letters.chunks(PEM_WIDTH) {
            text.extend(line);
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

fn config(content: &Content<'_>, layer: &str) -> Value {
    let below = |pointer| content.base.map(|base| base.list(pointer)).unwrap_or_default();
    let mut layers = below("/rootfs/diff_ids");
    layers.push(json!(format!("sha256:{layer}")));
    let mut history = below("/history");
    history.push(json!({ "created": content.created, "created_by": "cargo xtask image" }));
    let mut environment = below("/config/Env");
    // In a container loopback is nobody's.
    environment.push(json!("HOST=0.0.0.0"));
    let program = format!("/{PROGRAM}");
    json!({
        "architecture": content.architecture,
        "os": "linux",
        "created": content.created,
        "config": {
            "User": USER,
            "Env": environment,
            "Entrypoint": [program],
            "Cmd": ["serve"],
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "ExposedPorts": { PORT: {} },
            "Healthcheck": {
                "Test": ["CMD", program, "health"],
                "Interval": HEALTH_INTERVAL,
                "Timeout": HEALTH_TIMEOUT,
                "Retries": 3,
            },
            "Labels": content.labels,
        },
        "rootfs": { "type": "layers", "diff_ids": layers },
        "history": history,
    })
}

/// A tar archive without a trace of when and where it was written.
struct Tar(BufWriter<File>);

impl Tar {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("`{}` cannot be written", path.display()))?;
        Ok(Self(BufWriter::new(file)))
    }

    fn add(&mut self, name: &str, mode: u32, size: u64, content: impl Read) -> io::Result<()> {
        self.0.write_all(&header(name, FILE, mode, size))?;
        let written = io::copy(&mut content.take(size), &mut self.0)?;
        if written != size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a file became shorter",
            ));
        }
        io::copy(
            &mut io::repeat(0).take(size.next_multiple_of(BLOCK) - size),
            &mut self.0,
        )?;
        Ok(())
    }

    fn directory(&mut self, name: &str) -> io::Result<()> {
        self.0
            .write_all(&header(&format!("{name}/"), DIRECTORY, 0o755, 0))
    }

    fn finish(mut self) -> io::Result<()> {
        io::copy(&mut io::repeat(0).take(2 * BLOCK), &mut self.0)?;
        self.0.flush()
    }
}

/// The header of an entry of root, from 1970 (`ustar`).
fn header(name: &str, kind: char, mode: u32, size: u64) -> Vec<u8> {
    let fields = |sum: &str| {
        let mut block = Vec::new();
        let mut field = |text: String, width: usize| {
            let mut bytes = text.into_bytes();
            bytes.resize(width, 0);
            block.extend(bytes);
        };
        field(name.to_owned(), 100);
        for id in [format!("{mode:07o}"), format!("{:07o}", 0), format!("{:07o}", 0)] {
            field(id, 8);
        }
        field(format!("{size:011o}"), 12);
        field(format!("{:011o}", 0), 12);
        field(sum.to_owned(), 8);
        field(kind.to_string(), 1);
        field(String::new(), 100);
        field("ustar\u{0}00".to_owned(), 247);
        field(String::new(), 8);
        block
    };
    let sum: u32 = fields("        ").iter().map(|byte| u32::from(*byte)).sum();
    let mut block = fields(&format!("{sum:06o}\u{0} "));
    block.resize(512, 0);
    block
}

/// The digest of all that `content` has, in hexadecimal digits.
pub(crate) fn sha256(content: &mut impl Read) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = content.read(&mut buffer)?;
        let Some(read) = buffer.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        digest.update(read);
    }
    let mut text = String::new();
    for byte in digest.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
