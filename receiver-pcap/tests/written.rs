//! What is written as pcapng is read again.

use std::fs;

use receiver_pcap::trace::Packets;
use recordings::Writer;
use wire::{Link, Packet, Tap, Timestamp};

#[test]
fn what_is_written_is_read_again() {
    let mut writer = Writer::new(Vec::new(), "a test").expect("a vector takes everything");
    let packets =
        [(1, 113, Link::LinuxCooked, &b"abc"[..]), (7, 1, Link::Ethernet, b"defgh"), (9, 113, Link::LinuxCooked, b"")];
    for (at, link_type, link, bytes) in packets {
        let at = Timestamp::from_nanos(1_767_225_600_000_000_000 + at);
        let packet = Packet { at, link, interface: 0, bytes, original_len: 99, tap: Tap::Between };
        writer.packet(&packet, link_type).expect("a vector takes everything");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("written.pcapng");
    fs::write(&path, writer.finish().expect("a vector takes everything")).expect("it can be written");
    let mut read = Packets::open(&[path]).expect("it is a capture");
    for (at, link_type, link, bytes) in packets {
        let found = read.read().expect("it can be read").expect("there is one");
        assert_eq!(found.link_type, link_type);
        assert_eq!((found.whole.at.as_nanos() % 1000, found.whole.link, found.whole.bytes), (at, link, bytes));
        assert_eq!(found.whole.original_len, 99);
    }
    assert!(read.read().expect("it can be read").is_none());
}
