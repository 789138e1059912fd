//! The families that are stored: one list makes the index [`F`] and the table [`FAMILIES`].

use super::buckets;
use super::label_values::{
    ANOMALIES, CAUSES, CODEC_LABELS, DIALOG_STATES, DIRECTIONS, ELSEWHERE, ENDS, FAULTS, Hop, Input, Keepalive,
    MEDIA_ERRORS, MEDIA_TABLES, METHODS, MOVE_CAUSES, NOT_READ, OUTCOMES, PARSE_ERRORS, PARTIES, PARTS, PROTOCOLS,
    QUEUE_ENDS, REGISTRATION_OUTCOMES, Repeated, Ring, SENDERS, Success, TABLES, TOWARD, Unmatched, VQ_KINDS,
};
use super::schema::{Family, Label, Presence, Source};

/// Defines [`F`] and [`FAMILIES`] from one list, so that index and family cannot part.
macro_rules! stored {
    ($(
        $(#[$doc:meta])*
        $id:ident: $make:ident($name:literal $(, $buckets:expr)?; $help:literal) $(.$with:ident($($arg:expr)?))*;
    )+) => {
        /// A stored family; `as usize` indexes [`FAMILIES`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum F { $($(#[$doc])* #[doc = concat!("`", $name, "`")] $id,)+ }

        impl F {
            /// How many families are stored.
            pub const COUNT: usize = Self::ALL.len();
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$id),+];

            /// The family it stands for.
            pub const fn family(self) -> &'static Family {
                &FAMILIES[self as usize]
            }
        }

        /// The families that are stored, indexed by [`F`].
        pub static FAMILIES: &[Family] = STORED;

        /// [`FAMILIES`] for what is computed when compiling.
        pub(super) const STORED: &[Family] = &[
            $(Family::$make($name, Source::Stored(F::$id), $($buckets,)? $help)$(.$with($($arg)?))*,)+
        ];
    };
}

stored! {
    Packets: counter("packets_total";
        "SIP messages parsed, retransmissions and hop copies included (RFC 3261 §7).").when(Presence::Start);
    /// Variant: [`sip::Method::index`].
    Requests: counter("requests_total";
        "Requests as their originator made them, once each, by method (RFC 3261 §7.1).").by(METHOD);
    /// Variant: status - 100.
    Responses: counter("responses_total";
        "Responses as the originator of the request received them, once each, by status code (RFC 3261 §7.2).")
        .by(CODE);
    /// Variant: [`Repeated::at`].
    Retransmissions: counter("retransmissions_total";
        "Messages sent again over the same path, by what was repeated and whether the originator's own hop \
         shows it (RFC 3261 §17).").by(&[Label::listed("kind", Repeated::VALUES), Label::listed("hop", Hop::VALUES)]);
    /// Variant: [`sip::Method::index`].
    TransactionTimeouts: counter("transaction_timeouts_total";
        "Requests without the response they need in time, by method (RFC 3261 §17.1, Timers B and F; §16.6, \
         Timer C).").by(METHOD);
    LateResponses: counter("late_responses_total";
        "Responses that came after their request had timed out (RFC 3261 §17.1).");
    Late2xx: counter("late_2xx_total";
        "2xx to an INVITE that came after its failure was counted; no outcome changes (RFC 6026).");
    RecordingSessions: counter("recording_sessions_total";
        "INVITEs that open a recording session; they are in no ratio (RFC 7866).");
    /// Variant: [`Unmatched`].
    Unmatched: counter("unmatched_total";
        "Responses without a request that was seen, ACKs without transaction or dialog (RFC 3261 §17).")
        .by(&[Label::listed("kind", Unmatched::VALUES)]).global();
    CaptureDuplicates: counter("capture_duplicates_total";
        "Second sightings of the same message by the capture itself.").global();
    NonSip: counter("non_sip_total"; "Payloads on a SIP port that are no SIP: RTP, DTLS, garbage.").global();
    /// Variant: [`pipeline::event::NotRead`].
    NotRead: counter("not_read_total";
        "Packets of kinds that ringside does not look into, by kind; ARP and the like are not counted. SIP in them shows \
         in sip_elsewhere_total.").by(&[Label::listed("why", NOT_READ)]).global();
    /// Variant: [`pipeline::event::Elsewhere`].
    SipElsewhere: counter("sip_elsewhere_total";
        "Packets with SIP that no other metric counts: on ports that are not listed (port), or in packets that are not \
         read (wrapping). Above 0 says that calls are missed; live it may be a sample.")
        .by(&[Label::listed("why", ELSEWHERE)]).global();
    TlsRecords: counter("tls_records_total"; "TLS records on a SIP port, not decrypted (RFC 8446 §5.1).").global();
    StreamResync: counter("stream_resync_total";
        "Places where reading a byte stream had to start anew (RFC 3261 §18.3).").global();
    ClockSteps: counter("clock_steps_total"; "Steps of the capture clock by more than one second.").global();
    /// Variant: [`Keepalive`].
    Keepalives: counter("keepalives_total";
        "Keep-alives on a SIP port, by type (RFC 5626 §4.4, RFC 7118 §6).")
        .by(&[Label::listed("type", Keepalive::VALUES)]).global();
    /// Variant: [`sip::ParseError::index`].
    ParseErrors: counter("parse_errors_total";
        "Messages dropped because they cannot be used, by reason (RFC 3261 §7, RFC 4475).")
        .by(&[Label::listed("reason", PARSE_ERRORS)]).global();
    /// Variant: [`sip::AnomalyKind::index`].
    Anomalies: counter("anomalies_total";
        "Imperfect messages that were used all the same, by kind (RFC 3261 §7, RFC 4475).")
        .by(&[Label::listed("kind", ANOMALIES)]).global();
    /// Variant: [`pipeline::event::Evicted`].
    Evicted: counter("evicted_total";
        "Entries given up because a table was full, by table.").by(&[Label::listed("table", TABLES)]).global();
    ProbeMessagesSeen: counter("probe_messages_seen_total";
        "Messages of OPTIONS probes, our own or of another ringside; no other metric counts them (RFC 3261 §11).").global();
    CaptureDrops: counter("capture_drops_total"; "Packets the kernel dropped before they were read.").global();
    /// A plain count: [`super::ShardRows::observe_count`].
    RequestViaDepth: histogram("request_via_depth", buckets::VIA_DEPTH;
        "Largest number of Via values seen per initial INVITE, no unit (RFC 3261 §8.1.1.7, §16.6).");

    /// Variant: [`Input`].
    RatioInputs: counter("ratio_input_total";
        "Events that enter the ratios, by input; per INVITE and per attempt (RFC 6076 §4, ITU-T E.425 §1).")
        .by(&[Label::listed("input", Input::VALUES)]).when(Presence::Attempted);
    SdcEvents: counter("sdc_total";
        "Sessions that ended by a 200 to the BYE or by session timer expiry (not in an RFC).");
    /// Variant: [`pipeline::event::Outcome`].
    SessionOutcomes: counter("session_outcomes_total";
        "Session attempts by how they ended (RFC 6076 §4.6 to §4.9).").by(&[Label::listed("outcome", OUTCOMES)])
        .when(Presence::Invited);
    /// Variant: [`pipeline::event::RegistrationOutcome`].
    RegistrationOutcomes: counter("registration_outcomes_total";
        "Registration attempts by how they ended (RFC 6076 §4.1, §4.2).")
        .by(&[Label::listed("outcome", REGISTRATION_OUTCOMES)]).when(Presence::Registered);
    RegistrationsActive: gauge("registrations_active";
        "Contact bindings that are registered and have not expired (RFC 3261 §10.3).");
    RegistrationsExpired: counter("registrations_expired_total";
        "Contact bindings that ran out without a refresh (RFC 3261 §10.3).");
    /// Variant: [`pipeline::event::End`].
    SessionsEnded: counter("sessions_ended_total";
        "Confirmed dialogs that ended, by how (RFC 3261 §15, RFC 4028 §10).").by(&[Label::listed("end", ENDS)]);
    ShortCalls: counter("short_calls_total";
        "Completed sessions shorter than the configured short_call (RFC 6076 §4.5).");
    AckMissing: counter("ack_missing_total"; "Answered INVITEs without ACK 32 s after the 2xx (RFC 3261 §13.3.1.4).");
    Sessions: gauge("sessions";
        "Sessions between the 200 to the INVITE and the 200 to the BYE or session timer expiry (RFC 4028).");
    /// Variant: [`pipeline::event::DialogState`].
    Dialogs: gauge("dialogs";
        "INVITE dialogs now, by state (RFC 3261 §12).").by(&[Label::listed("state", DIALOG_STATES)])
        .when(Presence::Touched);
    /// Variant: [`super::label_values::reason`].
    Reasons: counter("reason_total";
        "Reason values on BYE, CANCEL and final responses, by protocol and cause (RFC 3326, RFC 6432).")
        .by(&[Label::listed("protocol", PROTOCOLS), Label::numbers("cause", 0, CAUSES)]);

    Ttr: histogram("ttr", buckets::TTR; "Initial INVITE to its first 1xx, in milliseconds (not in an RFC).");
    Pdd: histogram("pdd", buckets::PDD;
        "Post-dial delay: initial INVITE to its first 101-199, else to its 2xx, in milliseconds (close to \
         RFC 6076 §4.3.1, ITU-T E.721).");
    Rrd: histogram("rrd", buckets::REGISTER_MS;
        "Accepted REGISTER to its 200, challenge excluded, in milliseconds (close to RFC 6076 §4.1).");
    Lrd: histogram("lrd", buckets::REGISTER_MS; "Redirected REGISTER to its 3xx, in milliseconds (not in an RFC).");
    Ord: histogram("ord", buckets::REGISTER_MS; "OPTIONS to its first response, in milliseconds (not in an RFC).");
    Spd: histogram("spd", buckets::SESSION;
        "200 to the INVITE to 200 to the BYE, in seconds (not in an RFC; sdt_seconds is RFC 6076 §4.5).");
    RrdRfc6076: histogram("rrd_rfc6076_seconds", buckets::EXCHANGE;
        "Registration request delay: first REGISTER to 2xx, challenge included, in seconds (RFC 6076 §4.1).");
    /// Variant: [`Success`].
    Srd: histogram("srd_seconds", buckets::SRD;
        "Session request delay: first INVITE to first 101-199 or final, in seconds (RFC 6076 §4.3).").by(RESULT);
    AnswerDelay: histogram("answer_delay_seconds", buckets::ANSWER;
        "First INVITE of the attempt to its first 2xx, in seconds (not in an RFC).");
    /// Variant: [`Ring`].
    RingTime: histogram("ring_seconds", buckets::ANSWER;
        "First 180 to the answer or the deciding final, in seconds (not in an RFC).")
        .by(&[Label::listed("result", Ring::VALUES)]);
    /// Variant: [`Success`].
    Sdd: histogram("sdd_seconds", buckets::EXCHANGE;
        "Session disconnect delay: first BYE to its final, in seconds (RFC 6076 §4.4).").by(RESULT);
    /// Variant: [`Success`].
    Sdt: histogram("sdt_seconds", buckets::SESSION;
        "Session duration time: first 2xx to first BYE, in seconds (RFC 6076 §4.5).").by(RESULT);

    /// Variant: `stream`.
    RtpPackets: counter("rtp_packets_total";
        "Distinct packets of RTP seen here, by who sends and codec (RFC 3550 §6.4.1).").by(STREAM).media();
    /// Variant: `stream`.
    RtpLost: counter("rtp_lost_total";
        "Packets of RTP lost before they came here, counted when an interval ends (RFC 3550 A.3).").by(STREAM).media();
    /// Variant: `stream`.
    RtpDuplicates: counter("rtp_duplicates_total"; "Packets of RTP that came again (RFC 3550 A.1).").by(STREAM).media();
    /// Variant: `stream`.
    RtpReordered: counter("rtp_reordered_total";
        "Packets of RTP that came after one of a higher number (RFC 3550 A.1).").by(STREAM).media();
    /// Variant: `stream`.
    RtpDiscarded: counter("rtp_discarded_total";
        "Packets of RTP too late for the emulated jitter buffer, counted when an interval ends (RFC 3611 §4.7.1).")
        .by(STREAM).media();
    RtpStreamsActive: gauge("rtp_streams_active";
        "Streams of live dialogs with a packet in the last 10 s (not in an RFC).").media().when(Presence::Heard);
    /// Variant: `stream`.
    RtpJitter: histogram("rtp_jitter_seconds", buckets::JITTER;
        "Jitter between arrivals here at the end of each interval of a stream, in seconds (RFC 3550 A.8).")
        .by(STREAM).media();
    /// Variant: `stream`.
    RtpLoss: histogram("rtp_loss_ratio", buckets::LOSS;
        "Share of packets lost in each interval of a stream, 0 to 1, no unit (RFC 3550 A.3).").by(STREAM).media();
    /// Variant: `stream`.
    MosLq: histogram("mos_lq", buckets::OPINION;
        "Opinion of listening quality of each interval of a stream, 1 to 4.5, no unit; beyond a burst ratio of 2 with more \
         than 2 % loss outside what the model was checked for (ITU-T G.107).").by(STREAM).media();
    /// Variant: `stream`.
    MosCq: histogram("mos_cq", buckets::OPINION;
        "Opinion of conversational quality, delay included, of each interval of a stream, 1 to 4.5, no unit (ITU-T G.107).")
        .by(STREAM).media();
    /// Sum of opinions in millionths, and how many.
    RecentOpinions: gauge("mos_recent"; "Opinions of intervals that ended in the last minute: sum and number.")
        .by(&[Label::listed("of", &["sum", "number"])]).media().when(Presence::Hidden);
    /// Variant: [`pipeline::media::Part`].
    RtcpRtt: histogram("rtcp_rtt_seconds", buckets::ROUND_TRIP;
        "Round trip between here and either party, and both together, by reports of RTCP, in seconds (RFC 3550 §6.4.1).")
        .by(&[Label::listed("part", PARTS)]).media();
    /// Variant: [`pipeline::call::Side`].
    RtcpLoss: histogram("rtcp_loss_ratio", buckets::LOSS;
        "Share of packets lost that receivers report, behind here too, by who sends the stream, no unit (RFC 3550 §6.4.1).")
        .by(SENDER).media();
    /// Variant: [`pipeline::call::Side`].
    RtcpJitter: histogram("rtcp_jitter_seconds", buckets::JITTER;
        "Jitter that receivers report, by who sends the stream, in seconds (RFC 3550 §6.4.1).").by(SENDER).media();
    RtcpPackets: counter("rtcp_packets_total";
        "Datagrams of RTCP to endpoints of calls, encrypted ones too (RFC 3550 §6).").media().when(Presence::Heard);
    TimestampJumps: counter("rtp_timestamp_jumps_total";
        "Time stamps of RTP that went on by more than a second more or less than the clock (RFC 3550 §5.1).")
        .media().when(Presence::Heard);
    IntervalsIncomplete: counter("media_intervals_incomplete_total";
        "Intervals of streams without a sample, because records of media packets were dropped here.")
        .media().when(Presence::Heard);
    /// Variant: `fault`.
    MediaFaults: counter("media_faults_total";
        "Faults in the media of calls, once per dialog, fault and direction (not in an RFC).")
        .by(&[Label::listed("fault", FAULTS), Label::listed("direction", TOWARD)]).media();
    /// Variant: [`pipeline::call::Side`].
    RtcpXrReports: counter("rtcp_xr_reports_total";
        "VoIP metrics reports in RTCP XR, by whose stream they are about (RFC 3611 §4.7).").by(SENDER).media();
    /// Variant: [`sip::ReportKind`].
    VqReports: counter("vq_reports_total";
        "Reports of voice quality by PUBLISH or NOTIFY that were accepted, by kind (RFC 6035).")
        .by(&[Label::listed("kind", VQ_KINDS)]).media();
    /// Variant: [`pipeline::media::Party`].
    VqMosLq: histogram("vq_mos_lq", buckets::OPINION;
        "Opinion of listening quality that telephones report, 1 to 5, no unit (RFC 6035 §4.6.2).").by(PARTY).media();
    /// Variant: [`pipeline::media::Party`].
    VqMosCq: histogram("vq_mos_cq", buckets::OPINION;
        "Opinion of conversational quality that telephones report, 1 to 5, no unit (RFC 6035 §4.6.2).").by(PARTY).media();
    /// Variant: [`pipeline::media::Party`].
    VqLoss: histogram("vq_loss_ratio", buckets::LOSS;
        "Share of packets lost that telephones report, 0 to 1, no unit (RFC 6035 §4.6.2).").by(PARTY).media();
    /// Variant: [`pipeline::media::Party`].
    VqDiscard: histogram("vq_discard_ratio", buckets::LOSS;
        "Share of packets discarded that telephones report, 0 to 1, no unit (RFC 6035 §4.6.2).").by(PARTY).media();
    /// Variant: [`pipeline::media::Party`].
    VqRtd: histogram("vq_rtd_seconds", buckets::ROUND_TRIP;
        "Round trip that telephones report, in seconds (RFC 6035 §4.6.2).").by(PARTY).media();
    /// Variant: [`pipeline::media::Party`].
    VqJitter: histogram("vq_jitter_seconds", buckets::JITTER;
        "Jitter that telephones report, in seconds (RFC 6035 §4.6.2).").by(PARTY).media();
    /// Variant: [`pipeline::media::MediaTable`].
    MediaEvicted: counter("media_evicted_total";
        "Streams, endpoints and the like that were refused because a table was full, by table.")
        .by(&[Label::listed("table", MEDIA_TABLES)]).global().media();
    MediaDrops: counter("media_drops_total"; "Records of media packets lost before they were read.").global().media();
    /// Variant: [`pipeline::media::MediaError`].
    MediaErrors: counter("media_errors_total";
        "Descriptions, packets and reports of media that could not be read, by what they are.")
        .by(&[Label::listed("reason", MEDIA_ERRORS)]).global().media();

    /// Variant: [`pipeline::event::Direction`]; of this and all that follow it is the first label.
    TrunkAttempts: counter("trunk_attempts_total";
        "Trunk attempts: INVITEs from or to a configured carrier, those it was offered again before an outcome counted \
         once (close to RFC 6076 §4.3).").of_trunks(DIRECTION);
    /// Variant: [`trunk_outcome`](super::label_values::trunk_outcome).
    TrunkOutcomes: counter("trunk_outcomes_total";
        "Trunk attempts by how they ended (close to RFC 6076 §4.6 to §4.9).")
        .of_trunks(&[Label::listed("direction", DIRECTIONS), Label::listed("outcome", OUTCOMES)])
        .when(Presence::Trunked);
    TrunkSetup: histogram("trunk_setup_seconds", buckets::SRD;
        "First INVITE of the trunk attempt to the first 101-198 or 2xx on it, in seconds (close to RFC 6076 §4.3).")
        .of_trunks(DIRECTION);
    TrunkCalls: gauge("trunk_calls";
        "Answered calls from or to a configured carrier that have not ended (RFC 3261 §12).").of_trunks(DIRECTION)
        .when(Presence::Trunked);
    TrunkCallDuration: histogram("trunk_call_seconds", buckets::SESSION;
        "2xx on the trunk to the first BYE, in seconds (close to RFC 6076 §4.5).").of_trunks(DIRECTION);

    /// Variant: [`pipeline::event::QueueEnd`].
    QueueCalls: counter("queue_calls_total";
        "Calls to a configured queue by how they ended, inferred from signalling: a queue answers before its caller waits, \
         so that served is a transfer, a re-INVITE or a second answer (not in an RFC).").of_queues(QUEUE_END);
    /// Variant: the same.
    QueueWait: histogram("queue_wait_seconds", buckets::QUEUE_WAIT;
        "The queue's answer, else its 182, else the INVITE, to the end of the wait, inferred from signalling, in seconds \
         (not in an RFC).").of_queues(QUEUE_END);
    QueueWaiting: gauge("queue_waiting";
        "Calls to a configured queue that nobody has taken and whose caller has not left, inferred from signalling \
         (not in an RFC).").of_queues(&[]);
    AffinityDialogs: counter("affinity_dialogs_total";
        "Dialogs by the backend that took their first request to a configured service (not in an RFC).").of_backends();
    /// Variant: [`pipeline::affinity::Cause`].
    AffinityMoved: counter("affinity_moved_total";
        "Dialogs of which a later request went to another backend than the first, by cause (not in an RFC).")
        .of_services(&[Label::listed("cause", MOVE_CAUSES)]);
    AffinityMovedFailed: counter("affinity_moved_failed_total";
        "Dialogs in which a request that went to another backend was answered by 481 (RFC 3261 §12.2.2).").of_services(&[]);
    AffinityPinned: gauge("affinity_pinned_flows";
        "Client addresses with a port of which nearly all calls went to one backend within the window (not in an RFC).")
        .of_services(&[]);
    AffinityOffPort: counter("affinity_off_port_replies_total";
        "Transactions with a response to another port than the request came from, although it asked for that \
         (RFC 3581 §4).").of_services(&[]);
    AffinityUntranslated: counter("affinity_untranslated_replies_total";
        "Transactions with a response that reached the client from another address than the service's (not in an RFC).")
        .of_services(&[]);
    AffinityBypass: counter("affinity_bypass_total";
        "Requests within dialogs that were sent straight to a backend (RFC 3261 §12.2.1.1).").of_services(&[]);
    AffinityUnknown: counter("affinity_unknown_backend_total";
        "Requests of which no translation and no answer showed the backend (not in an RFC).").of_services(&[]);
}

/// The variant of families of streams: who sends, and the label of the codec.
pub const fn stream(side: pipeline::call::Side, codec: rtp::Codec) -> usize {
    side.index() * CODEC_LABELS.len() + codec.label_index()
}

/// The variant of [`F::MediaFaults`].
pub const fn fault(fault: pipeline::media::Fault, toward: pipeline::media::Toward) -> usize {
    fault.index() * TOWARD.len() + toward.index()
}

/// The status code of variant 0 of [`F::Responses`].
pub const FIRST_CODE: u16 = 100;

const METHOD: &[Label] = &[Label::listed("method", METHODS)];
const RESULT: &[Label] = &[Label::listed("result", Success::VALUES)];
const STREAM: &[Label] = &[Label::listed("direction", SENDERS), Label::listed("codec", CODEC_LABELS)];
const SENDER: &[Label] = &[Label::listed("direction", SENDERS)];
const PARTY: &[Label] = &[Label::listed("party", PARTIES)];
const QUEUE_END: &[Label] = &[Label::listed("end", QUEUE_ENDS)];
const DIRECTION: &[Label] = &[Label::listed("direction", DIRECTIONS)];
const CODE: &[Label] = &[Label::numbers("code", FIRST_CODE, 600)];
