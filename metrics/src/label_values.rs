//! Label values: the closed lists behind every label that is not `carrier` or `ua_type`.
//!
//! An enum's discriminant is the variant of its family's cells, so that a value cannot be counted that the
//! schema does not list. Nothing from the wire becomes a label except through these lists and the two
//! bounded numbers (status codes, causes).

use pipeline::{event, media};

/// Defines an enum together with the list of its label values.
macro_rules! label_values {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$value_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* #[doc = concat!("Label value `", $text, "`.")] $variant,)+
        }

        impl $name {
            /// The label values; the index is the variant.
            pub const VALUES: &'static [&'static str] = &[$($text),+];
            /// All values, in order of their index.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label value.
            pub const fn as_str(self) -> &'static str {
                Self::VALUES[self as usize]
            }

            /// The variant of the family that counts it.
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

/// The texts of an enum that is defined where its meaning is, in the order of its index.
macro_rules! texts {
    ($from:ty, $text:ident) => {
        &{
            let mut texts = [""; <$from>::ALL.len()];
            let mut i = 0;
            while i < texts.len() {
                texts[i] = <$from>::ALL[i].$text();
                i += 1;
            }
            texts
        }
    };
}

/// `method`: the fourteen methods with a counter of their own, and `OTHER`.
pub const METHODS: &[&str] = texts!(sip::Method, as_str);
/// `reason` of `parse_errors_total`.
pub const PARSE_ERRORS: &[&str] = texts!(sip::ParseError, reason);
/// `kind` of `anomalies_total`.
pub const ANOMALIES: &[&str] = texts!(sip::AnomalyKind, label);
/// `cause` of `affinity_moved_total`.
pub const MOVE_CAUSES: &[&str] = texts!(pipeline::affinity::Cause, as_str);
/// `direction` of media: who sends.
pub const SENDERS: &[&str] = &[pipeline::call::Side::Caller.as_str(), pipeline::call::Side::Callee.as_str()];
/// `codec`.
pub const CODEC_LABELS: &[&str] = rtp::Codec::LABELS;
/// `part` of `rtcp_rtt_seconds`.
pub const PARTS: &[&str] = texts!(media::Part, as_str);
/// `fault` of `media_faults_total`.
pub const FAULTS: &[&str] = texts!(media::Fault, as_str);
/// `direction` of `media_faults_total`.
pub const TOWARD: &[&str] = texts!(media::Toward, as_str);
/// `table` of `media_evicted_total`.
pub const MEDIA_TABLES: &[&str] = texts!(media::MediaTable, as_str);
/// `reason` of `media_errors_total`.
pub const MEDIA_ERRORS: &[&str] = texts!(media::MediaError, as_str);
/// `kind` of `vq_reports_total`.
pub const VQ_KINDS: &[&str] = texts!(sip::ReportKind, label);
/// `party` of reports of voice quality.
pub const PARTIES: &[&str] = texts!(media::Party, as_str);
/// `table` of `evicted_total`.
pub const TABLES: &[&str] = texts!(event::Evicted, as_str);
/// `why` of `not_read_total`.
pub const NOT_READ: &[&str] = texts!(event::NotRead, as_str);
/// `why` of `sip_elsewhere_total`.
pub const ELSEWHERE: &[&str] = texts!(event::Elsewhere, as_str);
/// `reason` of `probe_unexpected_total`.
pub const UNEXPECTED: &[&str] = texts!(pipeline::probes::Unexpected, as_str);
/// `outcome` of `session_outcomes_total`.
pub const OUTCOMES: &[&str] = texts!(event::Outcome, as_str);
/// `outcome` of `registration_outcomes_total`.
pub const REGISTRATION_OUTCOMES: &[&str] = texts!(event::RegistrationOutcome, as_str);
/// `end` of `sessions_ended_total`.
pub const ENDS: &[&str] = texts!(event::End, as_str);
/// `state` of `dialogs`.
pub const DIALOG_STATES: &[&str] = texts!(event::DialogState, as_str);
/// `protocol` of `reason_total`.
pub const PROTOCOLS: &[&str] = texts!(event::ReasonProtocol, as_str);

/// `direction` of the families of trunks.
pub const DIRECTIONS: &[&str] = texts!(event::Direction, as_str);

/// `end` of the families of queues.
pub const QUEUE_ENDS: &[&str] = texts!(event::QueueEnd, as_str);

/// The variant of [`super::F::TrunkOutcomes`] for an outcome in a direction.
pub const fn trunk_outcome(direction: event::Direction, outcome: event::Outcome) -> usize {
    direction.index() * OUTCOMES.len() + outcome.index()
}

/// Causes per protocol in `reason_total`: 0 to 999.
pub const CAUSES: u16 = 1000;

/// The variant of [`super::F::Reasons`] for a cause; one above 999 has none.
pub const fn reason(protocol: event::ReasonProtocol, cause: u16) -> Option<usize> {
    if cause < CAUSES { Some(protocol.index() * CAUSES as usize + cause as usize) } else { None }
}

label_values! {
    /// What was repeated: `kind` of `retransmissions_total`.
    pub enum Repeated {
        Request = "request",
        Response = "response",
    }
}

label_values! {
    /// Where a repeat was seen: `hop` of `retransmissions_total`.
    pub enum Hop {
        /// At a root (no visible transaction above it).
        First = "first",
        Other = "other",
    }
}

impl Repeated {
    /// The variant of [`super::F::Retransmissions`] for a repeat of `self` at `hop`.
    pub const fn at(self, hop: Hop) -> usize {
        self as usize * Hop::VALUES.len() + hop as usize
    }
}

label_values! {
    /// `kind` of `unmatched_total`.
    pub enum Unmatched {
        Response = "response",
        Ack = "ack",
    }
}

label_values! {
    /// `type` of `keepalives_total`.
    pub enum Keepalive {
        Stun = "stun",
        Crlf = "crlf",
        WsPing = "ws_ping",
    }
}

label_values! {
    /// `input` of `ratio_input_total`. Denominators stand before their numerators, and a snapshot reads
    /// cells from the last to the first, so that no ratio read under load exceeds 100 %.
    pub enum Input {
        /// Initial INVITEs (also `invite_initial_total`).
        Ti = "TI",
        /// Of these, those that received a 200.
        N200 = "N200",
        /// Of these, those decided by a 3xx.
        N3xx = "N3xx",
        /// Of these, those decided by 480, 486, 600 or 603.
        NUser = "NUser",
        /// Of these, those decided by 408, 500, 503 or 504 (also `iss_total`).
        NIneff = "NIneff",
        /// Session attempts (also `session_attempts_total`).
        A = "A",
        /// Attempts that ended `answered`.
        Answered = "answered",
        /// Attempts that ended `redirected`.
        Redirected = "redirected",
        /// Attempts that ended `unseen`: they are in no ratio.
        Unseen = "unseen",
        /// Attempts with final 480, 486, 600 or 603.
        RUser = "rUser",
        /// Attempts with final 408, 500, 503 or 504, or without any response.
        RIneff = "rIneff",
        /// Attempts whose session completed (also `sessions_completed_rfc6076_total`).
        C = "C",
        /// Registration attempts (also `registration_attempts_total`).
        Reg = "REG",
        /// Registration attempts that failed or timed out.
        Ira = "IRA",
        /// Attempts in the numerator of `ner_e425`, answered ones included.
        Ner = "ner",
    }
}

label_values! {
    /// `result` of `srd_seconds`, `sdd_seconds` and `sdt_seconds`.
    pub enum Success {
        Success = "success",
        Failure = "failure",
    }
}

label_values! {
    /// `result` of `ring_seconds`.
    pub enum Ring {
        Answered = "answered",
        Unanswered = "unanswered",
    }
}
