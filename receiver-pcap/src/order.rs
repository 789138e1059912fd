//! The packets of one capture in order of time: those of several interfaces stand in a pcapng file as each was emptied, so that a
//! reply may stand before its request.
//!
//! A packet waits until one came that is [`WINDOW`] younger, or so much waits that it has to go. Where all are of one interface
//! nothing waits: what is odd about their stamps was so when they were captured.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::time::Duration;

use wire::{Packet, Timestamp};

use crate::file::Capture;
use crate::format::Head;
use crate::unwrap::Inner;

/// How much later than its neighbours a packet may stand.
pub(crate) const WINDOW: Duration = Duration::from_secs(2);
/// Most bytes of packets that wait.
const MAX_WAITING: usize = 64 << 20;

/// A capture whose packets come in order.
pub(crate) struct Ordered {
    capture: Capture,
    /// Packets wait, since there are several interfaces.
    sorts: bool,
    waiting: BinaryHeap<Reverse<Held>>,
    bytes: usize,
    count: u64,
    newest: Timestamp,
    ended: bool,
    /// The packet that was given out last.
    given: Option<Held>,
    last: Timestamp,
    /// Packets that came too late to be put in order.
    late: u64,
}

/// A packet that waits.
struct Held {
    head: Head,
    /// Its place in the file.
    place: u64,
    bytes: Box<[u8]>,
    inner: Option<Inner>,
}

impl Held {
    /// Bytes it takes, with as much again for what it wraps.
    fn weight(&self) -> usize {
        size_of::<Self>() + self.bytes.len() * if self.inner.is_some() { 2 } else { 1 }
    }
}

impl Ordered {
    /// In order from the first packet on.
    pub fn new(capture: Capture) -> Self {
        Self {
            capture,
            sorts: false,
            waiting: BinaryHeap::new(),
            bytes: 0,
            count: 0,
            newest: Timestamp::ZERO,
            ended: false,
            given: None,
            last: Timestamp::ZERO,
            late: 0,
        }
    }

    /// Goes to the next packet; see [`Capture::advance`].
    #[inline(always)]
    pub fn advance(&mut self) -> io::Result<bool> {
        if !self.sorts {
            let more = self.capture.advance()?;
            if !more || self.capture.interfaces() < 2 {
                return Ok(more);
            }
            self.sorts = true;
            self.hold();
        }
        self.sorted()
    }

    #[inline(never)]
    fn sorted(&mut self) -> io::Result<bool> {
        self.given = None;
        while !self.ended && self.bytes < MAX_WAITING && !self.is_ripe() {
            match self.capture.advance() {
                Ok(true) => self.hold(),
                Ok(false) => self.ended = true,
                // Whoever follows a file wants to see what is there.
                Err(error) if error.kind() == ErrorKind::WouldBlock && !self.waiting.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        let Some(Reverse(next)) = self.waiting.pop() else { return Ok(false) };
        self.bytes -= next.weight();
        self.late += u64::from(next.head.at < self.last);
        self.last = self.last.max(next.head.at);
        self.given = Some(next);
        Ok(true)
    }

    /// Nothing can come any more that belongs before what waits longest.
    fn is_ripe(&self) -> bool {
        self.waiting.peek().is_some_and(|Reverse(oldest)| self.newest.since(oldest.head.at) >= WINDOW)
    }

    /// Takes the packet that the capture is at.
    fn hold(&mut self) {
        let (Some(head), Some(whole)) = (self.capture.head().copied(), self.capture.whole()) else { return };
        let held = Held { head, place: self.count, bytes: whole.bytes.into(), inner: self.capture.inner().cloned() };
        self.count += 1;
        self.bytes += held.weight();
        self.newest = self.newest.max(head.at);
        self.waiting.push(Reverse(held));
    }

    /// See [`Capture::packet`].
    #[inline(always)]
    pub fn packet(&self) -> Option<Packet<'_>> {
        match &self.given {
            Some(Held { head, bytes, inner, .. }) => Some(head.packet(bytes, inner.as_ref())),
            None if self.sorts => None,
            None => self.capture.packet(),
        }
    }

    /// See [`Capture::whole`].
    pub fn whole(&self) -> Option<Packet<'_>> {
        match &self.given {
            Some(Held { head, bytes, .. }) => Some(head.packet(bytes, None)),
            None if self.sorts => None,
            None => self.capture.whole(),
        }
    }

    /// See [`Capture::head`].
    pub fn head(&self) -> Option<&Head> {
        match &self.given {
            Some(held) => Some(&held.head),
            None if self.sorts => None,
            None => self.capture.head(),
        }
    }

    /// See [`Capture::is_unread`].
    pub fn is_unread(&self) -> bool {
        match &self.given {
            Some(held) => held.inner.is_none() && held.head.link.is_none(),
            None => self.capture.is_unread(),
        }
    }

    /// Packets that came too late to be put in order.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// See [`Capture::damage`].
    pub fn damage(&self) -> Option<impl std::error::Error + use<>> {
        self.capture.damage()
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    /// By time; at the same time as they stand in the file.
    fn cmp(&self, other: &Self) -> Ordering {
        (self.head.at, self.place).cmp(&(other.head.at, other.place))
    }
}
