//! The vocabulary of facts that are counted: what happened, in the past tense, and to whom.
//!
//! A processor states facts and knows nothing of metrics; the recorder knows which cell a fact feeds.

use std::time::Duration;

use sip::{AnomalyKind, Method, ParseError};

use crate::affinity::AffinityFact;
use crate::labels::Name;

/// One fact about one slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Whose labels it is counted under; [`Slot::OTHER`] for what has no carrier.
    pub slot: Slot,
    /// What happened.
    pub fact: Fact,
}

/// Who is counted: one request with its hops, and whatever inherits its labels. An index, reused once released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// What nobody's request began: labels are always `other`/`other`.
    pub const OTHER: Self = Self(0);
}

/// What happened. Section numbers are those of `sip-metrics.md`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact {
    /// A message was parsed, whatever it then turned out to be (4.1).
    MessageSeen,
    /// A message was a probe's, ours or of another ringside: nothing else is counted of it (6.1).
    ProbeSeen,
    /// A message was dropped (1.9).
    ParseFailed(ParseError),
    /// A message was tracked although imperfect (1.9).
    Imperfect(AnomalyKind),
    /// The same item of a transaction was seen at a second observation point (2.2).
    SeenElsewhere,
    /// The same item of a transaction was sent again (2.2).
    Retransmitted {
        /// A request (an ACK too), else a response.
        request: bool,
        /// The transaction is a root.
        first_hop: bool,
    },
    /// A logical request was seen for the first time at a root.
    Requested(Method),
    /// It was an INVITE without a To tag.
    InvitedInitially,
    /// A response item was seen for the first time at a root.
    Responded(u16),
    /// It was an INVITE that opens a recording session (RFC 7866).
    RecordingOpened,
    /// A response belonged to no request seen.
    ResponseUnmatched,
    /// An ACK belonged to no transaction and no dialog.
    AckUnmatched,
    /// No final response came in time (2.3).
    TransactionTimedOut(Method),
    /// A response came after that.
    RespondedLate,
    /// A 2xx came after a failure of the same request had been counted (2.6).
    AnsweredLate,
    /// An initial INVITE left memory; the largest number of Vias seen on it.
    ViaDepth(u16),
    /// An entry was turned out of a full table (3.7).
    Evicted(Evicted),

    /// An initial INVITE received its first 200: `N200` (4.2).
    InviteAnswered,
    /// The deciding final of an initial INVITE was not 2xx (4.2).
    InviteFailed(u16),
    /// The primary session of an initial INVITE was completed by the per-INVITE rule: `SDC` (3.5).
    PerInviteSessionCompleted,
    /// The store of per-INVITE sessions took one up (3.5).
    PerInviteSessionOpened,
    /// The store of per-INVITE sessions gave one back.
    PerInviteSessionClosed,

    /// A session attempt began (2.6).
    AttemptOpened,
    /// It ended.
    AttemptEnded {
        /// How.
        outcome: Outcome,
        /// The final status that decided it; `None` for `timeout` and `no_final`.
        status: Option<u16>,
        /// It enters the numerator of the E.425 NER.
        effective: bool,
    },

    /// A dialog changed its state; `None` before it began and after it ended (3.1).
    DialogMoved {
        /// The state it left.
        from: Option<DialogState>,
        /// The state it is in now.
        to: Option<DialogState>,
    },
    /// A confirmed dialog ended (3.3).
    SessionEnded(End),
    /// A primary, observed dialog was completed in the strict sense: `C` (3.3).
    SessionCompleted,
    /// Its duration was below `short_call`.
    CallWasShort,
    /// A primary dialog saw no ACK within 32 s of its 2xx.
    AckMissing,

    /// A registration attempt began (4.5).
    RegistrationOpened,
    /// It ended.
    RegistrationEnded(RegistrationOutcome),
    /// Bindings came (positive) or went.
    BindingsChanged(i32),
    /// A binding ran out without refresh.
    BindingExpired,

    /// A Reason value, or a cause derived from a status (4.6); `cause` is 0 to 999.
    ReasonGiven {
        /// Whose numbering the cause is from.
        protocol: ReasonProtocol,
        /// The cause.
        cause: u16,
    },
    /// A delay or duration ended (4.6).
    Measured(Measure, Duration),

    /// A trunk attempt began (4.7). Facts of a trunk have its labels, not those of their slot.
    TrunkOpened(Trunk),
    /// It ended.
    TrunkEnded(Trunk, Outcome),
    /// The first 101-198 or 2xx came so long after its first INVITE.
    TrunkSetUp(Trunk, Duration),
    /// It was answered.
    TrunkCallBegan(Trunk),
    /// The dialog of its answer has ended; from that 2xx to the first BYE, `None` without one.
    TrunkCallEnded(Trunk, Option<Duration>),

    /// A call to a queue began (4.8). Facts of a queue have its label, not those of their slot.
    QueueEntered(Name),
    /// It ended, so long after it began to wait.
    QueueLeft(Name, QueueEnd, Duration),
    /// It ended in none of these ways, or was forgotten.
    QueueLost(Name),

    /// Something about a service that balances calls among backends. It has the names of that, not the labels of its slot.
    Affinity(AffinityFact),
}

/// How a call to a queue ended (4.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueEnd {
    /// Its caller gave up, or hung up before anybody took the call.
    Abandoned,
    /// Somebody took it.
    Served,
    /// It was refused.
    Refused,
    /// It got no final, or a 408.
    Timeout,
    /// The queue hung up before anybody took it.
    Ended,
}

impl QueueEnd {
    /// All ends, in the order of [`QueueEnd::index`].
    pub const ALL: [Self; 5] = [Self::Abandoned, Self::Served, Self::Refused, Self::Timeout, Self::Ended];

    /// Its place in [`QueueEnd::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Served => "served",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Ended => "ended",
        }
    }
}

/// A carrier, and which way its calls go (4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trunk {
    /// The carrier: a name of the label `carrier`.
    pub carrier: Name,
    /// From it or to it.
    pub direction: Direction,
}

/// Which way calls of a trunk go (4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The carrier sent the INVITE.
    In,
    /// The INVITE was sent to the carrier.
    Out,
}

impl Direction {
    /// Both, in the order of [`Direction::index`].
    pub const ALL: [Self; 2] = [Self::In, Self::Out];

    /// Its place in [`Direction::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// How a session attempt ended (2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Answered,
    /// 3xx.
    Redirected,
    /// 486, 600.
    Busy,
    /// 480.
    NoAnswer,
    /// 603.
    Declined,
    /// 487 after the caller's CANCEL.
    Cancelled,
    /// 408, 500, 503, 504.
    Ineffective,
    /// No response in 32 s.
    Timeout,
    /// Provisional responses only.
    NoFinal,
    /// Its answer passed where nobody looks: only its ACK was seen.
    Unseen,
    /// A challenge, or another retryable final, without a retry.
    ChallengeAbandoned,
    /// Any other 4xx.
    ClientError,
    /// Any other 5xx.
    ServerError,
    /// Any other 6xx.
    GlobalError,
}

impl Outcome {
    /// All outcomes, in the order of [`Outcome::index`].
    pub const ALL: [Self; 14] = [
        Self::Answered,
        Self::Redirected,
        Self::Busy,
        Self::NoAnswer,
        Self::Declined,
        Self::Cancelled,
        Self::Ineffective,
        Self::Timeout,
        Self::NoFinal,
        Self::Unseen,
        Self::ChallengeAbandoned,
        Self::ClientError,
        Self::ServerError,
        Self::GlobalError,
    ];

    /// Its place in [`Outcome::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Redirected => "redirected",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
            Self::Ineffective => "ineffective",
            Self::Timeout => "timeout",
            Self::NoFinal => "no_final",
            Self::Unseen => "unseen",
            Self::ChallengeAbandoned => "challenge_abandoned",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::GlobalError => "global_error",
        }
    }
}

/// How a confirmed dialog ended (3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// 2xx to BYE.
    Bye,
    /// 481 to BYE, or broken by a 481.
    Gone,
    /// Broken by a 408 or a timeout.
    Timeout,
    /// Another final to BYE, or a challenged BYE without a retry.
    ByeError,
    /// BYE unanswered.
    ByeTimeout,
    /// The session timer ran out.
    Expired,
    /// Without a session timer, older than `max_dialog_age`.
    MaxAge,
}

impl End {
    /// All ends, in the order of [`End::index`].
    pub const ALL: [Self; 7] =
        [Self::Bye, Self::Gone, Self::Timeout, Self::ByeError, Self::ByeTimeout, Self::Expired, Self::MaxAge];

    /// Its place in [`End::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bye => "bye",
            Self::Gone => "481",
            Self::Timeout => "timeout",
            Self::ByeError => "bye_error",
            Self::ByeTimeout => "bye_timeout",
            Self::Expired => "expired",
            Self::MaxAge => "max_age",
        }
    }
}

/// States of a dialog that a gauge shows (3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogState {
    /// A provisional response with a To tag.
    Early,
    /// A 2xx.
    Confirmed,
    /// A BYE was sent.
    Terminating,
}

impl DialogState {
    /// All states, in the order of [`DialogState::index`].
    pub const ALL: [Self; 3] = [Self::Early, Self::Confirmed, Self::Terminating];

    /// Its place in [`DialogState::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Confirmed => "confirmed",
            Self::Terminating => "terminating",
        }
    }
}

/// How a registration attempt ended (4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationOutcome {
    /// 2xx.
    Success,
    /// 3xx.
    Redirected,
    /// 4xx but 401, 402, 407, 423; 5xx; 6xx.
    Failure,
    /// No final response.
    Timeout,
    /// A challenge without a retry, or 402.
    AuthAbandoned,
}

impl RegistrationOutcome {
    /// All outcomes, in the order of [`RegistrationOutcome::index`].
    pub const ALL: [Self; 5] = [Self::Success, Self::Redirected, Self::Failure, Self::Timeout, Self::AuthAbandoned];

    /// Its place in [`RegistrationOutcome::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Redirected => "redirected",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::AuthAbandoned => "auth_abandoned",
        }
    }
}

/// Tables that turn entries out when they are full (3.7, 1.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evicted {
    /// Dialogs, with their per-INVITE session.
    Dialogs,
    /// Logical requests, with their transactions.
    LogicalRequests,
    /// Session and registration attempts.
    Attempts,
    /// Registered contacts.
    Bindings,
    /// Datagrams in IP reassembly.
    Fragments,
    /// Byte streams.
    Streams,
}

impl Evicted {
    /// All tables, in the order of [`Evicted::index`].
    pub const ALL: [Self; 6] =
        [Self::Dialogs, Self::LogicalRequests, Self::Attempts, Self::Bindings, Self::Fragments, Self::Streams];

    /// Its place in [`Evicted::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dialogs => "dialogs",
            Self::LogicalRequests => "logical_requests",
            Self::Attempts => "attempts",
            Self::Bindings => "bindings",
            Self::Fragments => "fragments",
            Self::Streams => "streams",
        }
    }
}

/// Why the inside of a packet is not looked at (1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// ESP, with NULL encryption too.
    Esp,
    /// L2TP.
    L2tp,
    /// SCTP.
    Sctp,
    /// A tunnel within two others.
    Nested,
    /// Not IP, and more than what keeps a network going.
    Ethertype,
}

impl NotRead {
    /// All of them, in the order of [`NotRead::index`].
    pub const ALL: [Self; 5] = [Self::Esp, Self::L2tp, Self::Sctp, Self::Nested, Self::Ethertype];

    /// Its place in [`NotRead::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Esp => "esp",
            Self::L2tp => "l2tp",
            Self::Sctp => "sctp",
            Self::Nested => "nested",
            Self::Ethertype => "ethertype",
        }
    }
}

/// Where SIP was seen that is passed over (1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// Between ports neither of which is listed.
    Port,
    /// In a packet whose inside is not looked at.
    Wrapping,
}

impl Elsewhere {
    /// Both, in the order of [`Elsewhere::index`].
    pub const ALL: [Self; 2] = [Self::Port, Self::Wrapping];

    /// Its place in [`Elsewhere::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Wrapping => "wrapping",
        }
    }
}

/// Whose numbering a cause is from (RFC 3326).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonProtocol {
    /// ITU-T Q.850.
    Q850,
    /// A SIP status.
    Sip,
    /// Q.850, derived from a SIP status by RFC 3398 §8.2.6.1.
    Derived,
}

impl ReasonProtocol {
    /// All protocols, in the order of [`ReasonProtocol::index`].
    pub const ALL: [Self; 3] = [Self::Q850, Self::Sip, Self::Derived];

    /// Its place in [`ReasonProtocol::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Q850 => "Q.850",
            Self::Sip => "SIP",
            Self::Derived => "derived",
        }
    }
}

/// A delay or duration (4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Initial INVITE to its first 1xx.
    FirstResponse,
    /// Initial INVITE to its first 101-199, else its first 2xx.
    PostDial,
    /// REGISTER to its 200.
    Registration,
    /// REGISTER to its 3xx.
    RegistrationRedirect,
    /// OPTIONS to its first response.
    Options,
    /// 200 to INVITE to 200 to BYE.
    PerInviteSession,
    /// First REGISTER of an attempt to 2xx (RFC 6076 §4.1).
    RegistrationStrict,
    /// Session request delay of an answered attempt (RFC 6076 §4.3).
    SetupSuccess,
    /// Session request delay of a failed attempt.
    SetupFailure,
    /// First INVITE of an attempt to its 2xx.
    Answer,
    /// 180 to 2xx.
    RingAnswered,
    /// 180 to the deciding final.
    RingUnanswered,
    /// BYE to 2xx (RFC 6076 §4.4).
    DisconnectSuccess,
    /// BYE to another final.
    DisconnectFailure,
    /// 2xx to BYE (RFC 6076 §4.5).
    DurationSuccess,
    /// 2xx to 32 s after an unanswered BYE.
    DurationFailure,
}
