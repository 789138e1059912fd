//! The attributes of spans and messages: one table that code, documentation and tests share.
//!
//! Names that OpenTelemetry's semantic conventions have are used as they are there. For the rest `sip.*` follows
//! what others already send: `sip.call_id`, `sip.request.method`, `sip.response.status_code`, `sip.cseq`,
//! `sip.transaction.id`, `sip.branch.id` and `sip.dialog.id` mean what they mean in OpenSIPS' own traces.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub key: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What carries it, letter for letter: `r`oot, `t`ransaction, ringing or `e`arly media, `s`ession, `m`essage,
    /// e`v`ent of media, report of voice `q`uality.
    pub on: &'static str,
    /// What it says, and when it is left out.
    pub about: &'static str,
}

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// Whole number.
    Int,
    /// Number with a fraction.
    Double,
    /// Yes or no.
    Boolean,
}

impl Kind {
    /// As the semantic conventions spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Double => "double",
            Self::Boolean => "boolean",
        }
    }
}

macro_rules! attributes {
    ($($name:ident = $key:literal, $kind:ident, $on:literal, $about:literal;)*) => {
        $(
            #[doc = $about]
            pub const $name: Attribute = Attribute { key: $key, kind: Kind::$kind, on: $on, about: $about };
        )*

        /// All of them.
        pub const ALL: &[Attribute] = &[$($name),*];
    };
}

attributes! {
    CALL_OUTCOME = "sip.call.outcome", String, "rtes",
        "How the last attempt ended: `answered`, `redirected`, `busy`, `no_answer`, `declined`, `cancelled`, `ineffective`, `timeout`, `no_final`, `unseen`, `challenge_abandoned`, `client_error`, `server_error`, `global_error`; `in_progress` for a call, and on each part of it, that is still open when the program ends";
    CALL_END = "sip.call.end", String, "rs",
        "How an answered call ended: `bye`, `dialog_gone` (481 to a request within it), `timeout`, `bye_error`, `bye_timeout`, `expired`, `max_age`";
    CALL_DISCONNECT_PARTY = "sip.call.disconnect_party", String, "rs",
        "Who hung up: `caller` or `callee`";
    REASON_PROTOCOL = "sip.reason.protocol", String, "r",
        "Whose number `sip.reason.cause` is: `Q.850`, or `SIP` where no Reason with a Q.850 cause was seen (RFC 3326)";
    REASON_CAUSE = "sip.reason.cause", Int, "r",
        "Cause of the first such Reason header on a BYE, CANCEL or final response";
    CALL_SETUP_DELAY = "sip.call.setup_delay", Double, "r",
        "Seconds from the first INVITE to the first response that tells something, 101 to 199 or final (RFC 6076 §4.3)";
    CALL_RING_DELAY = "sip.call.ring_delay", Double, "r",
        "Seconds from the first 180 to the answer, or to the final response that decided otherwise";
    CALL_DURATION = "sip.call.duration", Double, "r",
        "Seconds from the answer to the BYE, or to the end without one";
    ERROR_TYPE = "error.type", String, "rt",
        "On errors alone: the status, `timeout` without a final response, or `challenge_abandoned`";
    CARRIER = "carrier", String, "rtq",
        "As the label of the metrics; `other` when nothing matches";
    UA_TYPE = "ua_type", String, "rtq",
        "As the label of the metrics; `other` when nothing matches";
    CALL_ID = "sip.call_id", String, "rtq",
        "Call-ID, or its hash (`privacy.call_id`)";
    FROM_USER = "sip.from.user", String, "r",
        "User part of From as `privacy.numbers` leaves it; by default left out";
    TO_USER = "sip.to.user", String, "r",
        "User part of To as `privacy.numbers` leaves it; by default left out";
    REQUEST_METHOD = "sip.request.method", String, "rtm",
        "Method, of a response that of its request; `_OTHER` for one that is not known. Left out on events of a transaction, which has it";
    REQUEST_METHOD_ORIGINAL = "sip.request.method_original", String, "t",
        "The method as it was sent, where it is not known, cleared of numbers";
    RESPONSE_STATUS_CODE = "sip.response.status_code", Int, "rtm",
        "Status: of the response, of the transaction's final response, of the final response that decided the call";
    RESPONSE_REASON = "sip.response.reason", String, "rt",
        "Reason phrase of that final response, cleared of numbers; not on a 2xx";
    CSEQ = "sip.cseq", String, "tm",
        "CSeq: number and method; left out on events of a transaction, which has it";
    TRANSACTION_ID = "sip.transaction.id", String, "t",
        "MD5 over the lengths and values of `sip.call_id`, `sip.cseq` and `sip.branch.id`";
    BRANCH_ID = "sip.branch.id", String, "t",
        "Branch of the top Via; left out for a request without one (RFC 2543)";
    DIALOG_ID = "sip.dialog.id", String, "rs",
        "MD5 over the lengths and values of Call-ID and both tags, sorted";
    IN_DIALOG = "sip.in_dialog", Boolean, "t",
        "`true` on a request within a dialog, else left out";
    TRUNK_IN = "sip.trunk.in", String, "t",
        "Carrier whose network an INVITE came from; left out where it is no carrier's";
    TRUNK_OUT = "sip.trunk.out", String, "t",
        "Carrier to whose network an INVITE was sent; left out where it is no carrier's";
    STEER_SERVICE = "sip.steer.service", String, "r",
        "Balanced service of the configuration that the first INVITE was sent to; left out where it was none";
    STEER_BACKEND = "sip.steer.backend", String, "r",
        "Backend that took the first INVITE; left out where that does not show";
    STEER_MOVED = "sip.steer.moved", Boolean, "r",
        "On a call to a balanced service: whether another backend took a later request of it";
    HOPS = "sip.hops", Int, "t",
        "On a request outside dialogs: how many hops below this one were seen";
    FORK_WINNER = "sip.fork.winner", Boolean, "e",
        "Whether this branch was answered";
    SESSION_SEGMENT = "sip.session.segment", Int, "s",
        "1, 2, ...: where `max_segment` cuts a long session";
    MEDIA_CALLER_CODEC = "sip.media.caller.codec", String, "s",
        "Codec of what the caller sent, as the label of the metrics; where there were several streams that with most packets, here and below";
    MEDIA_CALLER_PACKETS = "sip.media.caller.packets", Int, "s",
        "Distinct packets of it that came here";
    MEDIA_CALLER_LOSS_RATIO = "sip.media.caller.loss_ratio", Double, "s",
        "Share of it that was lost before it came here, 0 to 1";
    MEDIA_CALLER_DISCARD_RATIO = "sip.media.caller.discard_ratio", Double, "s",
        "Share of it that came too late to be played, 0 to 1";
    MEDIA_CALLER_JITTER = "sip.media.caller.jitter", Double, "s",
        "Jitter between arrivals at its end, in seconds (RFC 3550 A.8)";
    MEDIA_CALLER_MOS_LQ = "sip.media.caller.mos_lq", Double, "s",
        "Opinion of listening quality of all of it, 1 to 4.5";
    MEDIA_CALLER_MOS_CQ = "sip.media.caller.mos_cq", Double, "s",
        "Opinion of conversational quality of all of it, 1 to 4.5";
    MEDIA_CALLER_MOS_CQ_MIN = "sip.media.caller.mos_cq_min", Double, "s",
        "The worst opinion of conversational quality of an interval of it; left out where none was long enough";
    MEDIA_CALLEE_CODEC = "sip.media.callee.codec", String, "s",
        "Codec of what the callee sent, as the label of the metrics; where there were several streams that with most packets, here and below";
    MEDIA_CALLEE_PACKETS = "sip.media.callee.packets", Int, "s",
        "Distinct packets of it that came here";
    MEDIA_CALLEE_LOSS_RATIO = "sip.media.callee.loss_ratio", Double, "s",
        "Share of it that was lost before it came here, 0 to 1";
    MEDIA_CALLEE_DISCARD_RATIO = "sip.media.callee.discard_ratio", Double, "s",
        "Share of it that came too late to be played, 0 to 1";
    MEDIA_CALLEE_JITTER = "sip.media.callee.jitter", Double, "s",
        "Jitter between arrivals at its end, in seconds (RFC 3550 A.8)";
    MEDIA_CALLEE_MOS_LQ = "sip.media.callee.mos_lq", Double, "s",
        "Opinion of listening quality of all of it, 1 to 4.5";
    MEDIA_CALLEE_MOS_CQ = "sip.media.callee.mos_cq", Double, "s",
        "Opinion of conversational quality of all of it, 1 to 4.5";
    MEDIA_CALLEE_MOS_CQ_MIN = "sip.media.callee.mos_cq_min", Double, "s",
        "The worst opinion of conversational quality of an interval of it; left out where none was long enough";
    MEDIA_RTT = "sip.media.rtt", Double, "s",
        "Round trip between both parties by RTCP, in seconds";
    MEDIA_FAULTS = "sip.media.faults", String, "s",
        "What is wrong, in order, with a comma between: `one_way`, `no_media`, `media_stopped`, `fas_suspect`, `late_media`; left out where nothing is";
    MEDIA_DIRECTION = "sip.media.direction", String, "v",
        "Who sends: `caller` or `callee`; of a fault the label `direction`";
    MEDIA_CODEC = "sip.media.codec", String, "v",
        "Of a stream that begins: its codec, as the label of the metrics";
    MEDIA_FAULT = "sip.media.fault", String, "v",
        "Of a fault: the label `fault`";
    MEDIA_MOS_CQ = "sip.media.mos_cq", Double, "v",
        "Of an interval that sounds poor (below 3.5), or well again (above 3.6): its opinion";
    REPORT_KIND = "sip.media.report.kind", String, "q",
        "What the report is about: `session`, `interval` or `alert`";
    REPORT_LOCAL_MOS_LQ = "sip.media.report.local.mos_lq", Double, "q",
        "What the reporting telephone heard: opinion of listening quality, 1 to 5; left out where it is not reported";
    REPORT_LOCAL_MOS_CQ = "sip.media.report.local.mos_cq", Double, "q",
        "What the reporting telephone heard: opinion of conversational quality, 1 to 5; left out where it is not reported";
    REPORT_LOCAL_LOSS_RATIO = "sip.media.report.local.loss_ratio", Double, "q",
        "What the reporting telephone heard: share lost in the network, 0 to 1; left out where it is not reported";
    REPORT_LOCAL_DISCARD_RATIO = "sip.media.report.local.discard_ratio", Double, "q",
        "What the reporting telephone heard: share discarded by its buffer, 0 to 1; left out where it is not reported";
    REPORT_LOCAL_RTT = "sip.media.report.local.rtt", Double, "q",
        "What the reporting telephone heard: round trip, in seconds; left out where it is not reported";
    REPORT_LOCAL_JITTER = "sip.media.report.local.jitter", Double, "q",
        "What the reporting telephone heard: jitter between arrivals, in seconds; left out where it is not reported";
    REPORT_REMOTE_MOS_LQ = "sip.media.report.remote.mos_lq", Double, "q",
        "What its peer heard, as it knows: opinion of listening quality, 1 to 5; left out where it is not reported";
    REPORT_REMOTE_MOS_CQ = "sip.media.report.remote.mos_cq", Double, "q",
        "What its peer heard, as it knows: opinion of conversational quality, 1 to 5; left out where it is not reported";
    REPORT_REMOTE_LOSS_RATIO = "sip.media.report.remote.loss_ratio", Double, "q",
        "What its peer heard, as it knows: share lost in the network, 0 to 1; left out where it is not reported";
    REPORT_REMOTE_DISCARD_RATIO = "sip.media.report.remote.discard_ratio", Double, "q",
        "What its peer heard, as it knows: share discarded by its buffer, 0 to 1; left out where it is not reported";
    REPORT_REMOTE_RTT = "sip.media.report.remote.rtt", Double, "q",
        "What its peer heard, as it knows: round trip, in seconds; left out where it is not reported";
    REPORT_REMOTE_JITTER = "sip.media.report.remote.jitter", Double, "q",
        "What its peer heard, as it knows: jitter between arrivals, in seconds; left out where it is not reported";
    RETRANSMISSION_COUNT = "sip.retransmission.count", Int, "rtm",
        "How often it, or a message of it, was sent again; left out for 0";
    MESSAGE_DIRECTION = "sip.message.direction", String, "m",
        "`to_callee` as the first INVITE went, or `to_caller`";
    MESSAGE_SIZE = "sip.message.size", Int, "m",
        "Its length in bytes";
    MESSAGE_SDP = "sip.message.sdp", Boolean, "m",
        "`true` when it carries a session description, else left out";
    USER_AGENT_ORIGINAL = "user_agent.original", String, "r",
        "User-Agent of the first request, cleared of numbers";
    CLIENT_ADDRESS = "client.address", String, "r",
        "Where the first request came from";
    CLIENT_PORT = "client.port", Int, "r",
        "Its port";
    SERVER_ADDRESS = "server.address", String, "r",
        "Host of the first Request-URI, else where the request went";
    SERVER_PORT = "server.port", Int, "r",
        "Its port; left out where the Request-URI names none";
    PEER_SERVICE = "peer.service", String, "t",
        "Carrier at the other side, told by the INVITEs of the call; left out where it is no carrier's";
    SERVICE_PEER_NAME = "service.peer.name", String, "t",
        "The same, by the name that follows `peer.service`";
    NETWORK_PEER_ADDRESS = "network.peer.address", String, "tm",
        "The other side: who sent the request on a SERVER span, who got it on a CLIENT span; on messages only where its span does not have it";
    NETWORK_PEER_PORT = "network.peer.port", Int, "tm",
        "Its port";
    NETWORK_LOCAL_ADDRESS = "network.local.address", String, "t",
        "This side";
    NETWORK_LOCAL_PORT = "network.local.port", Int, "t",
        "Its port";
    SOURCE_ADDRESS = "source.address", String, "tm",
        "Who sent the request, or the message: instead of `network.*` where neither end is known to be this host, as on a mirror port";
    SOURCE_PORT = "source.port", Int, "tm",
        "Its port";
    DESTINATION_ADDRESS = "destination.address", String, "tm",
        "Whom it was sent to";
    DESTINATION_PORT = "destination.port", Int, "tm",
        "Its port";
    TRANSPORT = "sip.transport", String, "rtq",
        "`udp`, `tcp`, `tls`, `ws` or `wss`";
    NETWORK_TRANSPORT = "network.transport", String, "rtq",
        "`udp` or `tcp`";
    NETWORK_PROTOCOL_NAME = "network.protocol.name", String, "rtq",
        "`sip`";
}

/// The event name of a message's log record.
pub const MESSAGE: &str = "sip.message";

/// Attributes of one span or message, in the order they are added.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<KeyValue>);

impl Attributes {
    /// With room for `count`.
    pub fn with_room(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub fn text(&mut self, attribute: Attribute, value: impl Into<String>) {
        self.add(attribute, Kind::String, Value::StringValue(value.into()));
    }

    pub fn int(&mut self, attribute: Attribute, value: impl Into<i64>) {
        self.add(attribute, Kind::Int, Value::IntValue(value.into()));
    }

    pub fn double(&mut self, attribute: Attribute, value: f64) {
        self.add(attribute, Kind::Double, Value::DoubleValue(value));
    }

    pub fn boolean(&mut self, attribute: Attribute, value: bool) {
        self.add(attribute, Kind::Boolean, Value::BoolValue(value));
    }

    fn add(&mut self, attribute: Attribute, kind: Kind, value: Value) {
        debug_assert_eq!(attribute.kind, kind, "{}", attribute.key);
        let value = Some(AnyValue { value: Some(value) });
        self.0.push(KeyValue { key: attribute.key.to_owned(), value, ..KeyValue::default() });
    }

    /// As the messages of OTLP hold them.
    pub fn into_inner(self) -> Vec<KeyValue> {
        self.0
    }
}

#[cfg(test)]
mod tests;
