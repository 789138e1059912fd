//! Records whose addresses are not known yet: kept until another one of their connection tells them, or too long.
//!
//! Bounded in bytes and in time; what is given up is counted by whoever asks. Most records belong to no connection that
//! waits, and cost one look at a table.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Most bytes kept.
const MAX_BYTES: usize = 4 << 20;

/// How long a record waits.
const LONGEST: Duration = Duration::from_secs(30);

/// Records that wait, of all connections.
#[derive(Debug, Default)]
pub struct PendingAddresses {
    /// Oldest first.
    records: VecDeque<Kept>,
    bytes: usize,
    /// How many there are of each connection.
    waiting: HashMap<u64, usize>,
}

#[derive(Debug)]
struct Kept {
    connection: u64,
    /// CLOCK_MONOTONIC, nanoseconds.
    at: u64,
    bytes: Vec<u8>,
}

impl PendingAddresses {
    /// Keeps a record of `connection` that was made at `at`. Returns how many older ones had to make room.
    pub fn put(&mut self, connection: u64, at: u64, bytes: Vec<u8>) -> u64 {
        self.bytes += bytes.len();
        *self.waiting.entry(connection).or_default() += 1;
        self.records.push_back(Kept { connection, at, bytes });
        let mut given_up = 0;
        while self.bytes > MAX_BYTES {
            self.drop_first();
            given_up += 1;
        }
        given_up
    }

    /// Gives back what waits of `connection`, oldest first.
    pub fn take(&mut self, connection: u64) -> Vec<Vec<u8>> {
        if self.waiting.remove(&connection).is_none() {
            return Vec::new();
        }
        let mut taken = Vec::new();
        self.records.retain_mut(|record| {
            let stays = record.connection != connection;
            if !stays {
                self.bytes -= record.bytes.len();
                taken.push(std::mem::take(&mut record.bytes));
            }
            stays
        });
        taken
    }

    /// Gives up what has waited too long at `now`, on the records' clock. Returns how many records that were.
    pub fn expire(&mut self, now: u64) -> u64 {
        let is_old = |record: &Kept| u128::from(now.saturating_sub(record.at)) > LONGEST.as_nanos();
        let mut given_up = 0;
        while self.records.front().is_some_and(is_old) {
            self.drop_first();
            given_up += 1;
        }
        given_up
    }

    fn drop_first(&mut self) {
        let Some(Kept { connection, bytes, .. }) = self.records.pop_front() else { return };
        self.bytes -= bytes.len();
        let left = self.waiting.get_mut(&connection).expect("it is counted");
        *left -= 1;
        if *left == 0 {
            self.waiting.remove(&connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn records_come_back_in_their_order_and_once() {
        let mut pending = PendingAddresses::default();
        for (connection, byte) in [(1, b'a'), (2, b'b'), (1, b'c')] {
            assert_eq!(pending.put(connection, 0, vec![byte]), 0);
        }
        assert_eq!(pending.take(1), [b"a", b"c"]);
        assert!(pending.take(1).is_empty());
        assert_eq!(pending.take(2), [b"b"]);
        assert_eq!((pending.bytes, pending.waiting.len()), (0, 0));
    }

    #[test]
    fn what_waits_too_long_is_given_up() {
        let mut pending = PendingAddresses::default();
        for at in [0, 1, 2] {
            pending.put(at, at * SECOND, vec![0; 80]);
        }
        assert_eq!(pending.expire(31 * SECOND), 1);
        assert_eq!(pending.expire(31 * SECOND + 1), 1);
        assert!(pending.take(1).is_empty());
        assert_eq!(pending.take(2).len(), 1);
    }

    #[test]
    fn the_oldest_make_room() {
        let mut pending = PendingAddresses::default();
        let given_up: u64 = (0..1000).map(|connection| pending.put(connection, 0, vec![0; 16_000])).sum();
        assert!(pending.bytes <= MAX_BYTES);
        assert_eq!(pending.records.len() + given_up as usize, 1000);
        assert_eq!(pending.waiting.len(), pending.records.len());
        assert!(pending.take(0).is_empty());
        assert_eq!(pending.take(999).len(), 1);
    }
}
