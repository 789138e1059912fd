//! What is counted: by the program in the kernel for itself, and by the model just the same. All grow only.

use std::collections::BTreeMap;

use super::rules::{Kind, MAX_RULES};

/// Everything that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// What concerns no service.
    pub general: [u64; General::ALL.len()],
    /// By number; services without tables count nothing.
    pub services: BTreeMap<u16, ServiceCounters>,
    /// By number.
    pub backends: BTreeMap<u16, BackendCounters>,
}

/// What became of a message to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// It was sent on to a backend.
    Steer,
    /// It took the standard path.
    Pass,
    /// A rule dropped it.
    Drop,
    /// It took the standard path because nothing is steered in mode observe, and would have been sent on.
    Observe,
}

/// Why a packet to a service took the standard path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StandardPath {
    /// TCP: not for us.
    Tcp,
    /// A rule says so.
    Rule,
    /// It belongs to an older dialog that nobody knows, and connection tracking may.
    UnknownDialog,
    /// It is new, and only dialogs that are known are steered: no heartbeat for longer than `grace`, or an anomaly.
    ExistingOnly,
    /// Its sender is the backend it would be sent to.
    Hairpin,
    /// No backend will do.
    NoBackend,
    /// The backend of the dialog is on another node, and the client is none of this node's pods.
    Remote,
    /// Where to send replies could not be remembered, or the packet not be changed.
    Failed,
}

/// What concerns no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum General {
    /// UDP packets from or to a service or backend.
    Seen,
    /// Replies whose source became the service.
    Translated,
    /// Later fragments that followed their first.
    FragmentsFollowed,
    /// Later fragments to an address of a service that follow none which was changed: they pass.
    FragmentsEarly,
    /// First fragments that were remembered.
    FragmentsFirst,
    /// Super-datagrams (GSO): they go where their first message goes.
    Super,
    /// Packets straight to a backend from a client whose replies come from the service.
    Bypass,
    /// Packets with the address of a backend that is in a pod of this node, which entered where no pod is: not listened to.
    Spoofed,
    /// Flows that were remembered anew.
    Flows,
    /// The map of dialogs was full.
    DialogsFull,
    /// A flow could not be remembered.
    FlowsFull,
    /// A first fragment could not be remembered.
    FragmentsFull,
    /// A bucket could not be remembered.
    BucketsFull,
    /// Bytes of a packet could not be read.
    Unreadable,
    /// A packet could not be changed.
    NotRewritten,
    /// A packet could not be redirected.
    NotRedirected,
    /// Records of [`crate::steer`] that found no room while somebody watched.
    EventsLost,
}

/// What is counted of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCounters {
    /// Messages by [`Kind::index`] and [`Action`].
    pub packets: [[u64; Action::ALL.len()]; Kind::COUNT],
    /// Why messages took the standard path.
    pub passed: [u64; StandardPath::ALL.len()],
    /// By number of the rule; number 0 has none.
    pub rules: [RuleCounters; MAX_RULES + 1],
    /// Emergency calls within their limit.
    pub emergency: u64,
    /// And beyond it.
    pub emergency_over: u64,
    /// Requests with a To tag whose dialog is known.
    pub in_dialog_known: u64,
    /// And those whose is not.
    pub in_dialog_unknown: u64,
}

/// What is counted of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounters {
    /// Packets it dropped, over a limit or at once.
    pub dropped: u64,
    /// Packets over its limit, dropped or not; in mode observe also those it would drop at once.
    pub limited: u64,
}

/// Buckets of the time to a first response.
pub const FIRST_RESPONSE_BUCKETS: usize = 64;

/// What is counted of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendCounters {
    /// Requests sent on to it.
    pub requests: u64,
    /// Initial INVITEs among them.
    pub invites: u64,
    /// ACKs among them, which nobody answers.
    pub acks: u64,
    /// Dialogs that were given to it.
    pub new_dialogs: u64,
    /// Dialogs it was heard speaking of first.
    pub learned: u64,
    /// Requests it sent.
    pub sent: u64,
    /// Responses it sent, 1xx to 6xx.
    pub responses: [u64; 6],
    /// Responses 503 to an INVITE.
    pub unavailable: u64,
    /// Responses 408 to an INVITE.
    pub timeouts: u64,
    /// First responses to initial INVITEs by [`first_response_bucket`] of the time they took.
    pub first_response: [u64; FIRST_RESPONSE_BUCKETS],
    /// Sum of those times, ns.
    pub first_response_sum: u64,
}

/// The bucket of a time in ns: four for each doubling, in units of 2²⁰ ns (1.05 ms), the last one for all that is longer.
pub const fn first_response_bucket(nanos: u64) -> usize {
    let units = nanos >> 20;
    if units < 4 {
        return units as usize;
    }
    let exponent = units.ilog2();
    let bucket = ((exponent - 1) * 4) as usize + (units >> (exponent - 2) & 3) as usize;
    if bucket < FIRST_RESPONSE_BUCKETS { bucket } else { FIRST_RESPONSE_BUCKETS - 1 }
}

/// The shortest time of a bucket, in ns: all shorter ones are in those before it.
pub const fn first_response_bound(bucket: usize) -> u64 {
    if bucket < 4 {
        return (bucket as u64) << 20;
    }
    let (exponent, quarter) = (bucket / 4 + 1, bucket % 4);
    ((4 + quarter) as u64) << (exponent - 2) << 20
}

impl Action {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 4] = [Self::Steer, Self::Pass, Self::Drop, Self::Observe];

    /// The label `action` of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steer => "steer",
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Observe => "observe",
        }
    }
}

impl StandardPath {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 8] = [
        Self::Tcp,
        Self::Rule,
        Self::UnknownDialog,
        Self::ExistingOnly,
        Self::Hairpin,
        Self::NoBackend,
        Self::Remote,
        Self::Failed,
    ];

    /// The label `reason` of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Rule => "rule",
            Self::UnknownDialog => "unknown_dialog",
            Self::ExistingOnly => "existing_only",
            Self::Hairpin => "hairpin",
            Self::NoBackend => "no_backend",
            Self::Remote => "remote",
            Self::Failed => "failed",
        }
    }
}

impl General {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 17] = [
        Self::Seen,
        Self::Translated,
        Self::FragmentsFollowed,
        Self::FragmentsEarly,
        Self::FragmentsFirst,
        Self::Super,
        Self::Bypass,
        Self::Spoofed,
        Self::Flows,
        Self::DialogsFull,
        Self::FlowsFull,
        Self::FragmentsFull,
        Self::BucketsFull,
        Self::Unreadable,
        Self::NotRewritten,
        Self::NotRedirected,
        Self::EventsLost,
    ];
}

impl Counters {
    /// One of those that concern no service.
    pub fn general(&self, which: General) -> u64 {
        self.general[which as usize]
    }
}

impl ServiceCounters {
    /// Messages of a kind that became this.
    pub fn packets(&self, kind: Kind, action: Action) -> u64 {
        self.packets[kind.index()][action as usize]
    }

    /// Messages that took the standard path for this.
    pub fn passed(&self, why: StandardPath) -> u64 {
        self.passed[why as usize]
    }
}

impl Default for ServiceCounters {
    fn default() -> Self {
        Self {
            packets: Default::default(),
            passed: Default::default(),
            rules: [RuleCounters::default(); MAX_RULES + 1],
            emergency: 0,
            emergency_over: 0,
            in_dialog_known: 0,
            in_dialog_unknown: 0,
        }
    }
}

impl Default for BackendCounters {
    fn default() -> Self {
        Self {
            requests: 0,
            invites: 0,
            acks: 0,
            new_dialogs: 0,
            learned: 0,
            sent: 0,
            responses: [0; 6],
            unavailable: 0,
            timeouts: 0,
            first_response: [0; FIRST_RESPONSE_BUCKETS],
            first_response_sum: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_the_order_of_the_lists() {
        assert!(Action::ALL.iter().enumerate().all(|(index, action)| *action as usize == index));
        assert!(StandardPath::ALL.iter().enumerate().all(|(index, why)| *why as usize == index));
        assert!(General::ALL.iter().enumerate().all(|(index, which)| *which as usize == index));
    }

    #[test]
    fn buckets_of_the_first_response_follow_each_other_and_begin_where_they_say() {
        for bucket in 0..FIRST_RESPONSE_BUCKETS {
            let bound = first_response_bound(bucket);
            assert_eq!(first_response_bucket(bound), bucket);
            assert!(bound == 0 || first_response_bucket(bound - 1) == bucket - 1);
        }
        assert_eq!(first_response_bucket(u64::MAX), FIRST_RESPONSE_BUCKETS - 1);
        assert!(
            first_response_bound(FIRST_RESPONSE_BUCKETS - 1) > 60_000_000_000,
            "the last one begins beyond a minute"
        );
    }
}
