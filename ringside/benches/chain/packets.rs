//! Packets of calls that begin at an even rate and go on beside each other, as a network card would hand them over.

use std::time::Duration;

use intake::{ClockMode, Intake, IntakeSettings, PortSet};
use ladder::traffic::Traffic;
use ladder::{Step, frame};
use pipeline::FrameBatch;
use wire::{Link, Packet, Tap, Timestamp};

use super::{CALL, FULL};

/// Packets that a receiver hands over at once: about as many as a block of the ring holds.
const BATCH: usize = 256;

/// Made, and not yet taken.
pub struct Packets {
    traffic: Traffic,
    calls_per_second: u64,
    bytes: Vec<u8>,
    /// Where each ends in `bytes`, and when it came.
    ends: Vec<(usize, Timestamp)>,
    taken: usize,
}

impl Packets {
    /// None yet.
    pub fn new(calls_per_second: u64) -> Self {
        Self::of(CALL, calls_per_second)
    }

    /// The same of another call.
    pub fn of(call: &str, calls_per_second: u64) -> Self {
        let traffic = Traffic::new(call, calls_per_second);
        Self { traffic, calls_per_second, bytes: Vec::new(), ends: Vec::new(), taken: 0 }
    }

    /// Calls until as many end and are forgotten as begin.
    pub fn calls_until_full(&self) -> usize {
        usize::try_from(self.calls_per_second * FULL).expect("a number of calls")
    }

    /// So many calls begin, others go on and end meanwhile. What was made before must have been taken.
    pub fn make(&mut self, calls: usize) {
        self.bytes.clear();
        self.ends.clear();
        self.taken = 0;
        for _ in 0..calls {
            let mut at = EPOCH + self.traffic.now();
            let (bytes, ends) = (&mut self.bytes, &mut self.ends);
            self.traffic.next_call(|message, source, destination| {
                let step = Step { at: Duration::ZERO, source, destination, bytes: message.to_vec() };
                bytes.extend(frame::ethernet(&frame::datagram(&step, ends.len() as u16)));
                at = at + Duration::from_micros(10);
                ends.push((bytes.len(), at));
            });
        }
    }

    /// Nothing is left.
    pub fn all_are_taken(&self) -> bool {
        self.taken == self.ends.len()
    }

    /// Takes a batch of them, as a receiver does.
    pub fn take(&mut self, intake: &mut Intake, batch: &mut FrameBatch) {
        batch.clear();
        let end = (self.taken + BATCH).min(self.ends.len());
        for index in self.taken..end {
            let (end, at) = self.ends[index];
            let start = index.checked_sub(1).map_or(0, |before| self.ends[before].0);
            let bytes = &self.bytes[start..end];
            let original_len = u32::try_from(bytes.len()).expect("one packet");
            let packet = Packet { at, link: Link::Ethernet, interface: 0, bytes, original_len, tap: Tap::Between };
            intake.packet(&packet, batch);
        }
        self.taken = end;
    }
}

/// What takes packets apart.
pub fn intake() -> Intake {
    Intake::new(IntakeSettings::new(ClockMode::File, PortSet::from_iter([5060])))
}

const EPOCH: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);
