//! Captures that are still being written: what is there is read at once, what comes later when it comes.

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Order, START, ethernet, gzip, message};
use pipeline::{FrameBatch, Received, Receiver};
use receiver_pcap::{Config, PcapReceiver, Report};

/// A receiver that follows the newest of its files, and how many messages it has given out.
struct Follower {
    receiver: PcapReceiver,
    batch: FrameBatch,
    frames: usize,
}

impl Follower {
    fn new(files: Vec<PathBuf>) -> Self {
        let config = Config { files, follow: true, ..Config::default() };
        let mut receiver = PcapReceiver::new(config, Arc::<Report>::default());
        receiver.start().expect("it can be read");
        Self { receiver, batch: FrameBatch::default(), frames: 0 }
    }

    fn receive(&mut self) -> Received {
        let received = self.receiver.receive(&mut self.batch, Duration::ZERO).expect("it can be read");
        self.frames += self.batch.frames.len();
        received
    }

    /// Receives until so many messages came.
    fn until(&mut self, frames: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.frames < frames {
            assert_eq!(self.receive(), Received::Batch);
            assert!(Instant::now() < deadline, "{} of {frames} messages came", self.frames);
        }
        assert_eq!(self.frames, frames);
    }
}

/// The parts of a capture: what is before the first packet, and each packet.
fn pcap() -> Vec<Vec<u8>> {
    let order = Order::LITTLE;
    let records = (0..4).map(|number| order.record(START + u64::from(number), 0, &ethernet(&message(number))));
    [order.pcap(0xa1b2_c3d4, 1)].into_iter().chain(records).collect()
}

fn pcapng() -> Vec<Vec<u8>> {
    let order = Order::LITTLE;
    let packet = |number: u32| order.enhanced(0, (START + u64::from(number)) * 1_000_000, &ethernet(&message(number)));
    [[order.section(), order.interface(1, 0, &[])].concat()].into_iter().chain((0..4).map(packet)).collect()
}

#[test]
fn a_capture_that_grows_is_read_wherever_it_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("growing");
    for parts in [pcap(), pcapng()] {
        let (whole, first) = (parts.concat(), parts[0].len() + parts[1].len());
        // The other packets are alike.
        for cut in (first..=first + parts[2].len()).step_by(5) {
            fs::write(&path, &whole[..cut]).expect("it can be written");
            let mut follower = Follower::new(vec![path.clone()]);
            follower.until(1);
            assert_eq!(follower.receive(), Received::Batch);
            let mut file = OpenOptions::new().append(true).open(&path).expect("it is there");
            file.write_all(&whole[cut..]).expect("it can be written");
            follower.until(4);
            assert_eq!(follower.receive(), Received::Batch);
        }
    }
}

#[test]
fn of_several_the_newest_is_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let [older, newer] = ["a", "b"].map(|name| folder.path().join(name));
    let parts = pcap();
    fs::write(&older, parts[..3].concat()).expect("it can be written");
    fs::write(&newer, [&parts[0], &parts[3]].map(Vec::as_slice).concat()).expect("it can be written");
    let mut follower = Follower::new(vec![newer.clone(), older]);
    follower.until(3);
    OpenOptions::new().append(true).open(&newer).and_then(|mut file| file.write_all(&parts[4])).expect("it is there");
    follower.until(4);
}

#[test]
fn one_that_is_compressed_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("whole.gz");
    fs::write(&path, gzip(&pcap().concat())).expect("it can be written");
    let mut follower = Follower::new(vec![path]);
    while follower.receive() == Received::Batch {}
    assert_eq!(follower.frames, 4);
}
