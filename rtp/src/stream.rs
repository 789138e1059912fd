//! A stream: what came of it, what did not, when, and what would have been too late to be played (RFC 3550 §6.4.1, A.1,
//! A.3, A.8; `sip-metrics.md` 5.3, 5.5). A fixed size, whatever comes.

use crate::codec::Codec;
use crate::ptime::Steps;
use crate::runs::{Bursts, Groups, Runs};
use crate::window::{Fate, WINDOW, Window};

/// A jump of numbers forward up to this is loss (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3000;
/// A step of numbers back up to this is a repeat or another order (RFC 3550 A.1).
const MAX_MISORDER: u16 = 100;
/// Time stamps that deviate more from arrivals have jumped, in nanoseconds.
const MAX_DEVIATION: i64 = 1_000_000_000;
/// Units of transit times, in nanoseconds.
const TICK: i64 = 8;
const SECOND: u64 = 1_000_000_000;
/// Numbers begin here, so that there is room below the first.
const FIRST_CYCLE: u32 = 1 << 16;

/// A packet that came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When, in nanoseconds.
    pub at: u64,
    /// Its number.
    pub sequence: u16,
    /// Its time stamp.
    pub timestamp: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// What that stands for.
    pub codec: Codec,
    /// The clock of its time stamps, in Hz; 0 is taken as 8,000.
    pub clock: u32,
}

/// What a packet was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A number that had not come before.
    New {
        /// It is lower than another one that came.
        reordered: bool,
        /// Its time stamp does not go on from the one before.
        jumped: bool,
    },
    /// A number that had come.
    Duplicate,
    /// It is beyond what may be lost or out of order, and counts for nothing.
    Aside,
    /// It follows the one that was set aside before, and both begin a new segment: two packets came.
    Restarted {
        /// Their time stamps do not go on from the ones before: so many jumps.
        jumps: u8,
    },
}

/// The state of a stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// When its first packet came.
    first: u64,
    /// When its last one came.
    last: u64,
    /// When the last packet of speech came; its time stamp, clock, number and type.
    spoken: u64,
    spoken_timestamp: u32,
    clock: u32,
    spoken_sequence: u16,
    spoken_type: u8,
    /// The codec of the last packet of speech, once there was one.
    codec: Codec,
    /// The highest number, with its cycles.
    highest: u32,
    /// The lowest number of the segment.
    base: u32,
    /// Expected in the segments before.
    expected_before: u32,
    received: u32,
    window: Window,
    /// How far transit is above where it was when this second began, in [`TICK`]s; and its least in this second and the
    /// one before.
    transit: i32,
    least: [i32; 2],
    /// The second of the stream.
    second: u32,
    /// In nanoseconds.
    jitter: f32,
    jitter_max: f32,
    steps: Steps,
    groups: Groups,
    duplicates: u32,
    reordered: u32,
    discarded: u32,
    /// The interval under way; the codec of most of its packets, and by how many.
    interval: Running,
    most: Codec,
    votes: u16,
    /// The packet that was set aside.
    aside: Aside,
}

/// The interval under way.
#[derive(Clone, Copy, Debug)]
struct Running {
    /// Numbers up to this became expected before it.
    from: u32,
    /// Totals when it began.
    expected: u32,
    lost: u32,
    discarded: u32,
    runs: Runs,
}

#[derive(Clone, Copy, Debug, Default)]
struct Aside {
    at: u64,
    timestamp: u32,
    sequence: u16,
    payload_type: u8,
    /// There is one.
    is_there: bool,
}

/// An interval of a stream that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Packets that became expected in it.
    pub expected: u32,
    /// Packets lost in it.
    pub lost: u32,
    /// Those of its packets that came too late to be played.
    pub discarded: u32,
    /// How many more packets of the stream are known to be discarded than at its beginning: what counters take.
    pub newly_discarded: u32,
    /// How much longer missing packets follow one another than by chance.
    pub burst_ratio: f64,
    /// Jitter at its end, in nanoseconds.
    pub jitter: f64,
    /// The codec of most of its packets; `None` where there was none.
    pub codec: Option<Codec>,
}

/// All of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Packets there should have been.
    pub expected: u32,
    /// Distinct packets that came.
    pub received: u32,
    /// Repeats.
    pub duplicates: u32,
    /// Packets that came after one of a higher number.
    pub reordered: u32,
    /// Packets that came too late to be played.
    pub discarded: u32,
    /// Jitter in the end, and the most there was, in nanoseconds.
    pub jitter: f64,
    /// The most there was.
    pub jitter_max: f64,
    /// How much longer missing packets follow one another than by chance.
    pub burst_ratio: f64,
    /// Bursts and gaps.
    pub bursts: Bursts,
}

impl Summary {
    /// Packets that did not come.
    pub fn lost(&self) -> u32 {
        self.expected.saturating_sub(self.received)
    }

    /// The same as RFC 3550 A.3 counts it, repeats as received.
    pub fn lost_rfc3550(&self) -> i64 {
        i64::from(self.expected) - i64::from(self.received) - i64::from(self.duplicates)
    }
}

impl Stream {
    /// A stream that begins with two packets in sequence (RFC 3550 A.1). `buffer`: of the jitter buffer, in nanoseconds.
    /// `None` where they are not in sequence.
    pub fn begin(first: &Arrival, second: &Arrival, buffer: u64) -> Option<Self> {
        if second.sequence != first.sequence.wrapping_add(1) {
            return None;
        }
        let base = FIRST_CYCLE + u32::from(first.sequence);
        let interval = Running { from: base - 1, expected: 0, lost: 0, discarded: 0, runs: Runs::default() };
        let mut stream = Self {
            first: first.at,
            last: first.at,
            spoken: 0,
            spoken_timestamp: 0,
            clock: 0,
            spoken_sequence: 0,
            spoken_type: 0,
            codec: first.codec,
            highest: base,
            base,
            expected_before: 0,
            received: 0,
            window: Window::default(),
            transit: 0,
            least: [i32::MAX; 2],
            second: 0,
            jitter: 0.0,
            jitter_max: 0.0,
            steps: Steps::default(),
            groups: Groups::default(),
            duplicates: 0,
            reordered: 0,
            discarded: 0,
            interval,
            most: first.codec,
            votes: 0,
            aside: Aside::default(),
        };
        stream.window.advance(1);
        stream.come(first, 0, buffer);
        stream.take(second, buffer);
        Some(stream)
    }

    /// Takes the next packet.
    #[inline]
    pub fn take(&mut self, packet: &Arrival, buffer: u64) -> Taken {
        let forward = packet.sequence.wrapping_sub(self.highest as u16);
        let behind = forward.wrapping_neg();
        if forward == 0 || (1..=MAX_MISORDER).contains(&behind) {
            self.take_behind(packet, behind.into(), buffer)
        } else if forward <= MAX_DROPOUT {
            self.advance(forward.into());
            let jumped = self.come(packet, 0, buffer);
            Taken::New { reordered: false, jumped }
        } else {
            self.take_beyond(packet, buffer)
        }
    }

    /// A packet whose number is not higher than the highest.
    #[inline(never)]
    fn take_behind(&mut self, packet: &Arrival, behind: u32, buffer: u64) -> Taken {
        let number = self.highest - behind;
        if self.window.fate(behind) != Fate::Lost {
            self.last = packet.at;
            self.duplicates += 1;
            return Taken::Duplicate;
        }
        if number < self.base {
            // The first packet that came was not the first that was sent.
            if self.interval.from == self.base - 1 {
                self.interval.from = number - 1;
            }
            self.base = number;
        }
        self.window.come(behind);
        self.reordered += 1;
        let jumped = self.come(packet, behind, buffer);
        Taken::New { reordered: true, jumped }
    }

    /// A packet beyond what may be lost or out of order.
    #[inline(never)]
    fn take_beyond(&mut self, packet: &Arrival, buffer: u64) -> Taken {
        let this = Aside {
            at: packet.at,
            timestamp: packet.timestamp,
            sequence: packet.sequence,
            payload_type: packet.payload_type,
            is_there: true,
        };
        let before = std::mem::replace(&mut self.aside, this);
        if !before.is_there || before.sequence.wrapping_add(1) != packet.sequence {
            return Taken::Aside;
        }
        self.aside.is_there = false;
        // Of a packet of another type no more is known than that it came.
        let same = before.payload_type == packet.payload_type;
        let codec = if same { packet.codec } else { Codec::TelephoneEvent };
        let before = Arrival {
            at: before.at,
            sequence: before.sequence,
            timestamp: before.timestamp,
            payload_type: before.payload_type,
            codec,
            ..*packet
        };
        self.end_segment();
        // Higher than all before, so that what belongs to which interval still shows.
        let above = self.highest + WINDOW;
        self.base = (above & !0xFFFF) + FIRST_CYCLE + u32::from(before.sequence);
        self.highest = self.base;
        self.window = Window::default();
        self.window.advance(1);
        let mut jumps = u8::from(self.come(&before, 0, buffer));
        self.advance(1);
        jumps += u8::from(self.come(packet, 0, buffer));
        Taken::Restarted { jumps }
    }

    /// The highest number is `steps` higher; what leaves the window is decided.
    #[inline]
    fn advance(&mut self, steps: u32) {
        // Nearly always the next number comes, and one leaves the window: a loop for that would cost more than the rest.
        if steps == 1 {
            let oldest = self.highest - (WINDOW - 1);
            if oldest >= self.base {
                self.decide(oldest, self.window.fate(WINDOW - 1));
            }
            self.window.advance(1);
        } else {
            self.leave(steps);
            self.window.advance(steps);
        }
        self.highest += steps;
    }

    /// Decides what leaves the window as the highest number goes up by so many steps.
    #[inline(never)]
    fn leave(&mut self, steps: u32) {
        let oldest = self.highest - (WINDOW - 1);
        for number in oldest..oldest + steps.min(WINDOW) {
            if number >= self.base {
                self.decide(number, self.window.fate(self.highest - number));
            }
        }
        if steps > WINDOW {
            self.decide_lost(self.highest + 1, steps - WINDOW);
        }
    }

    #[inline]
    fn decide(&mut self, number: u32, fate: Fate) {
        let in_interval = number > self.interval.from;
        if fate == Fate::Played {
            self.groups.good();
            if in_interval {
                self.interval.runs.good();
            }
        } else {
            self.groups.miss(1);
            if in_interval {
                self.interval.runs.miss(1, fate == Fate::Discarded);
            }
        }
    }

    /// So many numbers from `number` on never came, and are behind the window.
    fn decide_lost(&mut self, number: u32, count: u32) {
        debug_assert!(number > self.interval.from);
        self.groups.miss(count);
        self.interval.runs.miss(count, false);
    }

    /// A number came for the first time, `behind` the highest. Returns whether its time stamp jumped.
    #[inline]
    fn come(&mut self, packet: &Arrival, behind: u32, buffer: u64) -> bool {
        self.received += 1;
        self.last = packet.at;
        self.vote(packet.codec);
        if !packet.codec.is_speech() {
            return false;
        }
        let (jumped, late) = self.speak(packet, buffer);
        if late {
            self.window.discard(behind);
            self.discarded += 1;
        }
        jumped
    }

    /// A packet of speech: when it came, by its time stamp. Returns whether that jumped, and whether it is too late.
    #[inline]
    fn speak(&mut self, packet: &Arrival, buffer: u64) -> (bool, bool) {
        let clock = if packet.clock == 0 { 8000 } else { packet.clock };
        let mut jumped = false;
        if self.clock == clock {
            let stamped = i64::from(packet.timestamp.wrapping_sub(self.spoken_timestamp) as i32);
            let arrived = packet.at.wrapping_sub(self.spoken) as i64;
            let deviation = arrived.saturating_sub(stamped * SECOND as i64 / i64::from(clock));
            jumped = deviation.unsigned_abs() > MAX_DEVIATION as u64;
            if !jumped {
                self.jitter += (deviation.unsigned_abs() as f32 - self.jitter) / 16.0;
                self.jitter_max = self.jitter_max.max(self.jitter);
                self.transit = self.transit.saturating_add((deviation / TICK) as i32);
            }
            if packet.sequence == self.spoken_sequence.wrapping_add(1) && packet.payload_type == self.spoken_type {
                self.steps.take(stamped as u32);
            }
        }
        (self.clock, self.codec) = (clock, packet.codec);
        (self.spoken, self.spoken_timestamp) = (packet.at, packet.timestamp);
        (self.spoken_sequence, self.spoken_type) = (packet.sequence, packet.payload_type);
        let second = u32::try_from(packet.at.saturating_sub(self.first) / SECOND).unwrap_or(u32::MAX);
        if second != self.second {
            self.begin_second(second);
        }
        self.least[0] = self.least[0].min(self.transit);
        let reference = self.least[0].min(self.least[1]);
        let above = (i64::from(self.transit) - i64::from(reference)) * TICK;
        (jumped, above > buffer as i64)
    }

    /// The least transit of the second before stays what it is compared with.
    fn begin_second(&mut self, second: u32) {
        let before = if second == self.second.wrapping_add(1) { self.least[0] } else { i32::MAX };
        self.second = second;
        // Counted from here on, so that no drift of clocks is too much for it.
        let moved = |transit: i32| if transit == i32::MAX { transit } else { transit.saturating_sub(self.transit) };
        self.least = [i32::MAX, moved(before)];
        self.transit = 0;
    }

    /// Most packets of the interval have which codec: digits and noise are not asked.
    #[inline]
    fn vote(&mut self, codec: Codec) {
        if codec == self.most {
            self.votes = self.votes.saturating_add(1);
        } else if codec.is_speech() {
            if self.votes == 0 || !self.most.is_speech() {
                (self.most, self.votes) = (codec, 1);
            } else {
                self.votes -= 1;
            }
        }
    }

    /// Numbers go on elsewhere: what is in the window is decided.
    fn end_segment(&mut self) {
        for number in self.base.max(self.highest - (WINDOW - 1))..=self.highest {
            self.decide(number, self.window.fate(self.highest - number));
        }
        self.expected_before += self.highest - self.base + 1;
        // What is in the interval is decided too.
        self.interval.from = self.interval.from.max(self.highest);
    }

    /// The interval under way ends, and the next begins.
    pub fn end_interval(&mut self) -> Interval {
        let mut runs = self.interval.runs;
        let undecided = self.base.max(self.highest - (WINDOW - 1)).max(self.interval.from + 1);
        for number in undecided..=self.highest {
            match self.window.fate(self.highest - number) {
                Fate::Played => runs.good(),
                fate => runs.miss(1, fate == Fate::Discarded),
            }
        }
        let (expected, lost) = (self.expected(), self.expected().saturating_sub(self.received));
        let before = self.interval;
        let ended_expected = expected - before.expected;
        let ended_lost = lost.saturating_sub(before.lost);
        let missing = f64::from(ended_lost + runs.discarded) / f64::from(ended_expected.max(1));
        self.interval =
            Running { from: self.highest, expected, lost, discarded: self.discarded, runs: Runs::default() };
        let codec = (self.votes > 0).then_some(self.most);
        (self.most, self.votes) = (self.codec, 0);
        Interval {
            expected: ended_expected,
            lost: ended_lost,
            discarded: runs.discarded,
            newly_discarded: self.discarded - before.discarded,
            burst_ratio: runs.ratio(missing.min(1.0)),
            jitter: self.jitter.into(),
            codec,
        }
    }

    fn expected(&self) -> u32 {
        self.expected_before + (self.highest - self.base + 1)
    }

    /// Everything up to now.
    pub fn summary(&self) -> Summary {
        let mut groups = self.groups;
        for number in self.base.max(self.highest - (WINDOW - 1))..=self.highest {
            match self.window.fate(self.highest - number) {
                Fate::Played => groups.good(),
                _ => groups.miss(1),
            }
        }
        let expected = self.expected();
        let (missing, runs) = (groups.total_missing(), groups.runs);
        let share = f64::from(missing) / f64::from(expected.max(1));
        let ratio = if runs == 0 { 1.0 } else { f64::from(missing) / f64::from(runs) * (1.0 - share) };
        Summary {
            expected,
            received: self.received,
            duplicates: self.duplicates,
            reordered: self.reordered,
            discarded: self.discarded,
            jitter: self.jitter.into(),
            jitter_max: self.jitter_max.into(),
            burst_ratio: ratio.max(1.0),
            bursts: groups.finish(),
        }
    }

    /// When its first packet came, in nanoseconds.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// When its last packet came, in nanoseconds.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The codec of its last packet of speech.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Type, codec and clock of its last packet of speech; `None` before the first.
    pub fn spoken_as(&self) -> Option<(u8, Codec, u32)> {
        (self.clock > 0).then_some((self.spoken_type, self.codec, self.clock))
    }

    /// How much speech a packet holds, in nanoseconds: by its time stamps, else `described`, else 20 ms.
    pub fn ptime(&self, described: Option<u64>) -> u64 {
        let seen = self.steps.most_frequent().filter(|_| self.clock > 0);
        let seen = seen.map(|step| u64::from(step) * SECOND / u64::from(self.clock));
        seen.or(described).unwrap_or(20_000_000)
    }
}

#[cfg(test)]
mod tests;
