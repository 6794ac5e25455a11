//! `docker`, `podman` or `buildah`, whichever is there: loads, runs and pushes images.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::process;
use crate::ui;

/// Which program it is. What they are asked for, they nearly ask for alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Needs its daemon.
    Docker,
    /// Needs none.
    Podman,
    /// Needs none, and calls some things by other names.
    Buildah,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Docker, Self::Podman, Self::Buildah];

    fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Buildah => "buildah",
        }
    }

    /// A question that only a working one answers.
    fn greeting(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["version", "--format", "{{.Server.Version}}"],
            Self::Podman | Self::Buildah => &["info"],
        }
    }
}

/// Who pushes.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// The user's name at the registry.
    pub(crate) user: String,
    /// The password; never printed.
    pub(crate) password: String,
}

/// One of them, found working.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    kind: Kind,
    /// Where docker's daemon listens, if not at its usual place.
    socket: Option<PathBuf>,
    /// A directory of our own with credentials, so that those of the person who runs this are left alone.
    credentials: Option<PathBuf>,
    verbose: bool,
}

impl Engine {
    /// The first one that works, or the `wanted` one. `socket`: of docker's daemon.
    pub(crate) fn find(wanted: Option<Kind>, socket: Option<&Path>, verbose: bool) -> anyhow::Result<Self> {
        let mut refused = Vec::new();
        for kind in Kind::ALL {
            if wanted.is_some_and(|wanted| wanted != kind) {
                continue;
            }
            let engine = Self {
                kind,
                socket: socket.map(Path::to_owned),
                credentials: None,
                verbose,
            };
            match engine.read(kind.greeting()) {
                Ok(_) => return Ok(engine),
                Err(error) => refused.push(format!("{error:#}")),
            }
        }
        let hint = "start docker, or install podman or buildah; `--engine` names one";
        Err(Problem::new("no container engine works here", hint)
            .with_detail(refused.join("\n"))
            .into())
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.kind.program()
    }

    /// Uses `login` at `registry`, with a file in `directory` that its owner alone can read.
    pub(crate) fn log_in(&mut self, registry: &str, login: &Login, directory: &Path) -> anyhow::Result<()> {
        let secret = STANDARD.encode(format!("{}:{}", login.user, login.password));
        let file = directory.join("config.json");
        let content = json!({ "auths": { registry: { "auth": secret } } });
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options
            .open(&file)
            .and_then(|mut open| open.write_all(content.to_string().as_bytes()))
            .with_context(|| format!("`{}` cannot be written", file.display()))?;
        self.credentials = Some(directory.to_owned());
        Ok(())
    }

    /// Loads the archive, whose image is called `name` in it.
    pub(crate) fn load(&self, archive: &Path, name: &str) -> anyhow::Result<()> {
        let path = archive.display().to_string();
        if self.kind != Kind::Buildah {
            return self.read(&["load", "--quiet", "--input", &path]).map(drop);
        }
        let id = self.read(&["pull", "--quiet", &format!("docker-archive:{path}")])?;
        self.read(&["tag", id.trim(), name]).map(drop)
    }

    /// Fetches `image` and unpacks it into `directory`.
    pub(crate) fn unpack(&self, image: &str, directory: &Path) -> anyhow::Result<()> {
        let archive = directory.join("base.tar");
        let path = archive.display().to_string();
        let local = if self.kind == Kind::Docker {
            &[]
        } else {
            without_tls(image)
        };
        self.read(&[&["pull", "--quiet"][..], local, &[image]].concat())?;
        match self.kind {
            Kind::Docker => self.read(&["save", "--output", &path, image])?,
            Kind::Podman => self.read(&["save", "--format", "docker-archive", "--output", &path, image])?,
            Kind::Buildah => self.read(&["push", "--quiet", image, &format!("docker-archive:{path}")])?,
        };
        let mut tar = Command::new("tar");
        tar.arg("-xf").arg(&archive).arg("-C").arg(directory);
        let status = tar.status().context("`tar` does not start")?;
        anyhow::ensure!(status.success(), "`{}` failed: {status}", process::shown(&tar));
        Ok(())
    }

    /// Pushes `name` as `reference` and returns the digest under which the registry has it now.
    pub(crate) fn push(&self, name: &str, reference: &str, directory: &Path) -> anyhow::Result<String> {
        if self.kind == Kind::Docker {
            self.read(&["tag", name, reference])?;
            self.read(&["push", "--quiet", reference])?;
            let manifest = self.manifest(reference)?;
            let digest = manifest.pointer("/Descriptor/digest").and_then(Value::as_str);
            return digest
                .map(str::to_owned)
                .with_context(|| format!("the registry does not say the digest of `{reference}`"));
        }
        let file = directory.join("digest");
        let path = file.display().to_string();
        let target = format!("docker://{reference}");
        let local = without_tls(reference);
        self.read(
            &[
                &["push", "--quiet", "--digestfile", &path][..],
                local,
                &[name, &target],
            ]
            .concat(),
        )?;
        let digest = fs::read_to_string(&file).context("the engine does not say what it pushed")?;
        // Only what the registry really has can be fetched by its digest.
        let (repository, _) = reference.rsplit_once(':').context("the reference has no tag")?;
        let pinned = format!("docker://{repository}@{}", digest.trim());
        self.read(&[&["pull", "--quiet"][..], local, &[&pinned]].concat())?;
        Ok(digest.trim().to_owned())
    }

    /// The digest of `reference` in its registry, and of the configuration in it, when there is one.
    pub(crate) fn find_pushed(&self, reference: &str) -> Option<(String, String)> {
        if self.kind != Kind::Docker {
            return None;
        }
        let manifest = self.manifest(reference).ok()?;
        let at = |pointer| Some(manifest.pointer(pointer)?.as_str()?.to_owned());
        let config = ["/SchemaV2Manifest/config/digest", "/OCIManifest/config/digest"];
        Some((at("/Descriptor/digest")?, config.into_iter().find_map(at)?))
    }

    /// What the registry answers about `reference`.
    fn manifest(&self, reference: &str) -> anyhow::Result<Value> {
        let insecure = without_tls(reference).first().map(|_| "--insecure");
        let arguments: Vec<&str> = ["manifest", "inspect", "--verbose"]
            .into_iter()
            .chain(insecure)
            .chain([reference])
            .collect();
        Ok(serde_json::from_str(&self.read(&arguments)?)?)
    }

    /// The command that runs `image` in the foreground as production does, on the network of this machine.
    pub(crate) fn run(&self, name: &str, image: &str, variables: &Path) -> anyhow::Result<Command> {
        let mut command = self.command();
        if self.kind == Kind::Buildah {
            self.read(&["from", "--name", name, image])?;
            command.args(buildah_run(variables)?);
            command.args([name, "--", "/gateway", "serve"]);
            return Ok(command);
        }
        command.args(["run", "--name", name, "--network", "host", "--read-only"]);
        if self.kind == Kind::Podman {
            command.args(podman_limits(|resource| getrlimit(resource).maximum));
        }
        command
            .args([
                "--cap-drop",
                "ALL",
                "--security-opt",
                "no-new-privileges",
                "--env-file",
            ])
            .arg(variables)
            .arg(image);
        Ok(command)
    }

    /// Runs `program` inside the running container, with the `variables` that it was started with.
    pub(crate) fn inside(
        &self,
        container: &str,
        variables: &Path,
        program: &[&str],
    ) -> anyhow::Result<String> {
        if self.kind != Kind::Buildah {
            return self.read(&[&["exec", container][..], program].concat());
        }
        let run = buildah_run(variables)?;
        let run: Vec<&str> = run.iter().map(String::as_str).collect();
        self.read(&[&run, &[container, "--"][..], program].concat())
    }

    /// Removes the container, running or not.
    pub(crate) fn remove(&self, container: &str) {
        let force: &[&str] = if self.kind == Kind::Buildah {
            &[]
        } else {
            &["--force"]
        };
        // It may never have been made.
        let _ = self.read(&[&["rm"][..], force, &[container]].concat());
    }

    /// Runs it and returns what it prints.
    fn read(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null());
        let shown = process::shown(&command);
        if self.verbose {
            ui::say(format_args!("$ {shown}"));
        }
        let output = command
            .output()
            .with_context(|| format!("`{}` does not start", self.name()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said
            .trim()
            .lines()
            .next_back()
            .unwrap_or("no word about it")
            .to_owned();
        anyhow::bail!("`{shown}` failed: {said}")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.name());
        if let Some(socket) = &self.socket {
            command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        }
        if let Some(directory) = &self.credentials {
            command
                .env("DOCKER_CONFIG", directory)
                .env("REGISTRY_AUTH_FILE", directory.join("config.json"));
        }
        command
    }
}

/// It has no containers that run, only programs in them, each told everything.
fn buildah_run(variables: &Path) -> anyhow::Result<Vec<String>> {
    let mut arguments: Vec<String> = [
        "run",
        "--isolation",
        "chroot",
        "--cap-drop",
        "all",
        "--network",
        "host",
    ]
    .map(str::to_owned)
    .into();
    for line in fs::read_to_string(variables)?.lines() {
        arguments.extend(["--env".to_owned(), line.to_owned()]);
    }
    Ok(arguments)
}

/// Enough for a gateway, and no more than this process may have: podman's own defaults are higher, and refused where
/// nobody may raise a limit. Its own limit of processes is that of the kernel's numbers for them, often 32768.
fn podman_limits(hard: impl Fn(Resource) -> Option<u64>) -> [String; 2] {
    let wanted = [
        ("nofile", Resource::Nofile, 65_536),
        ("nproc", Resource::Nproc, 4_096),
    ];
    wanted.map(|(name, resource, enough)| {
        let limit = hard(resource).map_or(enough, |hard| hard.min(enough));
        format!("--ulimit={name}={limit}:{limit}")
    })
}

/// A registry on this machine speaks plain HTTP, which docker expects and the others have to be told.
fn without_tls(reference: &str) -> &'static [&'static str] {
    if reference.starts_with("127.") || reference.starts_with("localhost") {
        &["--tls-verify=false"]
    } else {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_asks_for_no_more_than_this_process_may_have() {
        let asked = |hard| podman_limits(|_| hard);
        assert_eq!(
            asked(Some(1_000)),
            ["--ulimit=nofile=1000:1000", "--ulimit=nproc=1000:1000"]
        );
        let enough = ["--ulimit=nofile=65536:65536", "--ulimit=nproc=4096:4096"];
        assert_eq!(asked(Some(1_000_000)), enough);
        assert_eq!(asked(None), enough);
    }
}
