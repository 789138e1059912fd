//! The receiver on real networks: what it keeps, what it refuses, and that nothing is counted twice.
//!
//! Each test has network namespaces of its own. Where the kernel refuses those, packet sockets or bpf(),
//! a test says `skipped` on stderr and proves nothing.

mod changes;
#[path = "../common/mod.rs"]
mod common;
mod media;
mod privileges;
mod probing;
mod ring;
mod tls;
mod wrappings;

use common::frames::{IPV4, UDP, ethernet, ipv4, udp};
use receiver_ebpf_sip::Config;
use testnet::Injector;

/// Not 5060, so that a test that looks at the wrong namespace sees nothing.
const PORT: u16 = 15060;

fn on(interface: &str) -> Config {
    Config { interfaces: vec![interface.into()], ports: vec![PORT], ..Config::default() }
}

/// A SIP message that names itself, `length` bytes long at least.
fn message(name: &str, length: usize) -> Vec<u8> {
    let mut bytes = format!("OPTIONS sip:{name}@example.com SIP/2.0\r\nCall-ID: {name}\r\n\r\n").into_bytes();
    while bytes.len() < length {
        bytes.extend(format!("{} ", bytes.len()).bytes());
    }
    bytes
}

fn send_over(interface: &str, name: &str) {
    send_to_port(interface, PORT, name);
}

fn send_to_port(interface: &str, port: u16, name: &str) {
    let frame = ethernet(IPV4, &ipv4(UDP, &udp(40_000, port, &message(name, 0))));
    Injector::new(interface).expect("the cable is there").send(&frame);
}
