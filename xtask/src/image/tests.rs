//! The archive for its bytes, the names for what they say.

use super::*;

const TIME: &str = "2026-01-02T03:04:05Z";

fn commit(changed: bool) -> Commit {
    Commit {
        sha: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        time: TIME.to_owned(),
        changed,
    }
}

fn write(program: &Path, base: Option<&Base>, archive: &Path) -> String {
    let content = Content {
        program,
        base,
        architecture: "amd64",
        created: TIME,
        labels: &json!({ "org.opencontainers.image.version": "1" }),
        name: "localhost/mcp-gateway:1",
    };
    archive::write(&content, archive).unwrap()
}

/// What `tar`, which did not write it, reads out of an archive.
fn unpacked(archive: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut tar = std::process::Command::new("tar");
    tar.arg("-xf").arg(archive).arg("-C").arg(directory.path());
    assert!(tar.status().unwrap().success());
    directory
}

#[test]
fn the_same_program_makes_the_same_image_whenever_it_was_built() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("program"), "one").unwrap();
    let id = write(&at("program"), None, &at("first.tar"));
    fs::write(at("program"), "one").unwrap();
    let file = File::options().write(true).open(at("program")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(write(&at("program"), None, &at("second.tar")), id);
    assert_eq!(
        fs::read(at("first.tar")).unwrap(),
        fs::read(at("second.tar")).unwrap()
    );
    fs::write(at("program"), "two").unwrap();
    assert_ne!(write(&at("program"), None, &at("third.tar")), id);
}

#[test]
fn the_archive_is_what_engines_load() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    // Longer than a block, and not a multiple of it.
    fs::write(at("program"), "x".repeat(1_300)).unwrap();
    let id = write(&at("program"), None, &at("image.tar"));
    let image = unpacked(&at("image.tar"));
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(image.path().join(name)).unwrap()).unwrap()
    };
    let manifest = read("manifest.json");
    assert_eq!(manifest[0]["RepoTags"], json!(["localhost/mcp-gateway:1"]));
    let name = manifest[0]["Config"].as_str().unwrap();
    assert_eq!(format!("sha256:{}", name.strip_suffix(".json").unwrap()), id);
    let config = read(name);
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], json!(["/gateway"]));
    assert_eq!(
        config["config"]["Healthcheck"]["Test"],
        json!(["CMD", "/gateway", "health"])
    );
    let layer = image.path().join(manifest[0]["Layers"][0].as_str().unwrap());
    let digest = archive::sha256(&mut File::open(&layer).unwrap()).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"], json!([format!("sha256:{digest}")]));
    let root = unpacked(&layer);
    assert_eq!(fs::read(root.path().join("gateway")).unwrap(), b"x".repeat(1_300));
    let authorities = fs::read_to_string(root.path().join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    let count = authorities.matches("-----BEGIN CERTIFICATE-----\n").count();
    assert_eq!(count, webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
    assert!(authorities.lines().all(|line| line.len() <= 64));
    let mut names: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["etc", "gateway"]);
}

#[test]
fn a_base_keeps_its_layers_and_variables_below_ours() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("program"), "one").unwrap();
    fs::write(at("theirs"), "layer").unwrap();
    let config = json!({
        "config": { "Env": ["PATH=/usr/bin"], "User": "root" },
        "rootfs": { "diff_ids": ["sha256:theirs"] },
    });
    fs::write(at("config"), config.to_string()).unwrap();
    let manifest = json!([{ "Config": "config", "Layers": ["theirs"] }]);
    fs::write(at("manifest.json"), manifest.to_string()).unwrap();
    let base = Base::read(directory.path()).unwrap();
    write(&at("program"), Some(&base), &at("image.tar"));
    let image = unpacked(&at("image.tar"));
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(image.path().join(name)).unwrap()).unwrap()
    };
    let manifest = read("manifest.json");
    assert_eq!(manifest[0]["Layers"].as_array().unwrap().len(), 2);
    assert_eq!(fs::read(image.path().join("layer-0.tar")).unwrap(), b"layer");
    let config = read(manifest[0]["Config"].as_str().unwrap());
    assert_eq!(config["rootfs"]["diff_ids"][0], "sha256:theirs");
    assert_eq!(config["config"]["Env"], json!(["PATH=/usr/bin", "HOST=0.0.0.0"]));
    assert_eq!(config["config"]["User"], "65532:65532");
}

#[test]
fn one_commit_has_one_tag_and_whatever_is_not_the_commit_another() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    fs::write(&program, "one").unwrap();
    let tag = |changed, base: Option<&str>| {
        let options = Options {
            base: base.map(str::to_owned),
            ..Options::default()
        };
        super::tag(&commit(changed), &options, &program).unwrap()
    };
    assert_eq!(tag(false, None), "0123456789ab");
    assert_eq!(tag(true, None), "0123456789ab-changed-7692c3ad");
    assert!(tag(false, Some("node")).starts_with("0123456789ab-on-"));
    assert_ne!(tag(false, Some("node")), tag(false, Some("python")));
}

#[test]
fn the_source_is_an_address_without_credentials() {
    let rows = [
        (
            "https://example.com/team/gateway.git",
            Some("https://example.com/team/gateway"),
        ),
        (
            "https://user:secret@example.com/team/gateway",
            Some("https://example.com/team/gateway"),
        ),
        (
            "git@example.com:team/gateway.git",
            Some("https://example.com/team/gateway"),
        ),
        (
            "ssh://git@example.com/team/gateway.git",
            Some("https://example.com/team/gateway"),
        ),
        ("/srv/git/gateway", None),
        ("file:///srv/git/gateway", None),
    ];
    for (remote, expected) in rows {
        assert_eq!(web_address(remote).as_deref(), expected, "{remote}");
    }
}
