//! Single requests to servers on this machine: enough to ask whether one is up, and to speak JSON with it.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(2);
/// For an answer that takes work: an emulator loads what a service needs at its first request.
const WORK_TIMEOUT: Duration = Duration::from_secs(30);

/// The status with which the server on loopback `port` answers a GET of `path`.
pub(crate) fn status(port: u16, path: &str) -> io::Result<u16> {
    status_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), path)
}

/// The status with which the server at `address` answers a GET of `path`.
pub(crate) fn status_at(address: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = connect(address)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    status_line(&mut BufReader::new(stream))
}

/// A request with a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// Such as `POST`.
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    /// Further header lines.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub(crate) body: &'a str,
}

/// Sends `request` to loopback `port`; returns status and body.
pub(crate) fn send(port: u16, request: Request<'_>) -> io::Result<(u16, String)> {
    let mut stream = connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    stream.set_read_timeout(Some(WORK_TIMEOUT))?;
    write(&mut stream, request)?;
    let mut reader = BufReader::new(stream);
    let status = read_head(&mut reader)?;
    let mut body = String::new();
    reader.read_to_string(&mut body)?;
    Ok((status, body))
}

/// Writes `request`. It is one of HTTP/1.0, so that the answer ends with its connection and has no chunks.
pub(crate) fn write(stream: &mut impl io::Write, request: Request<'_>) -> io::Result<()> {
    let Request {
        method,
        path,
        headers,
        body,
    } = request;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n",
        body.len()
    )?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(stream, "\r\n{body}")
}

/// Reads the head of an answer up to the body; returns the status.
pub(crate) fn read_head(reader: &mut impl io::BufRead) -> io::Result<u16> {
    let status = status_line(reader)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line.trim_end() != "" {
        line.clear();
    }
    Ok(status)
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn status_line(reader: &mut impl io::BufRead) -> io::Result<u16> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    line.strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_whitespace().nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("not an HTTP/1 status line: {line:?}"),
            )
        })
}

/// Whether a server could listen on loopback `port` now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A loopback port that nobody listens on at this moment.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::{is_free, status};

    fn serve_once(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        port
    }

    #[test]
    fn the_status_code_is_read() {
        let port = serve_once("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(status(port, "/health").unwrap(), 503);
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        assert!(status(serve_once("220 mail.example.com ESMTP\r\n"), "/health").is_err());
    }

    #[test]
    fn nobody_listening_is_an_error() {
        assert!(status(1, "/health").is_err());
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
    }
}
