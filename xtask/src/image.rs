//! `cargo xtask image`: the image that production runs, from the sources to the digest in a registry.

mod archive;
mod boot;
mod build;
mod engine;
mod sbom;

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};
use xshell::{Shell, cmd};

pub(crate) use self::engine::{Kind, Login};

use self::archive::{Base, Content};
use self::build::{Commit, Platform};
use self::engine::Engine;
use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::local::Stage;
use crate::problem::Problem;
use crate::ui::{self, Mark};
use crate::workspace::Workspace;

/// What an image without a base may have, in bytes, as registries keep it and tasks fetch it.
const MAXIMUM: u64 = 15_000_000;
/// How an engine knows it. `localhost` is no registry that anybody could push to by mistake.
const NAME: &str = "localhost/mcp-gateway";

/// Build the image that production runs, start it, ask it for its tools, and push it.
///
/// One static binary on an empty root, the same bytes for the same commit. Nothing is pushed that did not start here and
/// list its tools to a client that logged in. The list of its parts (`CycloneDX`) is written beside it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: cargo xtask image --push registry.example.com/mcp-gateway\n\
    Exit codes: 0 done, 2 the tool broke, or the image does not work."
)]
pub(crate) struct Image {
    #[command(flatten)]
    options: Options,
    /// Use the container daemon of `cargo xtask local`
    #[arg(long, conflicts_with = "engine")]
    local: bool,
    /// Push it to this repository, and print the digest that the registry has
    #[arg(long, value_name = "REPOSITORY")]
    push: Option<String>,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// How to build.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Put it on this image, for gateways that start stdio servers: `docker.io/library/node:22-slim`
    #[arg(long, value_name = "IMAGE")]
    pub(crate) base: Option<String>,
    /// Address of the sources, for the label [default: that of the git remote `origin`]
    #[arg(long, value_name = "URL")]
    pub(crate) source: Option<String>,
    /// The container engine [default: the first that works]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) engine: Option<Kind>,
    /// Where docker's daemon listens, if not at its usual place
    #[arg(skip)]
    pub(crate) socket: Option<PathBuf>,
    /// Print every command before it runs
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// An image that works, on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// The digest of its configuration: what the same sources always get.
    pub(crate) id: String,
    /// The commit that it was built from.
    pub(crate) sha: String,
    /// The version of the gateway.
    pub(crate) version: String,
    /// Its tag in a repository: one commit, one tag.
    pub(crate) tag: String,
    /// What an engine loads.
    pub(crate) archive: PathBuf,
    /// The list of its parts.
    pub(crate) sbom: PathBuf,
    /// How much a registry keeps of it, and a task fetches.
    pub(crate) bytes: u64,
    engine: Engine,
}

/// An image in a registry.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    /// `REPOSITORY@DIGEST`: what a task definition names.
    pub(crate) uri: String,
    /// The digest that the registry answers with.
    pub(crate) digest: String,
    /// What was pushed.
    pub(crate) built: Built,
}

impl Image {
    /// Builds, and pushes where that is asked for.
    pub(crate) fn run(self, workspace: &Workspace, interrupt: &Interrupt) -> anyhow::Result<Outcome> {
        let mut options = self.options;
        if self.local {
            options.socket = Some(Stage::expect(workspace)?.docker_socket);
            options.engine = Some(Kind::Docker);
        }
        let pushed = match &self.push {
            Some(repository) => Some(build_and_push(workspace, &options, repository, None, interrupt)?),
            None => None,
        };
        let built = match &pushed {
            Some(pushed) => pushed.built.clone(),
            None => build(workspace, &options, interrupt)?,
        };
        let said = json!({
            "id": built.id,
            "sha": built.sha,
            "version": built.version,
            "tag": built.tag,
            "bytes": built.bytes,
            "archive": built.archive,
            "sbom": built.sbom,
            "uri": pushed.as_ref().map(|pushed| &pushed.uri),
            "digest": pushed.as_ref().map(|pushed| &pushed.digest),
        });
        if self.json {
            ui::data(said);
            return Ok(Outcome::Done);
        }
        let known = said
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null());
        for (name, value) in known {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            ui::data(format_args!("{name:<8} {value}"));
        }
        Ok(Outcome::Done)
    }
}

/// Builds an image, pushes it to `repository` (such as `registry.example.com/mcp-gateway`) and reads its digest back.
pub(crate) fn build_and_push(
    workspace: &Workspace,
    options: &Options,
    repository: &str,
    login: Option<&Login>,
    interrupt: &Interrupt,
) -> anyhow::Result<Pushed> {
    let built = build(workspace, options, interrupt)?;
    push(workspace, &built, repository, login)
}

/// Builds an image, starts it and asks it for its tools.
pub(crate) fn build(
    workspace: &Workspace,
    options: &Options,
    interrupt: &Interrupt,
) -> anyhow::Result<Built> {
    let platform = Platform::of_this_machine()?;
    // First what may be missing, then what takes minutes.
    let engine = Engine::find(options.engine, options.socket.as_deref(), options.verbose)?;
    let commit = Commit::of(workspace)?;
    let program = build::gateway(workspace, platform, &commit, interrupt)?;
    let directory = directory(workspace)?;
    let base = options
        .base
        .as_deref()
        .map(|image| unpack(&engine, image, &directory))
        .transpose()?;
    let version = version(workspace)?;
    let tag = tag(&commit, options, &program)?;
    let name = format!("{NAME}:{tag}");
    let archive = directory.join("image.tar");
    let content = Content {
        program: &program,
        base: base.as_ref(),
        architecture: platform.architecture,
        created: &commit.time,
        labels: &labels(workspace, options, &commit, &version)?,
        name: &name,
    };
    let id = archive::write(&content, &archive)?;
    let bytes = compressed(&archive)?;
    if base.is_none() && bytes > MAXIMUM {
        let what = format!("the image has `{bytes}` bytes, and may have `{MAXIMUM}`");
        return Err(Problem::new(what, "`cargo tree` and `cargo bloat` show what grew").into());
    }
    engine.load(&archive, &name)?;
    boot::boot(&engine, &name, &directory, workspace, interrupt)?;
    let sbom = directory.join("sbom.cdx.json");
    let packages = sbom::write(workspace, platform, &commit, &id, &sbom)?;
    ui::step(
        Mark::Ok,
        format_args!("image {tag} of {bytes} bytes, made of {packages} packages"),
    );
    Ok(Built {
        id,
        sha: commit.sha,
        version,
        tag,
        archive,
        sbom,
        bytes,
        engine,
    })
}

/// Pushes an image and reads its digest back. One that the registry has already is not pushed again.
pub(crate) fn push(
    workspace: &Workspace,
    built: &Built,
    repository: &str,
    login: Option<&Login>,
) -> anyhow::Result<Pushed> {
    let directory = directory(workspace)?;
    let mut engine = built.engine.clone();
    if let Some(login) = login {
        let registry = repository.split('/').next().unwrap_or(repository);
        engine.log_in(registry, login, &directory)?;
    }
    let reference = format!("{repository}:{}", built.tag);
    let digest = match engine.find_pushed(&reference) {
        Some((digest, id)) if id == built.id => digest,
        Some((_, id)) => {
            let what = format!("`{reference}` is another image already, `{id}`");
            let hint = "a tag never moves: commit what changed, or look at who pushed it";
            return Err(Problem::new(what, hint).into());
        }
        None => engine.push(&format!("{NAME}:{}", built.tag), &reference, &directory)?,
    };
    ui::step(Mark::Ok, format_args!("{reference} is {digest} in the registry"));
    Ok(Pushed {
        uri: format!("{repository}@{digest}"),
        digest,
        built: built.clone(),
    })
}

/// Where everything about the image is kept; credentials and settings among it, so for its owner only.
fn directory(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let directory = workspace.target().join("image");
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    Ok(directory)
}

/// How long `archive` is when `gzip` has compressed it, as pushing does.
fn compressed(archive: &Path) -> anyhow::Result<u64> {
    let mut child = Command::new("gzip")
        .arg("--stdout")
        .arg(archive)
        .stdout(Stdio::piped())
        .spawn()
        .context("`gzip` does not start")?;
    let output = child.stdout.as_mut().context("`gzip` has no output")?;
    let bytes = io::copy(output, &mut io::sink())?;
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "`gzip` failed: {status}");
    Ok(bytes)
}

fn unpack(engine: &Engine, image: &str, directory: &Path) -> anyhow::Result<Base> {
    let directory = directory.join("base");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    ui::step(Mark::Run, format_args!("fetching {image}"));
    engine.unpack(image, &directory)?;
    Base::read(&directory)
}

/// That of the commit; where the image is not only the commit's, what else is in it makes the difference.
fn tag(commit: &Commit, options: &Options, program: &Path) -> anyhow::Result<String> {
    let mut tag = commit.short().to_owned();
    if let Some(base) = &options.base {
        let digest = archive::sha256(&mut base.as_bytes())?;
        tag = format!("{tag}-on-{}", digest.get(..8).unwrap_or_default());
    }
    if commit.changed {
        let digest = archive::sha256(&mut BufReader::new(File::open(program)?))?;
        tag = format!("{tag}-changed-{}", digest.get(..8).unwrap_or_default());
    }
    Ok(tag)
}

fn labels(workspace: &Workspace, options: &Options, commit: &Commit, version: &str) -> anyhow::Result<Value> {
    let labels = [
        ("title", Some("mcp-gateway".to_owned())),
        ("version", Some(version.to_owned())),
        ("revision", Some(commit.sha.clone())),
        ("created", Some(commit.time.clone())),
        ("licenses", Some("Apache-2.0".to_owned())),
        ("source", source(workspace, options)?),
        ("base.name", options.base.clone()),
    ];
    let labels = labels
        .into_iter()
        .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), Value::from(value?))));
    Ok(labels.collect::<serde_json::Map<_, _>>().into())
}

fn source(workspace: &Workspace, options: &Options) -> anyhow::Result<Option<String>> {
    if options.source.is_some() {
        return Ok(options.source.clone());
    }
    let sh = Shell::new()?;
    sh.change_dir(workspace.root());
    let origin = cmd!(sh, "git remote get-url origin")
        .quiet()
        .ignore_stderr()
        .read();
    Ok(origin.ok().as_deref().and_then(web_address))
}

/// The address of a git remote as a browser takes it, without credentials.
fn web_address(remote: &str) -> Option<String> {
    let place = match remote.split_once("://") {
        Some(("https" | "ssh", rest)) => rest.to_owned(),
        Some(_) => return None,
        // As git writes it for ssh: `git@host:path`.
        None => remote
            .split_once(':')
            .map(|(host, path)| format!("{host}/{path}"))?,
    };
    let place = place.rsplit_once('@').map_or(&*place, |(_, place)| place);
    Some(format!("https://{}", place.trim_end_matches(".git")))
}

fn version(workspace: &Workspace) -> anyhow::Result<String> {
    let manifest = fs::read_to_string(workspace.root().join("Cargo.toml"))?;
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = \""));
    let version = line.and_then(|rest| rest.split('"').next());
    Ok(version.context("`Cargo.toml` has no version")?.to_owned())
}

#[cfg(test)]
mod tests;
