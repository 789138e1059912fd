//! The host that a request asks for.
//!
//! A server checks it so that a page from elsewhere cannot read it under a name of its own (DNS rebinding): addresses
//! cannot be rebound, names can.

use hyper::Request;
use hyper::header::HOST;

/// Name or address without port: of an address written in full, else of the one Host field (RFC 9112 §3.2).
pub fn host<B>(request: &Request<B>) -> Option<&str> {
    if let Some(authority) = request.uri().authority() {
        return without_port(authority.as_str());
    }
    let mut hosts = request.headers().get_all(HOST).into_iter();
    without_port(hosts.next().filter(|_| hosts.next().is_none())?.to_str().ok()?)
}

/// The name or address in `name:port`, `address:port` or `[address]:port`, with or without a port.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = port.is_empty() || port.strip_prefix(':')?.bytes().all(|byte| byte.is_ascii_digit());
    is_port.then_some(name)
}
