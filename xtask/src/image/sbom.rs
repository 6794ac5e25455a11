//! What the binary is made of, as `CycloneDX`: the packages that cargo links for this target, from the lock file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::build::{Commit, Platform};
use crate::workspace::Workspace;

/// Writes it to `path` and returns the number of packages.
pub(crate) fn write(
    workspace: &Workspace,
    platform: Platform,
    commit: &Commit,
    id: &str,
    path: &Path,
) -> anyhow::Result<usize> {
    // Not offline: it reads the manifests of all packages, and a build has fetched only those that it needed.
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--no-default-features", "--filter-platform", platform.triple])
        .arg("--manifest-path")
        .arg(workspace.root().join("gateway/Cargo.toml"))
        .output()
        .context("`cargo` does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "`cargo metadata` failed: {}",
        said.trim()
    );
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let lock = fs::read_to_string(workspace.root().join("Cargo.lock"))?;
    let document = document(&metadata, &checksums(&lock), commit, id)?;
    let count = list(&document, "/components").count();
    fs::write(path, serde_json::to_vec_pretty(&document)?)
        .with_context(|| format!("`{}` cannot be written", path.display()))?;
    Ok(count)
}

fn document(
    metadata: &Value,
    checksums: &BTreeMap<(String, String), String>,
    commit: &Commit,
    id: &str,
) -> anyhow::Result<Value> {
    let text = |value: &Value, name: &str| part(value, name).to_owned();
    let packages: BTreeMap<String, &Value> = list(metadata, "/packages")
        .map(|package| (text(package, "id"), package))
        .collect();
    let edges: BTreeMap<String, Vec<String>> = list(metadata, "/resolve/nodes")
        .map(|node| (text(node, "id"), linked(node)))
        .collect();
    let root = packages
        .iter()
        .find(|(_, package)| part(package, "name") == "gateway");
    let (root, gateway) = root.context("cargo knows no package `gateway`")?;
    let linked = reachable(root, &edges);
    let reference = |id: &str| packages.get(id).map(|package| purl(package)).unwrap_or_default();
    let components: Vec<Value> = linked
        .iter()
        .filter(|id| *id != root)
        .filter_map(|id| packages.get(id))
        .map(|package| component(package, checksums))
        .collect();
    let dependencies: Vec<Value> = linked
        .iter()
        .map(|id| {
            let on: BTreeSet<_> = edges
                .get(id)
                .into_iter()
                .flatten()
                .map(|id| reference(id))
                .collect();
            json!({ "ref": reference(id), "dependsOn": on })
        })
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "serialNumber": serial_number(id),
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": commit.time,
            "component": {
                "type": "container",
                "bom-ref": purl(gateway),
                "name": "gateway",
                "version": text(gateway, "version"),
                "properties": [
                    { "name": "image-id", "value": id },
                    { "name": "commit", "value": commit.sha },
                ],
            },
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// A UUID that the same image always has (RFC 9562, version 8). Without one, what attests takes the document for none.
fn serial_number(id: &str) -> String {
    let digits: String = id
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .chars()
        .take(30)
        .collect();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-8{}-a{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    )
}

/// The packages that a node of the graph links, which those for builds and tests are not.
fn linked(node: &Value) -> Vec<String> {
    let links = |dependency: &&Value| {
        list(dependency, "/dep_kinds").any(|kind| kind.get("kind").is_none_or(Value::is_null))
    };
    list(node, "/deps")
        .filter(links)
        .map(|dependency| part(dependency, "pkg").to_owned())
        .collect()
}

fn reachable(root: &str, edges: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(id) = waiting.pop() {
        if seen.insert(id.clone()) {
            waiting.extend(edges.get(&id).into_iter().flatten().cloned());
        }
    }
    seen
}

fn purl(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", part(package, "name"), part(package, "version"))
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let (name, version) = (
        part(package, "name").to_owned(),
        part(package, "version").to_owned(),
    );
    // Some old packages write `MIT/Apache-2.0`, which is no expression.
    let licence = part(package, "license").replace('/', " OR ");
    let licences: &[Value] = if licence.is_empty() {
        &[]
    } else {
        &[json!({ "expression": licence })]
    };
    let checksum = checksums.get(&(name.clone(), version.clone()));
    let hashes: Vec<Value> = checksum
        .map(|checksum| json!({ "alg": "SHA-256", "content": checksum }))
        .into_iter()
        .collect();
    json!({
        "type": "library",
        "bom-ref": purl(package),
        "name": name,
        "version": version,
        "purl": purl(package),
        "licenses": licences,
        "hashes": hashes,
    })
}

/// The checksum of each package, by name and version, in the text of a lock file.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_start_matches(" = \"").trim_end_matches('"').to_owned())
    };
    lock.split("[[package]]")
        .filter_map(|block| {
            Some((
                (value(block, "name")?, value(block, "version")?),
                value(block, "checksum")?,
            ))
        })
        .collect()
}

fn part<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_always_has_the_same_serial_number() {
        let id = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        assert_eq!(serial_number(id), "urn:uuid:01234567-89ab-8cde-af01-23456789abcd");
    }

    #[test]
    fn it_lists_what_is_linked_and_nothing_that_only_builds_or_tests() {
        let package =
            |name: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0" });
        let on = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let packages = ["gateway", "linked", "deep", "builds", "tests"].map(package);
        let metadata = json!({
            "packages": packages,
            "resolve": { "nodes": [
                { "id": "gateway", "deps": [on("linked", Value::Null), on("builds", json!("build")), on("tests", json!("dev"))] },
                { "id": "linked", "deps": [on("deep", Value::Null)] },
                { "id": "deep", "deps": [] },
            ] },
        });
        let lock =
            "[[package]]\nname = \"deep\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"abc\"\n";
        let commit = Commit {
            sha: "0".repeat(40),
            time: "2026-01-02T03:04:05Z".to_owned(),
            changed: false,
        };
        let document = document(&metadata, &checksums(lock), &commit, "sha256:1").unwrap();
        let purls: Vec<_> = list(&document, "/components")
            .map(|one| one["purl"].as_str().unwrap())
            .collect();
        assert_eq!(purls, ["pkg:cargo/deep@1.0.0", "pkg:cargo/linked@1.0.0"]);
        assert_eq!(document["components"][0]["hashes"][0]["content"], "abc");
        assert_eq!(document["components"][1]["hashes"], json!([]));
        assert_eq!(
            document["components"][1]["licenses"][0]["expression"],
            "MIT OR Apache-2.0"
        );
        assert_eq!(
            document["dependencies"][1],
            json!({ "ref": "pkg:cargo/gateway@1.0.0", "dependsOn": ["pkg:cargo/linked@1.0.0"] })
        );
    }
}
