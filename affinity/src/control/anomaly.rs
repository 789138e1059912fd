//! Whether steering itself is sound: what the program in the kernel could not do, and what no longer comes back.
//!
//! An anomaly of a service sends its new dialogs the standard way, for as long as it lasts and half a minute longer.

use std::collections::VecDeque;

/// Seconds that are looked at together.
const WINDOW: usize = 5;

/// Packets in a window below which nothing is concluded from ratios.
const ENOUGH: u64 = 20;

/// Seconds without an anomaly after which it is over.
const OVER: u32 = 30;

/// What was counted of a service in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets that were to be changed or redirected.
    pub steered: u64,
    /// Of these, those that could not be.
    pub failed: u64,
    /// Requests to backends, ACK not among them.
    pub requests: u64,
    /// Responses of backends.
    pub replies: u64,
    /// Flows pushed out although they were younger than 60 s.
    pub young_evictions: u64,
    /// How full the fullest map is that never pushes anything out, in thousandths.
    pub fullest_map: u32,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anomaly {
    /// More than 1 % of the packets could not be changed or redirected.
    Errors,
    /// Fewer than three replies to ten requests, where there were more than eight before.
    Replies,
    /// Flows are pushed out while they are in use.
    Evictions,
    /// A map is more than 90 % full.
    Full,
}

impl Anomaly {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Errors, Self::Replies, Self::Evictions, Self::Full];

    /// The value of the `kind` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Replies => "replies",
            Self::Evictions => "evictions",
            Self::Full => "full",
        }
    }
}

/// What is wrong with the steering of one service.
#[derive(Clone, Debug, Default)]
pub struct Anomalies {
    seconds: VecDeque<Traffic>,
    /// More than eight of ten requests have been answered.
    answered: bool,
    /// Seconds since each was last seen; `None` when it is over, or never was.
    since: [Option<u32>; Anomaly::ALL.len()],
}

impl Anomalies {
    /// Whether new dialogs are to go the standard way. A full map is told, and no reason for that: what has no room there
    /// still goes where its Call-ID says, while whoever fills it would switch the steering of every service off.
    pub fn any(&self) -> bool {
        let matters = |kind: &Anomaly| *kind != Anomaly::Full;
        Anomaly::ALL.iter().zip(&self.since).any(|(kind, since)| since.is_some() && matters(kind))
    }

    /// Takes what was counted in a second; says what has become wrong with it, which was not before.
    pub fn second(&mut self, traffic: Traffic) -> Vec<Anomaly> {
        self.seconds.push_back(traffic);
        if self.seconds.len() > WINDOW {
            self.seconds.pop_front();
        }
        let now = self.seen();
        let mut begun = Vec::new();
        for (place, anomaly) in Anomaly::ALL.into_iter().enumerate() {
            let since = &mut self.since[place];
            if now[place] {
                if since.replace(0).is_none() {
                    begun.push(anomaly);
                }
            } else if let Some(seconds) = since {
                *seconds += 1;
                if *seconds >= OVER {
                    *since = None;
                }
            }
        }
        begun
    }

    fn seen(&mut self) -> [bool; Anomaly::ALL.len()] {
        let sum = |of: fn(&Traffic) -> u64| self.seconds.iter().map(of).sum::<u64>();
        let (steered, failed) = (sum(|traffic| traffic.steered), sum(|traffic| traffic.failed));
        let (requests, replies) = (sum(|traffic| traffic.requests), sum(|traffic| traffic.replies));
        let whole = self.seconds.len() == WINDOW;
        let errors = steered >= ENOUGH && failed * 100 > steered;
        let judged = whole && requests >= ENOUGH;
        let unanswered = judged && self.answered && replies * 10 < requests * 3;
        // What is not answered for long is how it is here, no longer an anomaly.
        self.answered = (self.answered && !unanswered) || (judged && replies * 10 > requests * 8);
        let last = self.seconds.back();
        let evictions = sum(|traffic| traffic.young_evictions) > 0;
        [errors, unanswered, evictions, last.is_some_and(|traffic| traffic.fullest_map > 900)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(anomalies: &mut Anomalies, seconds: usize, traffic: Traffic) -> Vec<Anomaly> {
        (0..seconds).flat_map(|_| anomalies.second(traffic)).collect()
    }

    #[test]
    fn more_than_one_failed_packet_in_a_hundred_is_one() {
        let anomalies = &mut Anomalies::default();
        let one = Traffic { steered: 100, failed: 1, ..Traffic::default() };
        assert_eq!(play(anomalies, 10, one), []);
        assert_eq!(play(anomalies, 10, Traffic { failed: 2, ..one }), [Anomaly::Errors]);
        assert_eq!(play(&mut Anomalies::default(), 4, Traffic { steered: 4, failed: 4, ..one }), [], "too few");
    }

    #[test]
    fn replies_that_stay_away_are_one_only_where_there_were_replies() {
        let answered = Traffic { requests: 100, replies: 90, ..Traffic::default() };
        let silent = Traffic { replies: 20, ..answered };
        assert_eq!(play(&mut Anomalies::default(), 60, silent), []);
        let anomalies = &mut Anomalies::default();
        assert_eq!(play(anomalies, 10, answered), []);
        assert_eq!(play(anomalies, 10, Traffic { replies: 40, ..answered }), []);
        assert_eq!(play(anomalies, 60, silent), [Anomaly::Replies]);
        assert!(!anomalies.any(), "it lasts half a minute, then that is how it is");
    }

    #[test]
    fn evictions_of_young_flows_and_full_maps_are_anomalies_and_end() {
        let anomalies = &mut Anomalies::default();
        let full = Traffic { fullest_map: 901, ..Traffic::default() };
        let evicted = Traffic { young_evictions: 1, ..Traffic::default() };
        assert_eq!(play(anomalies, 3, Traffic { fullest_map: 900, ..full }), []);
        assert_eq!(play(anomalies, 3, full), [Anomaly::Full]);
        assert!(!anomalies.any(), "a full map sends nobody the standard way");
        assert_eq!(play(anomalies, 1, evicted), [Anomaly::Evictions]);
        assert_eq!(play(anomalies, 4 + OVER as usize - 1, Traffic::default()), []);
        assert!(anomalies.any());
        assert_eq!(play(anomalies, 1, Traffic::default()), []);
        assert!(!anomalies.any());
    }
}
