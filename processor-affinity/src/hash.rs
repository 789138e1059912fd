//! Keyed hashes that stand for what the wire brings, and tables by them.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::net::{IpAddr, SocketAddr};

use foldhash::quality::RandomState;
use sip::Method;

/// For tables whose keys are such hashes already.
pub type Hashed = BuildHasherDefault<Same>;

/// Takes a key that is a hash for its hash.
#[derive(Clone, Copy, Default)]
pub struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers of 64 bits")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Makes hashes with a key of this process, so that nobody outside can make two collide.
#[derive(Clone, Default)]
pub struct Hashes(RandomState);

impl Hashes {
    /// Of a payload.
    pub fn payload(&self, bytes: &[u8]) -> u64 {
        self.make(|hasher| hasher.write(bytes))
    }

    /// Of a Call-ID, and so of a dialog.
    pub fn dialog(&self, call_id: &[u8]) -> u64 {
        self.make(|hasher| hasher.write(call_id))
    }

    /// Of a transaction: Call-ID, branch of the top Via, CSeq.
    pub fn transaction(&self, dialog: u64, branch: &[u8], (number, method): (u32, Method)) -> u64 {
        self.make(|hasher| {
            hasher.write(branch);
            hasher.write_u64(dialog);
            hasher.write_u64(u64::from(number) << 8 | method.index() as u64);
        })
    }

    /// Of what a client and a service say to each other.
    pub fn flow(&self, client: SocketAddr, service: u16) -> u64 {
        self.make(|hasher| {
            write(hasher, client);
            hasher.write_u16(service);
        })
    }

    /// Of an address with a port.
    pub fn address(&self, address: SocketAddr) -> u64 {
        self.make(|hasher| write(hasher, address))
    }

    #[inline]
    fn make(&self, write: impl FnOnce(&mut <RandomState as BuildHasher>::Hasher)) -> u64 {
        let mut hasher = self.0.build_hasher();
        write(&mut hasher);
        hasher.finish()
    }
}

fn write(hasher: &mut impl Hasher, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => hasher.write_u64(u64::from(ip.to_bits()) << 16 | u64::from(address.port())),
        IpAddr::V6(ip) => {
            hasher.write_u128(ip.to_bits());
            hasher.write_u16(address.port());
        }
    }
}
