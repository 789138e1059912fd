//! One call that is shown: its record with the names of its labels, and what the page says of it.

use std::sync::Arc;

use call_views::{Summary, View};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pipeline::call::IN_PROGRESS;
use pipeline::{CallRecord, KeptCall, LabelSets};
use serde::{Serialize, Serializer};
use wire::Timestamp;

/// A call that is shown. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is known of it.
    pub record: Arc<CallRecord>,
    /// The label `carrier`.
    pub carrier: Arc<str>,
    /// The label `ua_type`.
    pub ua_type: Arc<str>,
}

/// Which call it is: a Call-ID may begin anew.
pub type Key = (Box<str>, Timestamp);

/// What is said of a call in a list.
#[derive(Debug, Serialize)]
pub struct Line {
    #[serde(flatten)]
    summary: Summary,
    /// `live` while it is up, `ended` once its outcome stands.
    state: &'static str,
    /// How far a call has come that is up: `calling`, `ringing` or `talking`; `null` when it ended.
    phase: Option<&'static str>,
    /// Its trace would be an error, or nobody heard it hang up.
    failed: bool,
    /// The worst MOS-CQ of an interval of its media; `null` where there is none.
    mos: Option<f64>,
    /// What is wrong with its media; left out where nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<&'static str>,
    /// When it was answered, in seconds since the first INVITE.
    answered_seconds: Option<f64>,
    /// The last message, or when it was given up; seconds since the first INVITE.
    until_seconds: f64,
    retransmissions: u32,
    user_agent: Option<Box<str>>,
    hangup_cause: Option<u16>,
    disconnected_by: Option<&'static str>,
}

/// A call with its ladder.
#[derive(Debug, Serialize)]
pub struct Told {
    #[serde(flatten)]
    line: LineOfLadder,
    #[serde(flatten)]
    ladder: call_views::ladder::Ladder,
}

/// What a [`Line`] says besides what a ladder says.
#[derive(Debug, Serialize)]
struct LineOfLadder {
    state: &'static str,
    phase: Option<&'static str>,
    failed: bool,
    mos: Option<f64>,
    answered_seconds: Option<f64>,
    until_seconds: f64,
    user_agent: Option<Box<str>>,
    hangup_cause: Option<u16>,
    disconnected_by: Option<&'static str>,
    /// Where its trace is; `null` where no place is configured.
    trace_link: Option<String>,
    /// Why no message is listed: `off` where ladders are not kept.
    #[serde(serialize_with = "form")]
    ladder_form: pipeline::call::ladder::LadderForm,
}

impl Entry {
    /// A call with its labels.
    pub fn new(call: KeptCall, label_sets: &LabelSets) -> Self {
        let (carrier, ua_type) = label_sets.names(call.labels);
        Self { record: call.call.record, carrier: carrier.into(), ua_type: ua_type.into() }
    }

    /// Which call it is.
    pub fn key(&self) -> Key {
        (self.record.call_id.clone(), self.record.start)
    }

    /// As views take it.
    pub fn view(&self) -> View<'_> {
        View { record: &self.record, carrier: &self.carrier, ua_type: &self.ua_type }
    }

    /// Whether it is up.
    pub fn is_live(&self) -> bool {
        self.record.outcome == IN_PROGRESS && !self.record.last
    }

    /// What is said of it in a list.
    pub fn line(&self) -> Line {
        let LineOfLadder { state, phase, failed, mos, answered_seconds, until_seconds, .. } = self.beside(None);
        let record = &self.record;
        Line {
            summary: self.view().summary(),
            state,
            phase,
            failed,
            mos,
            faults: self.faults().collect(),
            answered_seconds,
            until_seconds,
            retransmissions: record.retransmissions,
            user_agent: record.user_agent.clone(),
            hangup_cause: record.hangup_cause,
            disconnected_by: record.disconnected_by.map(|side| side.as_str()),
        }
    }

    /// The same for a page that follows a list: without all that was heard, which changes while people talk.
    pub fn followed(&self) -> Line {
        let mut line = self.line();
        line.summary.media = None;
        line
    }

    /// What is wrong with its media, each once.
    pub fn faults(&self) -> impl Iterator<Item = &'static str> {
        let faults = self.record.media.iter().flat_map(|media| &media.faults);
        let mut names: Vec<&str> = faults.map(|fault| fault.fault.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// All that is said of it.
    pub fn told(&self, trace_url: Option<&str>) -> Told {
        Told { line: self.beside(trace_url), ladder: call_views::ladder::json(&self.view()) }
    }

    fn beside(&self, trace_url: Option<&str>) -> LineOfLadder {
        let record = &self.record;
        let since = |at: Timestamp| (at - record.start).as_secs_f64();
        let answered = record.sessions.iter().map(|session| session.start).min();
        let is_live = self.is_live();
        let phase = match (answered, record.ringing.is_empty()) {
            (Some(_), _) => "talking",
            (None, false) => "ringing",
            (None, true) => "calling",
        };
        LineOfLadder {
            state: if is_live { "live" } else { "ended" },
            phase: is_live.then_some(phase),
            failed: !is_live && self.view().failed(),
            mos: record
                .media
                .as_ref()
                .and_then(|media| media.worst())
                .map(|mos| (f64::from(mos) * 100.0).round() / 100.0),
            answered_seconds: answered.map(since),
            until_seconds: since(record.until.max(record.start)),
            user_agent: record.user_agent.clone(),
            hangup_cause: record.hangup_cause,
            disconnected_by: record.disconnected_by.map(|side| side.as_str()),
            trace_link: trace_url.map(|template| self.trace_link(template)),
            ladder_form: record.ladder_form,
        }
    }

    fn trace_link(&self, template: &str) -> String {
        let trace_id: String = self.record.trace(&self.carrier).id.iter().map(|byte| format!("{byte:02x}")).collect();
        let call_id = utf8_percent_encode(&self.record.call_id, COMPONENT).to_string();
        // The Call-ID last: it may have the other name in it.
        template.replace("{trace_id}", &trace_id).replace("{call_id}", &call_id)
    }
}

fn form<S: Serializer>(form: &pipeline::call::ladder::LadderForm, to: S) -> Result<S::Ok, S::Error> {
    let off = *form == pipeline::call::ladder::LadderForm::Off;
    off.then_some("off").serialize(to)
}

/// All that means something in an address, and all that is not ASCII (RFC 3986 §2.3).
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
