//! The ring: what it holds while nobody reads, and that what it cannot hold is counted.

use std::net::{SocketAddr, UdpSocket};
use std::thread;

use receiver_ebpf_sip::RingShape;
use testnet::Namespace;

use crate::common::capture::{Tap, live};
use crate::{PORT, message, on};

#[test]
fn a_full_ring_loses_packets_and_counts_each() {
    live("a_full_ring_loses_packets_and_counts_each", || {
        Namespace::new().expect("checked").enter();
        let shape = RingShape { block_size: 128 * 1024, blocks: 2, retire_ms: 20 };
        let mut tap = Tap::with_ring(on("lo"), shape);
        let sent = 5000;
        let socket = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
        for number in 0..sent {
            socket.send_to(&message(&number.to_string(), 400), ("127.0.0.1", PORT)).expect("sent");
        }
        tap.wait_for(|tap| tap.messages().len() as u64 + tap.drops() == sent);
        assert!(tap.drops() > 0 && !tap.messages().is_empty());
        assert_eq!(tap.kept(), sent);
        assert!(tap.value("otelcol_receiver_ring_freezes") > 0.0);
        // And it goes on.
        socket.send_to(&message("after", 0), ("127.0.0.1", PORT)).expect("sent");
        tap.wait_for(|tap| tap.messages().last().is_some_and(|last| last.name == "after"));
    });
}

#[test]
fn a_stalled_reader_finds_everything_in_the_ring() {
    live("a_stalled_reader_finds_everything_in_the_ring", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::with_ring(on("lo"), RingShape::default());
        let from: SocketAddr = thread::spawn(|| {
            // Another thread of the same namespace, as real senders are.
            let socket = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
            for number in 0..50_000 {
                socket.send_to(&message(&number.to_string(), 200), ("127.0.0.1", PORT)).expect("sent");
            }
            socket.local_addr().expect("bound")
        })
        .join()
        .expect("the sender ends");
        let seen = tap.until(50_000);
        assert!(seen.iter().enumerate().all(|(number, name)| *name == number.to_string()));
        assert!(tap.messages().iter().all(|seen| seen.source == from));
        assert_eq!(tap.drops(), 0);
    });
}
