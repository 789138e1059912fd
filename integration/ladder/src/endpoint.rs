//! Names of endpoints and the addresses they stand for: documentation networks of RFC 5737 and RFC 3849 only.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Names with an address of their own; any other name gets one in 192.0.2.100 to 192.0.2.249, always the same.
const KNOWN: [(&str, [u8; 4]); 6] = [
    ("alice", [192, 0, 2, 10]),
    ("bob", [198, 51, 100, 20]),
    ("carol", [198, 51, 100, 30]),
    ("dave", [198, 51, 100, 40]),
    ("proxy", [203, 0, 113, 5]),
    ("registrar", [203, 0, 113, 9]),
];

const PORT: u16 = 5060;

/// One side of an arrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// As written, without the address.
    pub name: String,
    /// Where it sends from and listens.
    pub address: SocketAddr,
}

/// The endpoints met so far: a name keeps the address it was once given.
#[derive(Debug, Default)]
pub(crate) struct Endpoints(HashMap<String, SocketAddr>);

impl Endpoints {
    /// `name` or `name@address:port`.
    pub(crate) fn resolve(&mut self, text: &str) -> Result<Endpoint, String> {
        let (name, given) = match text.split_once('@') {
            Some((name, address)) => {
                let address = address.parse().map_err(|_| format!("{address:?} is no address:port"))?;
                (name, Some(address))
            }
            None => (text, None),
        };
        if let Some(address) = given {
            self.0.insert(name.to_owned(), address);
        }
        let address = self.0.get(name).copied().unwrap_or_else(|| address(name));
        Ok(Endpoint { name: name.to_owned(), address })
    }
}

/// The address a bare name stands for.
pub fn address(name: &str) -> SocketAddr {
    let octets = KNOWN.iter().find(|(known, _)| *known == name).map_or_else(
        || {
            let hash = name.bytes().fold(17u8, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte));
            [192, 0, 2, 100 + hash % 150]
        },
        |(_, octets)| *octets,
    );
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), PORT)
}
