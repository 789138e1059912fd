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
    /// The page.
    Shown(String),
}

/// Asks a server for `path`.
pub fn page(server: SocketAddr, path: &str) -> Page {
    match TcpStream::connect_timeout(&reachable(server), CONNECT) {
        Ok(stream) => read(stream, server, path).map_or(Page::Closed, Page::Shown),
        Err(_) => Page::Nobody,
    }
}

fn read(mut stream: TcpStream, server: SocketAddr, path: &str) -> Option<String> {
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    // Without keep-alive and chunks: what comes until the end is the answer.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n").ok()?;
    let mut bytes = Vec::new();
    stream.take(MOST).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.split(' ').nth(1).is_some_and(|status| SHOWN.contains(&status)).then(|| body.to_owned())
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

/// Statuses with a page of ringside's: `/health` answers 503 where something is wrong.
const SHOWN: [&str; 2] = ["200", "503"];
const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(5);
/// Longest page that is read, in bytes.
const MOST: u64 = 64 << 20;
