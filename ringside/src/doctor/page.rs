//! A page of a server on this host, as everybody may see it: without TLS, a password or a token.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// What is served under a path.
pub enum Page {
    /// Nothing: nobody listens there.
    Nobody,
    /// Something that is not shown to everybody.
    Closed,
    /// What comes with another status than 200.
    Refused(String),
    /// The page.
    Shown(String),
}

/// Asks a server for `path`, of which at most `most` bytes are read, and waits for each part of it for `patience`.
pub fn page(server: SocketAddr, path: &str, patience: Duration, most: u64) -> Page {
    match TcpStream::connect_timeout(&reachable(server), CONNECT) {
        Ok(stream) => read(stream, server, path, patience, most).unwrap_or(Page::Closed),
        Err(_) => Page::Nobody,
    }
}

fn read(mut stream: TcpStream, server: SocketAddr, path: &str, patience: Duration, most: u64) -> Option<Page> {
    stream.set_read_timeout(Some(patience)).ok()?;
    // Without keep-alive and chunks: what comes until the end is the answer.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n").ok()?;
    let mut bytes = Vec::new();
    stream.take(most).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let page = if head.split(' ').nth(1) == Some("200") { Page::Shown } else { Page::Refused };
    Some(page(body.to_owned()))
}

/// An address that is listened on, as reached from this host.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

const CONNECT: Duration = Duration::from_secs(1);
