use std::collections::BTreeSet;

use super::super::schema::{Values, families};
use super::*;

/// Name, type, labels besides `carrier` and `ua_type` (`global` where there are neither, `of` the one that is there, `target` where
/// there are `target` and `transport`), bounds.
const EXPECTED: &str = "
packets_total counter
invite_total counter
bye_total counter
register_total counter
options_total counter
cancel_total counter
ack_total counter
subscribe_total counter
notify_total counter
publish_total counter
info_total counter
prack_total counter
update_total counter
message_total counter
refer_total counter
100_total counter
180_total counter
181_total counter
182_total counter
183_total counter
200_total counter
202_total counter
300_total counter
302_total counter
400_total counter
401_total counter
403_total counter
404_total counter
405_total counter
407_total counter
408_total counter
480_total counter
481_total counter
486_total counter
487_total counter
488_total counter
500_total counter
501_total counter
502_total counter
503_total counter
504_total counter
600_total counter
603_total counter
604_total counter
606_total counter
requests_total counter method=INVITE|ACK|BYE|CANCEL|OPTIONS|REGISTER|SUBSCRIBE|NOTIFY|PUBLISH|INFO|PRACK|UPDATE|MESSAGE|REFER|OTHER
responses_total counter code=100-699
invite_initial_total counter
retransmissions_total counter kind=request|response hop=first|other
transaction_timeouts_total counter method=INVITE|ACK|BYE|CANCEL|OPTIONS|REGISTER|SUBSCRIBE|NOTIFY|PUBLISH|INFO|PRACK|UPDATE|MESSAGE|REFER|OTHER
late_responses_total counter
late_2xx_total counter
recording_sessions_total counter
unmatched_total counter global kind=response|ack
capture_duplicates_total counter global
non_sip_total counter global
not_read_total counter global why=esp|l2tp|sctp|nested|ethertype
sip_elsewhere_total counter global why=port|wrapping
tls_records_total counter global
stream_resync_total counter global
clock_steps_total counter global
keepalives_total counter global type=stun|crlf|ws_ping
parse_errors_total counter global reason=start_line|version|status|missing_header|cseq|cseq_mismatch|via|content_length|too_large
anomalies_total counter global kind=start_line_space|header_line|dup_header|no_blank_line|trailing_bytes|content_length|no_content_length|snaplen|number
evicted_total counter global table=dialogs|logical_requests|attempts|bindings|fragments|streams
capture_drops_total counter global
probe_messages_seen_total counter global
request_via_depth histogram le=1|2|3|4|5|6|8|10|15|20|30|70
build_info gauge global
ratio_input_total counter input=TI|N200|N3xx|NUser|NIneff|A|answered|redirected|unseen|rUser|rIneff|C|REG|IRA|ner
session_attempts_total counter
session_outcomes_total counter outcome=answered|redirected|busy|no_answer|declined|cancelled|ineffective|timeout|no_final|unseen|challenge_abandoned|client_error|server_error|global_error
ser gauge
seer gauge
isa gauge
scr gauge
asr gauge
ner gauge
ser_rfc6076 gauge
seer_rfc6076 gauge
isa_rfc6076 gauge
scr_rfc6076 gauge
asr_e425 gauge
ner_e425 gauge
ira_rfc6076 gauge
registration_attempts_total counter
registration_outcomes_total counter outcome=success|redirected|failure|timeout|auth_abandoned
registrations_active gauge
registrations_expired_total counter
sessions_ended_total counter end=bye|481|timeout|bye_error|bye_timeout|expired|max_age
ttr histogram le=1|2|5|10|20|50|100|200|500|1000|2000|4000|8000|16000|32000
pdd histogram le=50|100|200|500|1000|1500|2000|3000|4000|5000|6000|8000|10000|15000|20000|30000|60000
rrd histogram le=1|2|5|10|20|50|100|200|500|1000|2000|5000|10000|32000
lrd histogram le=1|2|5|10|20|50|100|200|500|1000|2000|5000|10000|32000
ord histogram le=1|2|5|10|20|50|100|200|500|1000|2000|5000|10000|32000
spd histogram le=1|2|4|6|10|15|30|60|120|180|300|600|900|1200|1800|3600|7200|14400
rrd_rfc6076_seconds histogram le=0.001|0.002|0.005|0.01|0.02|0.05|0.1|0.2|0.5|1|2|5|10|32
srd_seconds histogram result=success|failure le=0.05|0.1|0.2|0.5|1|1.5|2|3|4|5|6|8|10|15|20|30|60|120|180
answer_delay_seconds histogram le=0.5|1|2|3|5|7.5|10|15|20|30|45|60|90|120|180
ring_seconds histogram result=answered|unanswered le=0.5|1|2|3|5|7.5|10|15|20|30|45|60|90|120|180
sdd_seconds histogram result=success|failure le=0.001|0.002|0.005|0.01|0.02|0.05|0.1|0.2|0.5|1|2|5|10|32
sdt_seconds histogram result=success|failure le=1|2|4|6|10|15|30|60|120|180|300|600|900|1200|1800|3600|7200|14400
iss_total counter
sdc_total counter
sessions_completed_rfc6076_total counter
short_calls_total counter
ack_missing_total counter
sessions gauge
dialogs gauge state=early|confirmed|terminating
reason_total counter protocol=Q.850|SIP|derived cause=0-999
queue_calls_total counter of queue end=abandoned|served|refused|timeout|ended
queue_wait_seconds histogram of queue end=abandoned|served|refused|timeout|ended le=1|2|5|10|20|30|60|120|180|300|600|1200|1800
queue_waiting gauge of queue
affinity_dialogs_total counter of backend
affinity_moved_total counter of service cause=auth_retry|backend_gone|source_port|idle|other
affinity_moved_failed_total counter of service
affinity_pinned_flows gauge of service
affinity_off_port_replies_total counter of service
affinity_untranslated_replies_total counter of service
affinity_bypass_total counter of service
affinity_unknown_backend_total counter of service
rtp_packets_total counter direction=caller|callee codec=PCMU|PCMA|G722|G723|G726|G728|G729|GSM|GSM-EFR|AMR|AMR-WB|EVS|iLBC|opus|speex|telephone-event|CN|other
rtp_lost_total counter direction=caller|callee codec=PCMU|PCMA|G722|G723|G726|G728|G729|GSM|GSM-EFR|AMR|AMR-WB|EVS|iLBC|opus|speex|telephone-event|CN|other
rtp_duplicates_total counter direction=caller|callee codec=PCMU|PCMA|G722|G723|G726|G728|G729|GSM|GSM-EFR|AMR|AMR-WB|EVS|iLBC|opus|speex|telephone-event|CN|other
rtp_reordered_total counter direction=caller|callee codec=PCMU|PCMA|G722|G723|G726|G728|G729|GSM|GSM-EFR|AMR|AMR-WB|EVS|iLBC|opus|speex|telephone-event|CN|other
rtp_discarded_total counter direction=caller|callee codec=PCMU|PCMA|G722|G723|G726|G728|G729|GSM|GSM-EFR|AMR|AMR-WB|EVS|iLBC|opus|speex|telephone-event|CN|other
rtp_streams_active gauge
rtp_jitter_seconds histogram direction=caller|callee codec=PCMU|PCMA|G722|G723|G726|G728|G729|GSM|GSM-EFR|AMR|AMR-WB|EVS|iLBC|opus|speex|telephone-event|CN|other le=0.001|0.002|0.005|0.01|0.02|0.03|0.05|0.08|0.1|0.2|0.5
rtp_loss_ratio histogram direction=caller|callee codec=PCMU|PCMA|G722|G723|G726|G728|G729|GSM|GSM-EFR|AMR|AMR-WB|EVS|iLBC|opus|speex|telephone-event|CN|other le=0|0.001|0.005|0.01|0.02|0.03|0.05|0.1|0.2|0.5
mos_lq histogram direction=caller|callee codec=PCMU|PCMA|G722|G723|G726|G728|G729|GSM|GSM-EFR|AMR|AMR-WB|EVS|iLBC|opus|speex|telephone-event|CN|other le=1.5|2|2.5|2.8|3|3.1|3.3|3.5|3.6|3.8|4|4.1|4.2|4.3|4.4|4.5
mos_cq histogram direction=caller|callee codec=PCMU|PCMA|G722|G723|G726|G728|G729|GSM|GSM-EFR|AMR|AMR-WB|EVS|iLBC|opus|speex|telephone-event|CN|other le=1.5|2|2.5|2.8|3|3.1|3.3|3.5|3.6|3.8|4|4.1|4.2|4.3|4.4|4.5
mos_avg gauge
rtcp_rtt_seconds histogram part=caller|callee|total le=0.005|0.01|0.02|0.05|0.1|0.15|0.2|0.3|0.4|0.5|0.8|1|2
rtcp_loss_ratio histogram direction=caller|callee le=0|0.001|0.005|0.01|0.02|0.03|0.05|0.1|0.2|0.5
rtcp_jitter_seconds histogram direction=caller|callee le=0.001|0.002|0.005|0.01|0.02|0.03|0.05|0.08|0.1|0.2|0.5
rtcp_packets_total counter
rtp_timestamp_jumps_total counter
media_intervals_incomplete_total counter
media_evicted_total counter global table=streams|dialog_streams|endpoints|media_lines|dialogs|records
media_drops_total counter global
media_errors_total counter global reason=sdp|rtp|rtcp|xr|vq
media_faults_total counter fault=no_media|one_way|media_stopped|fas_suspect|late_media direction=none|caller_only|callee_only|caller|callee
rtcp_xr_reports_total counter direction=caller|callee
vq_reports_total counter kind=session|interval|alert
vq_mos_lq histogram party=local|remote le=1.5|2|2.5|2.8|3|3.1|3.3|3.5|3.6|3.8|4|4.1|4.2|4.3|4.4|4.5
vq_mos_cq histogram party=local|remote le=1.5|2|2.5|2.8|3|3.1|3.3|3.5|3.6|3.8|4|4.1|4.2|4.3|4.4|4.5
vq_loss_ratio histogram party=local|remote le=0|0.001|0.005|0.01|0.02|0.03|0.05|0.1|0.2|0.5
vq_discard_ratio histogram party=local|remote le=0|0.001|0.005|0.01|0.02|0.03|0.05|0.1|0.2|0.5
vq_rtd_seconds histogram party=local|remote le=0.005|0.01|0.02|0.05|0.1|0.15|0.2|0.3|0.4|0.5|0.8|1|2
vq_jitter_seconds histogram party=local|remote le=0.001|0.002|0.005|0.01|0.02|0.03|0.05|0.08|0.1|0.2|0.5
trunk_attempts_total counter of carrier direction=in|out
trunk_outcomes_total counter of carrier direction=in|out outcome=answered|redirected|busy|no_answer|declined|cancelled|ineffective|timeout|no_final|unseen|challenge_abandoned|client_error|server_error|global_error
trunk_setup_seconds histogram of carrier direction=in|out le=0.05|0.1|0.2|0.5|1|1.5|2|3|4|5|6|8|10|15|20|30|60|120|180
trunk_calls gauge of carrier direction=in|out
trunk_call_seconds histogram of carrier direction=in|out le=1|2|4|6|10|15|30|60|120|180|300|600|900|1200|1800|3600|7200|14400
probe_sent_total counter target
probe_received_total counter target
probe_lost_total counter target
probe_retransmissions_total counter target
probe_unexpected_total counter target reason=stray|late|doubled|unreadable
probe_status_total counter target code=100-699
probe_rtt_seconds histogram target le=0.001|0.0025|0.005|0.01|0.025|0.05|0.1|0.25|0.5|1|2.5|5
probe_jitter_seconds gauge target
probe_up gauge target
probe_last_status gauge target
probe_tls_not_after_seconds gauge target
probe_tls_handshake_seconds gauge target
probe_target_info gauge target
";

/// A family as [`EXPECTED`] writes it.
fn line(family: &Family) -> String {
    let (kind, buckets) = match family.kind {
        Kind::Counter => ("counter", None),
        Kind::Gauge => ("gauge", None),
        Kind::Histogram(buckets) => ("histogram", Some(buckets)),
    };
    let mut line = format!("{} {kind}", family.name);
    match family.scope {
        Scope::Call | Scope::Carrier | Scope::Queue | Scope::Service | Scope::Backend => {}
        Scope::Global => line += " global",
        Scope::Target => line += " target",
    }
    if let Some(name) = family.scope.name() {
        line += &format!(" of {name}");
    }
    for label in family.labels {
        let values = match label.values {
            Values::Listed(values) => values.join("|"),
            Values::Numbers { first, count } => format!("{first}-{}", first + count - 1),
        };
        line += &format!(" {}={values}", label.name);
    }
    if let Some(buckets) = buckets {
        let bounds: Vec<_> =
            buckets.bounds.iter().map(|bound| (*bound as f64 / buckets.unit.scale()).to_string()).collect();
        line += &format!(" le={}", bounds.join("|"));
    }
    line
}

#[test]
fn every_promised_metric_exists_and_no_other() {
    let expected: BTreeSet<String> = EXPECTED.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let actual: BTreeSet<String> = families().map(line).collect();
    assert_eq!(actual.difference(&expected).collect::<Vec<_>>(), Vec::<&String>::new(), "not promised");
    assert_eq!(expected.difference(&actual).collect::<Vec<_>>(), Vec::<&String>::new(), "missing");
    assert_eq!(families().count(), expected.len(), "a name stands twice");
}

#[test]
fn stored_families_are_indexed_by_their_id() {
    for (index, f) in F::ALL.iter().enumerate() {
        assert_eq!(*f as usize, index);
        assert_eq!(f.family().source, super::super::schema::Source::Stored(*f));
    }
    assert_eq!(F::COUNT, FAMILIES.len());
}

/// Names that every translation strategy of OTLP backends leaves alone.
#[test]
fn names_need_no_translation() {
    for family in families() {
        let name = family.name;
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
        assert!(!name.contains("__") && !name.starts_with('_') && !name.ends_with('_'), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}: _total marks a counter");
        for suffix in ["_bucket", "_sum", "_count", "_created"] {
            assert!(!name.ends_with(suffix), "{name}: the suffix belongs to histograms");
        }
        for label in family.labels {
            assert!(label.name.bytes().all(|b| b.is_ascii_lowercase()), "{name}: {}", label.name);
            assert!(!["carrier", "ua_type", "le", "job", "instance"].contains(&label.name), "{name}: {}", label.name);
        }
    }
}

/// Renderers write help texts and listed values as they are.
#[test]
fn help_and_listed_values_need_no_escaping() {
    for family in families() {
        assert!(family.help.ends_with('.') && !family.help.contains(['\\', '\n', '"']), "{}", family.name);
        for label in family.labels {
            if let Values::Listed(values) = label.values {
                assert!(values.iter().all(|value| !value.contains(['\\', '\n', '"'])), "{}", family.name);
            }
        }
        if let Kind::Histogram(buckets) = family.kind {
            use super::super::buckets::Unit;
            let (word, seconds) = match buckets.unit {
                Unit::Milliseconds => ("in milliseconds", false),
                Unit::Seconds => ("in seconds", true),
                Unit::Count | Unit::Millionths => ("no unit", false),
            };
            assert!(family.help.contains(word), "{}: help names the unit", family.name);
            assert!(seconds || !family.name.ends_with("_seconds"), "{}", family.name);
            assert!(buckets.bounds.is_sorted_by(|a, b| a < b), "{}", family.name);
        }
    }
}

#[test]
fn the_page_about_metrics_names_each_of_them() {
    let page = include_str!("../../../docs/metrics.md");
    let missing: Vec<_> =
        families().map(|family| family.name).filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, Vec::<&str>::new(), "docs/metrics.md does not explain these");
}
