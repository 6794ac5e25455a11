//! A certificate authority of this checkout and a certificate for loopback names, made by `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::interrupt::Interrupt;
use crate::{apt, process};

/// The names of a load balancer on loopback.
pub(crate) const LOOPBACK: &str = "DNS:gateway.localhost,DNS:localhost,IP:127.0.0.1";

/// A new key for a certificate.
const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];

/// What a TLS server and its clients need.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// The authority's certificate: what clients trust.
    pub(crate) authority: PathBuf,
    /// The server's certificate and key in one file.
    pub(crate) server: PathBuf,
}

/// Makes both in `directory`, unless they are there and good for another day: a certificate for `names`, as openssl
/// writes them. The authority stays the same, so that whoever trusts it goes on doing so.
pub(crate) fn provide(
    directory: &Path,
    names: &str,
    log: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<Tls> {
    fs::create_dir_all(directory)?;
    let tls = Tls {
        authority: directory.join("ca.pem"),
        server: directory.join("server.pem"),
    };
    let program = apt::program("openssl", "openssl", "the cluster's certificate", log, interrupt)?;
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(directory);
        process::run("openssl", &mut command, log, interrupt)
    };
    let lasts = |file: &str| {
        directory.join(file).exists()
            && openssl(&["x509", "-checkend", "86400", "-noout", "-in", file]).is_ok()
    };
    if lasts("ca.pem") && lasts("server.pem") {
        return Ok(tls);
    }
    if !lasts("ca.pem") {
        let subject = ["-subj", "/CN=MCP gateway cluster authority", "-days", "3650"];
        let files = ["-keyout", "ca.key", "-out", "ca.pem"];
        openssl(&[&["req", "-x509"][..], &KEY, &subject, &files].concat())?;
    }
    let extensions =
        format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n");
    fs::write(directory.join("server.ext"), extensions)?;
    let request = [
        "-subj",
        "/CN=gateway.localhost",
        "-keyout",
        "server.key",
        "-out",
        "server.csr",
    ];
    openssl(&[&["req"][..], &KEY, &request].concat())?;
    let authority = [
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "397",
    ];
    let files = [
        "-in",
        "server.csr",
        "-extfile",
        "server.ext",
        "-out",
        "server.crt",
    ];
    openssl(&[&["x509", "-req"][..], &authority, &files].concat())?;
    let certificate = fs::read(directory.join("server.crt"))?;
    fs::write(
        &tls.server,
        [certificate, fs::read(directory.join("server.key"))?].concat(),
    )?;
    Ok(tls)
}
