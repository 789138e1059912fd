//! Where to listen, as people write it.

use std::net::{Ipv4Addr, SocketAddr};

/// `0.0.0.0:2112`, `[::]:2112` or `localhost:2112` (IPv4); `None` for anything else.
pub fn address(endpoint: &str) -> Option<SocketAddr> {
    match endpoint.strip_prefix("localhost:") {
        Some(port) => Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into()),
        None => endpoint.parse().ok(),
    }
}
