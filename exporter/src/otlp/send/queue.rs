//! What waits to be sent, and what is being sent: bounded in bytes, first come, first sent.
//!
//! Never waits, never allocates beyond its bound. When it is full, the newest of what is not important makes room
//! for what is; everything that is turned away is counted. A request counts until its fate is known, so the bound
//! holds for what is being retried too.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::config;
use super::super::payload::{Body, Refused, Waiting};
use super::super::stats::Stats;
use super::store::Store;

/// The queue of one exporter.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// Bytes of what waits and of what was taken and is not done.
    bytes: usize,
    /// Requests taken and not done.
    taken: usize,
    closed: bool,
    capacity: usize,
    /// Most requests at a time, waiting or taken; no bound but the bytes where the queue is enabled.
    places: usize,
    stats: Arc<Stats>,
    /// Where bodies are that are not in memory.
    store: Option<Arc<Store>>,
}

impl Queue {
    pub(super) fn new(settings: &config::Queue, stats: Arc<Stats>, store: Option<Arc<Store>>) -> Self {
        stats.set_queue_capacity(settings.queue_size);
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            taken: 0,
            closed: false,
            capacity: settings.queue_size,
            places: if settings.enabled { usize::MAX } else { settings.num_consumers },
            stats,
            store,
        }
    }

    /// Takes one in, at the cost of others if it is important. What is turned away is counted here.
    pub(super) fn push(&mut self, one: Waiting) -> Result<(), Refused> {
        let refused = if self.closed {
            Some(Refused::Stopped)
        } else if !self.make_room(&one) {
            Some(Refused::QueueFull)
        } else {
            None
        };
        if let Some(refused) = refused {
            self.turn_away(&one, refused);
            return Err(refused);
        }
        self.bytes += one.body.len();
        self.waiting.push_back(one);
        self.tell();
        Ok(())
    }

    /// The one that waits longest. Its bytes count until [`Queue::done`].
    pub(super) fn take(&mut self) -> Option<Waiting> {
        let one = self.waiting.pop_front()?;
        self.taken += 1;
        Some(one)
    }

    /// What was taken, `bytes` long, arrived or will not.
    pub(super) fn done(&mut self, bytes: usize) {
        self.taken -= 1;
        self.bytes -= bytes;
        self.tell();
    }

    /// Takes nothing in from now on; what waits can still be taken.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Nothing waits and nothing will come.
    pub(super) fn is_over(&self) -> bool {
        self.closed && self.waiting.is_empty()
    }

    /// Says whether one fits, after dropping what it may displace; drops nothing if it would not fit even then.
    fn make_room(&mut self, one: &Waiting) -> bool {
        let excess = (self.bytes + one.body.len()).saturating_sub(self.capacity);
        let crowded = self.waiting.len() + self.taken >= self.places;
        if excess == 0 && !crowded {
            return true;
        }
        let displaceable = || self.waiting.iter().filter(|other| !other.important);
        let room: usize = displaceable().map(|other| other.body.len()).sum();
        if !one.important || room < excess || displaceable().next().is_none() {
            return false;
        }
        let mut freed = 0;
        while freed < excess || freed == 0 {
            let newest = self.waiting.iter().rposition(|other| !other.important).expect("there is as much as `room`");
            let dropped = self.waiting.remove(newest).expect("it was found there");
            freed += dropped.body.len().max(1);
            self.bytes -= dropped.body.len();
            self.turn_away(&dropped, Refused::QueueFull);
        }
        true
    }

    /// Counts one that is not taken, or not any more. On disk it stays for the next run where this one only ends.
    pub(super) fn turn_away(&self, one: &Waiting, why: Refused) {
        self.stats.enqueue_failed(one.signal, why, one.items);
        if let (Some(store), Body::Stored { number, .. }) = (&self.store, &one.body) {
            match why {
                Refused::Stopped => store.release(*number),
                _ => store.remove(*number),
            }
        }
    }

    fn tell(&self) {
        self.stats.set_queue_size(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use pipeline::Telemetry;

    use super::super::super::payload::Signal;
    use super::*;

    fn payload(number: u64, bytes: usize, important: bool) -> Waiting {
        Waiting { signal: Signal::Traces, body: Body::Held(vec![0; bytes].into()), items: number, important }
    }

    fn queue(queue_size: usize, enabled: bool) -> (Queue, Arc<Stats>) {
        let stats = Arc::new(Stats::default());
        let settings = config::Queue { enabled, queue_size, ..config::Queue::default() };
        (Queue::new(&settings, Arc::clone(&stats), None), stats)
    }

    fn told(stats: &Stats, name: &str) -> f64 {
        let mut all = Vec::new();
        stats.report(&mut all);
        all.iter().filter(|one: &&Telemetry| one.name == name).map(|one| one.value).sum()
    }

    fn rest(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.take()).map(|payload| payload.items).collect()
    }

    #[test]
    fn first_come_is_first_sent_and_size_counts_until_the_fate_is_known() {
        let (mut queue, stats) = queue(100, true);
        assert_eq!(queue.push(payload(1, 40, false)), Ok(()));
        assert_eq!(queue.push(payload(2, 60, false)), Ok(()));
        assert_eq!(queue.take().map(|payload| payload.items), Some(1));
        assert_eq!(told(&stats, "otelcol_exporter_queue_size"), 100.0);
        assert_eq!(queue.push(payload(3, 1, false)), Err(Refused::QueueFull), "40 bytes are being sent");
        queue.done(40);
        assert_eq!(told(&stats, "otelcol_exporter_queue_size"), 60.0);
        assert_eq!(queue.push(payload(4, 40, false)), Ok(()));
        assert_eq!(rest(&mut queue), [2, 4]);
        assert_eq!(told(&stats, "otelcol_exporter_enqueue_failed_spans"), 3.0);
    }

    #[test]
    fn the_newest_that_is_not_important_makes_room_for_what_is() {
        let (mut queue, stats) = queue(100, true);
        for (number, important) in [(1, false), (2, true), (3, false), (4, false)] {
            assert_eq!(queue.push(payload(number, 25, important)), Ok(()));
        }
        assert_eq!(queue.push(payload(8, 30, true)), Ok(()), "two of 25 make room");
        assert_eq!(rest(&mut queue), [1, 2, 8]);
        assert_eq!(told(&stats, "otelcol_exporter_enqueue_failed_spans"), 7.0);
    }

    #[test]
    fn nothing_is_dropped_for_what_would_not_fit_even_then() {
        let (mut queue, stats) = queue(100, true);
        for (number, bytes, important) in [(1, 60, true), (2, 40, false)] {
            assert_eq!(queue.push(payload(number, bytes, important)), Ok(()));
        }
        assert_eq!(queue.push(payload(5, 41, true)), Err(Refused::QueueFull));
        assert_eq!(rest(&mut queue), [1, 2]);
        assert_eq!(told(&stats, "otelcol_exporter_enqueue_failed_spans"), 5.0);
    }

    #[test]
    fn what_is_being_sent_is_not_displaced() {
        let (mut queue, _) = queue(100, true);
        assert_eq!(queue.push(payload(1, 100, false)), Ok(()));
        assert!(queue.take().is_some());
        assert_eq!(queue.push(payload(2, 100, true)), Err(Refused::QueueFull));
    }

    #[test]
    fn a_queue_that_is_off_holds_only_what_can_be_sent_at_once() {
        let (mut queue, _) = queue(100, false);
        assert_eq!(queue.push(payload(1, 1, false)), Ok(()));
        assert_eq!(queue.push(payload(2, 1, false)), Ok(()));
        assert_eq!(queue.push(payload(3, 1, false)), Err(Refused::QueueFull));
        assert_eq!(queue.push(payload(4, 1, true)), Ok(()), "in the place of one that is not important");
        assert_eq!(rest(&mut queue), [1, 4]);
        queue.done(1);
        assert_eq!(queue.push(payload(5, 1, false)), Ok(()));
    }

    #[test]
    fn a_closed_queue_gives_what_it_holds_and_takes_nothing() {
        let (mut queue, _) = queue(100, true);
        assert_eq!(queue.push(payload(1, 1, false)), Ok(()));
        queue.close();
        assert_eq!(queue.push(payload(2, 1, true)), Err(Refused::Stopped));
        assert!(!queue.is_over());
        assert_eq!(rest(&mut queue), [1]);
        assert!(queue.is_over());
    }
}
