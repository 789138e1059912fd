//! Traffic made up: as many calls as one likes in a capture or on a wire, the same bytes for the same seed.
//!
//! Calls begin at an even rate and go on at the same time, as on a busy trunk: most are answered (INVITE with SDP, 100,
//! 180, 200 with SDP, ACK, BYE, 200), some fail or are cancelled, some messages are sent twice, phones register. Several
//! carriers call, with several user agents. What a reader has to find is counted on the way. Memory is taken for the calls
//! that are up, not for all of them.

mod call;
mod message;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use ladder::{Step, frame, pcap};
use testnet::Injector;

pub use call::Kind;
use call::Plan;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Calls and registrations in all.
    pub calls: u64,
    /// How many begin in a second of the capture.
    pub rate: u32,
    /// How long an answered call lasts on average; each lasts between half of it and one and a half.
    pub talk: Duration,
    /// What happens to them.
    pub mix: Mix,
    /// Other numbers give other calls.
    pub seed: u64,
}

/// What happens to calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Every call is answered and hung up: seven messages.
    Answered,
    /// Of a hundred 70 are answered, 10 find somebody busy, absent or unknown, 4 an overloaded server, 4 are cancelled, 2 are
    /// answered after a repeated INVITE; 10 are registrations after a challenge.
    Everyday,
}

/// What a capture holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Messages, repeats included.
    pub messages: u64,
    /// Of each [`Kind`], in the order of [`Kind::ALL`].
    pub calls: [u64; Kind::ALL.len()],
}

impl Held {
    /// How many of a kind.
    pub fn of(&self, kind: Kind) -> u64 {
        self.calls[kind as usize]
    }

    /// What `/metrics` must say once all is over. Selectors for [`crate::exposition::Exposition::assert`].
    pub fn expectations(&self) -> Vec<(String, f64)> {
        let all: u64 = self.calls.iter().sum();
        let answered = self.of(Kind::Answered) + self.of(Kind::Repeated);
        let registered = self.of(Kind::Registered);
        let expected = [
            ("packets_total", self.messages),
            ("session_attempts_total", all - registered),
            ("session_outcomes_total{outcome=\"answered\"}", answered),
            ("sessions_ended_total{end=\"bye\"}", answered),
            ("session_outcomes_total{outcome=\"busy\"}", self.of(Kind::Busy)),
            ("session_outcomes_total{outcome=\"no_answer\"}", self.of(Kind::Absent)),
            ("session_outcomes_total{outcome=\"client_error\"}", self.of(Kind::Unknown)),
            ("session_outcomes_total{outcome=\"ineffective\"}", self.of(Kind::Overloaded)),
            ("session_outcomes_total{outcome=\"cancelled\"}", self.of(Kind::Cancelled)),
            ("registration_attempts_total", registered),
            ("registration_outcomes_total{outcome=\"success\"}", registered),
            ("retransmissions_total{kind=\"request\"}", self.of(Kind::Repeated)),
            ("retransmissions_total{kind=\"response\"}", 0),
            ("parse_errors_total", 0),
            ("unmatched_total", 0),
            ("anomalies_total", 0),
            ("capture_duplicates_total", 0),
            ("dialogs", 0),
        ];
        expected.map(|(selector, count)| (selector.to_owned(), count as f64)).into()
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self { calls: 10_000, rate: 2_000, talk: Duration::from_secs(20), mix: Mix::Everyday, seed: 1 }
    }
}

/// When the next message of a call is due, which call, and which of its messages; the earliest first.
type Due = BinaryHeap<Reverse<(Duration, u64, usize)>>;

/// The capture begins at this time since 1970-01-01: the start of 2026.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

impl Traffic {
    /// Writes a capture file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<Held> {
        out.write_all(&pcap::header())?;
        let mut record = Vec::new();
        self.each(|step, number| {
            record.clear();
            pcap::push(&mut record, step, number as u16, EPOCH);
            out.write_all(&record)
        })
    }

    /// Hands over each message in order of time, with its number.
    ///
    /// # Errors
    /// What `take` errs with.
    pub fn each(&self, mut take: impl FnMut(&Step, u64) -> io::Result<()>) -> io::Result<Held> {
        let mut held = Held::default();
        let mut due = Due::new();
        for call in 0..self.calls {
            let begins = Duration::from_nanos(call * 1_000_000_000 / u64::from(self.rate));
            while due.peek().is_some_and(|Reverse((at, ..))| *at < begins) {
                self.next(&mut due, &mut held, &mut take)?;
            }
            let plan = Plan::of(self, call);
            held.calls[plan.kind as usize] += 1;
            due.push(Reverse((begins, call, 0)));
        }
        while !due.is_empty() {
            self.next(&mut due, &mut held, &mut take)?;
        }
        Ok(held)
    }

    /// Sends each message when it is due: nobody waits for anybody, so the rate holds whatever else the machine does, and
    /// what was sent is known to the last message.
    ///
    /// # Panics
    /// When the kernel does not take one.
    pub fn send(&self, injector: &Injector) -> Held {
        let start = Instant::now();
        let held = self.each(|step, number| {
            // Coarser than the clock of sleeping threads, finer than a scrape.
            if let Some(early) = step.at.checked_sub(start.elapsed()).filter(|early| *early > Duration::from_millis(1))
            {
                thread::sleep(early);
            }
            injector.send(&frame::ethernet(&frame::datagram(step, number as u16)));
            Ok(())
        });
        held.expect("sending panics rather than err")
    }

    fn next(
        &self,
        due: &mut Due,
        held: &mut Held,
        take: &mut impl FnMut(&Step, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(Reverse((at, call, index))) = due.pop() else { return Ok(()) };
        let plan = Plan::of(self, call);
        take(&plan.step(at, index), held.messages)?;
        held.messages += 1;
        if let Some(pause) = plan.pause_before(index + 1) {
            due.push(Reverse((at + pause, call, index + 1)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
