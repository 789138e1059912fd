//! Rows of a receiver that asks instead of listening: what became of its probes, for each target and transport (6.1).
//!
//! Such a receiver brings no frames. It writes down here what it sent and what came back, and whoever shows metrics
//! copies the rows. A row is one lock, so that a copy of it is of one instant: sent = received + lost + in flight.
//! Nothing here reads a clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sip::{Message, Method};

/// What the Call-ID of every probe ends in.
pub const CALL_ID_SUFFIX: &str = "@probe.ringside.invalid";

/// Whether a message is a probe's: OPTIONS, or a response to it, with that Call-ID. Any sender may choose that, so it
/// means nothing for other methods.
pub fn is_probe(message: &Message<'_>) -> bool {
    message.method() == Method::Options && message.call_id.ends_with(CALL_ID_SUFFIX.as_bytes())
}

/// Upper bounds (inclusive) of the round trip, in nanoseconds.
pub const RTT_BOUNDS: [u64; 12] = {
    let mut bounds =
        [1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000];
    let mut i = 0;
    while i < bounds.len() {
        bounds[i] *= 1000;
        i += 1;
    }
    bounds
};

/// Round trips whose differences are the jitter.
const JITTER_OVER: usize = 10;

/// A target, and what it is asked over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeTarget {
    /// Its name, as configured.
    pub name: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'static str,
}

/// What came that ends no probe: `reason` of `probe_unexpected_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unexpected {
    /// It names no probe of ours: another branch, another method, or it is a request.
    Stray,
    /// It answers a probe that was given up.
    Late,
    /// It answers a probe that was answered.
    Doubled,
    /// It is no SIP message.
    Unreadable,
}

impl Unexpected {
    /// All of them, in order of their index.
    pub const ALL: [Self; 4] = [Self::Stray, Self::Late, Self::Doubled, Self::Unreadable];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stray => "stray",
            Self::Late => "late",
            Self::Doubled => "doubled",
            Self::Unreadable => "unreadable",
        }
    }
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeEnd {
    /// By a final response.
    Answered {
        /// 200 to 699.
        status: u16,
        /// Round trip.
        rtt: Duration,
    },
    /// Nothing came in time.
    Timeout,
    /// It could not be asked: no address, no connection, no trust.
    Error,
}

impl ProbeEnd {
    /// Whether the target can be reached: any final response shows that, but 503.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Answered { status, .. } if status != 503)
    }
}

/// What is known of a connection with TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TlsSeen {
    /// How long the handshake took; `None` where it failed.
    pub handshake: Option<Duration>,
    /// When the first certificate of the chain expires, in seconds since the Unix epoch; `None` where none could be read.
    pub not_after: Option<i64>,
}

/// The rows of one receiver. Rows are added and taken away while they are shown.
#[derive(Debug, Default)]
pub struct Probes {
    rows: Mutex<BTreeMap<ProbeTarget, Arc<ProbeRow>>>,
    /// The next row's number.
    next: AtomicU32,
}

impl Probes {
    /// The row of a target: the one there is, with its counts, or a new one at zero.
    pub fn row(&self, target: &ProbeTarget, carrier: &str) -> Arc<ProbeRow> {
        let mut rows = lock(&self.rows);
        if let Some(row) = rows.get(target) {
            lock(&row.numbers).carrier = carrier.to_owned();
            return Arc::clone(row);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let numbers = Mutex::new(ProbeNumbers { carrier: carrier.to_owned(), ..ProbeNumbers::default() });
        let row = Arc::new(ProbeRow { target: target.clone(), number, numbers, paths: Mutex::default() });
        rows.insert(target.clone(), Arc::clone(&row));
        row
    }

    /// The row of a target, if there is one.
    pub fn find(&self, target: &ProbeTarget) -> Option<Arc<ProbeRow>> {
        lock(&self.rows).get(target).cloned()
    }

    /// Takes away the rows that `keep` does not want.
    pub fn retain(&self, mut keep: impl FnMut(&ProbeTarget) -> bool) {
        lock(&self.rows).retain(|target, _| keep(target));
    }

    /// A copy of every row, in order of names.
    pub fn copy(&self) -> Vec<ProbeCopy> {
        let rows: Vec<Arc<ProbeRow>> = lock(&self.rows).values().cloned().collect();
        rows.iter().map(|row| row.copy()).collect()
    }
}

/// The counts of one target over one transport.
#[derive(Debug)]
pub struct ProbeRow {
    target: ProbeTarget,
    number: u32,
    numbers: Mutex<ProbeNumbers>,
    /// The addresses it is asked at, by a name whoever asks gives them.
    paths: Mutex<BTreeMap<String, Path>>,
}

/// One row at one instant.
#[derive(Clone, Debug)]
pub struct ProbeCopy {
    /// Whose.
    pub target: ProbeTarget,
    /// Of this row alone, as long as the program runs.
    pub number: u32,
    /// What was counted.
    pub numbers: ProbeNumbers,
}

/// What a row holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeNumbers {
    /// The carrier it belongs to, as configured; empty for none.
    pub carrier: String,
    /// Probes begun: those received, lost and in flight.
    pub sent: u64,
    /// Probes a final response came to.
    pub received: u64,
    /// Probes without one by the timeout, or that could not be asked.
    pub lost: u64,
    /// Probes under way.
    pub in_flight: u64,
    /// Requests sent again.
    pub retransmissions: u64,
    /// By [`Unexpected`].
    pub unexpected: [u64; Unexpected::ALL.len()],
    /// Responses by status: finals, and the last provisional one of each probe.
    pub statuses: BTreeMap<u16, u64>,
    /// Probes that ended by the timeout.
    pub timeouts: u64,
    /// Probes that could not be asked.
    pub errors: u64,
    /// Round trips: those of each bucket, then above the last bound.
    pub rtt: [u64; RTT_BOUNDS.len() + 1],
    /// Sum of the round trips in nanoseconds.
    pub rtt_sum: u64,
    /// Of all paths now; `None` before the first result.
    pub now: Option<ProbeNow>,
}

/// What a target is like now: of several addresses the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProbeNow {
    /// Every address answered its last probe, and not with 503.
    pub up: bool,
    /// Status of the newest result, 0 where there was none.
    pub last_status: u16,
    /// The newest round trip in seconds, of several addresses the longest; `None` before the first answer.
    pub last_rtt: Option<f64>,
    /// Mean difference of successive round trips in seconds, over the last ten; `None` before the second.
    pub jitter: Option<f64>,
    /// When the first certificate expires, in seconds since the Unix epoch.
    pub not_after: Option<i64>,
    /// The newest handshake, in seconds.
    pub handshake: Option<f64>,
}

/// One address.
#[derive(Debug, Default)]
struct Path {
    up: Option<bool>,
    last_rtt: Option<Duration>,
    /// Differences, the newest last.
    differences: VecDeque<Duration>,
    tls: TlsSeen,
}

impl ProbeRow {
    /// A probe begins.
    pub fn sent(&self) {
        let mut numbers = lock(&self.numbers);
        numbers.sent += 1;
        numbers.in_flight += 1;
    }

    /// A request was sent again.
    pub fn retransmitted(&self) {
        lock(&self.numbers).retransmissions += 1;
    }

    /// Something came that ends nothing.
    pub fn unexpected(&self, what: Unexpected) {
        lock(&self.numbers).unexpected[what as usize] += 1;
    }

    /// A connection of `path` was made, or refused for what it showed.
    pub fn secured(&self, path: &str, seen: TlsSeen) {
        let mut paths = lock(&self.paths);
        let known = &mut paths.entry(path.to_owned()).or_default().tls;
        *known =
            TlsSeen { handshake: seen.handshake.or(known.handshake), not_after: seen.not_after.or(known.not_after) };
    }

    /// A probe of `path` ended. `provisional` came before.
    pub fn ended(&self, path: &str, end: ProbeEnd, provisional: Option<u16>) {
        let mut paths = lock(&self.paths);
        let at = paths.entry(path.to_owned()).or_default();
        at.up = Some(end.is_up());
        if let ProbeEnd::Answered { rtt, .. } = end
            && let Some(last) = at.last_rtt.replace(rtt)
        {
            if at.differences.len() == JITTER_OVER - 1 {
                at.differences.pop_front();
            }
            at.differences.push_back(rtt.abs_diff(last));
        }
        let last_status = if let ProbeEnd::Answered { status, .. } = end { status } else { 0 };
        let now = worst(&paths, last_status);
        let mut numbers = lock(&self.numbers);
        numbers.count(end, provisional);
        numbers.now = Some(now);
    }

    /// Only these addresses are asked from now on.
    pub fn keep_paths(&self, mut keep: impl FnMut(&str) -> bool) {
        let mut paths = lock(&self.paths);
        paths.retain(|path, _| keep(path));
        let mut numbers = lock(&self.numbers);
        let Some(before) = numbers.now else { return };
        numbers.now = paths.values().any(|path| path.up.is_some()).then(|| worst(&paths, before.last_status));
    }

    fn copy(&self) -> ProbeCopy {
        ProbeCopy { target: self.target.clone(), number: self.number, numbers: lock(&self.numbers).clone() }
    }
}

impl ProbeNumbers {
    fn count(&mut self, end: ProbeEnd, provisional: Option<u16>) {
        self.in_flight -= 1;
        if let Some(status) = provisional {
            *self.statuses.entry(status).or_default() += 1;
        }
        match end {
            ProbeEnd::Answered { status, rtt } => {
                self.received += 1;
                *self.statuses.entry(status).or_default() += 1;
                let nanos = u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX);
                self.rtt[RTT_BOUNDS.partition_point(|bound| *bound < nanos)] += 1;
                self.rtt_sum = self.rtt_sum.saturating_add(nanos);
            }
            ProbeEnd::Timeout => {
                self.lost += 1;
                self.timeouts += 1;
            }
            ProbeEnd::Error => {
                self.lost += 1;
                self.errors += 1;
            }
        }
    }
}

/// Of several addresses the worst is what the target is like.
fn worst(paths: &BTreeMap<String, Path>, last_status: u16) -> ProbeNow {
    let jitter = |path: &Path| {
        let count = u32::try_from(path.differences.len()).ok().filter(|count| *count > 0)?;
        Some((path.differences.iter().sum::<Duration>() / count).as_secs_f64())
    };
    let most = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::max);
    ProbeNow {
        up: paths.values().all(|path| path.up != Some(false)),
        last_status,
        last_rtt: most(&mut paths.values().filter_map(|path| path.last_rtt).map(|rtt| rtt.as_secs_f64())),
        jitter: most(&mut paths.values().filter_map(jitter)),
        not_after: paths.values().filter_map(|path| path.tls.not_after).min(),
        handshake: most(&mut paths.values().filter_map(|path| path.tls.handshake).map(|took| took.as_secs_f64())),
    }
}

/// Every change under a lock is whole before anything in it can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> ProbeTarget {
        ProbeTarget { name: "a".to_owned(), transport: "udp" }
    }

    fn answered(status: u16, millis: u64) -> ProbeEnd {
        ProbeEnd::Answered { status, rtt: Duration::from_millis(millis) }
    }

    fn numbers(probes: &Probes) -> ProbeNumbers {
        probes.copy().remove(0).numbers
    }

    #[test]
    fn sent_is_received_lost_and_in_flight_at_every_instant() {
        let probes = Probes::default();
        let row = probes.row(&target(), "");
        let holds = || {
            let ProbeNumbers { sent, received, lost, in_flight, .. } = numbers(&probes);
            assert_eq!(sent, received + lost + in_flight);
            (received, lost, in_flight)
        };
        row.sent();
        row.sent();
        row.sent();
        assert_eq!(holds(), (0, 0, 3));
        row.ended("x", answered(404, 3), Some(100));
        row.ended("x", ProbeEnd::Timeout, None);
        row.ended("x", ProbeEnd::Error, None);
        assert_eq!(holds(), (1, 2, 0));
        let ProbeNumbers { statuses, timeouts, errors, rtt, rtt_sum, .. } = numbers(&probes);
        assert_eq!((statuses, timeouts, errors), ([(100, 1), (404, 1)].into(), 1, 1));
        assert_eq!((rtt[2], rtt.iter().sum::<u64>(), rtt_sum), (1, 1, 3_000_000));
    }

    #[test]
    fn any_final_response_but_503_shows_that_a_target_is_up() {
        let probes = Probes::default();
        let row = probes.row(&target(), "");
        assert_eq!(numbers(&probes).now, None, "0 would read as down");
        for (end, up, status) in [
            (answered(401, 1), true, 401),
            (answered(503, 1), false, 503),
            (answered(501, 1), true, 501),
            (ProbeEnd::Timeout, false, 0),
            (answered(302, 1), true, 302),
            (ProbeEnd::Error, false, 0),
        ] {
            row.sent();
            row.ended("x", end, None);
            let now = numbers(&probes).now.expect("there is a result");
            assert_eq!((now.up, now.last_status), (up, status), "{end:?}");
        }
    }

    #[test]
    fn jitter_is_the_mean_difference_over_the_last_ten_answers() {
        let probes = Probes::default();
        let row = probes.row(&target(), "");
        let jitter = |end| {
            row.sent();
            row.ended("x", end, None);
            numbers(&probes).now.and_then(|now| now.jitter)
        };
        assert_eq!(jitter(answered(200, 1000)), None);
        assert_eq!(jitter(ProbeEnd::Timeout), None);
        assert_eq!(jitter(answered(200, 10)), Some(0.99));
        for _ in 0..8 {
            jitter(answered(200, 10));
        }
        // Nine differences lie between ten answers: that of the first is out.
        assert_eq!(jitter(answered(200, 10)), Some(0.0));
        assert_eq!(jitter(answered(200, 19)), Some(0.001));
    }

    #[test]
    fn of_several_addresses_the_worst_counts_until_it_is_gone() {
        let probes = Probes::default();
        let row = probes.row(&target(), "");
        let now = || numbers(&probes).now.expect("there is a result");
        row.secured("x", TlsSeen { handshake: None, not_after: Some(7) });
        row.secured("y", TlsSeen { handshake: Some(Duration::from_millis(250)), not_after: Some(5) });
        for (path, end) in [("x", answered(200, 1)), ("y", ProbeEnd::Timeout), ("x", answered(200, 1))] {
            row.sent();
            row.ended(path, end, None);
        }
        assert_eq!((now().up, now().not_after, now().handshake), (false, Some(5), Some(0.25)));
        row.keep_paths(|path| path == "x");
        assert_eq!((now().up, now().not_after), (true, Some(7)));
        row.keep_paths(|_| false);
        assert_eq!(numbers(&probes).now, None);
        assert_eq!(numbers(&probes).sent, 3);
    }

    #[test]
    fn a_row_that_stays_keeps_its_counts_and_one_that_comes_back_begins_anew() {
        let probes = Probes::default();
        probes.row(&target(), "x").sent();
        let first = probes.copy().remove(0);
        probes.row(&target(), "y").sent();
        let second = probes.copy().remove(0);
        assert_eq!((second.numbers.sent, second.numbers.carrier.as_str()), (2, "y"));
        assert_eq!(first.number, second.number);
        probes.retain(|_| false);
        probes.row(&target(), "");
        let third = probes.copy().remove(0);
        assert!(third.numbers.sent == 0 && third.number != first.number);
    }
}
