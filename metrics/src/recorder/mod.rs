//! The recorder: facts in, counts on metric rows out. It stands behind the last processor of a metrics pipeline.
//!
//! What feeds the ratios of RFC 6076 and ITU-T E.425 is in `ratios`, everything else is one cell per fact.
//! It holds the rows of its shard and nothing else; it never waits for whoever reads them.

mod affinity;
mod media;
mod ratios;

use pipeline::event::{Event, Fact, Measure};
use pipeline::{Facts, FrameBatch, LabelSet, Tally};

use media::Recent;

use crate::label_values::{self, Hop, Keepalive, Repeated, Ring, Success, Unmatched};
use crate::{F, FIRST_CODE, ShardRows};

/// Writes one shard's rows.
#[derive(Debug)]
pub struct Recorder {
    rows: ShardRows,
    /// Opinions of the last minute.
    recent: Recent,
}

impl Recorder {
    /// Records into `rows`.
    pub fn new(rows: ShardRows) -> Self {
        Self { rows, recent: Recent::default() }
    }

    /// Counts what a batch brought: what the receiver tallied, and what the processors stated.
    pub fn record(&mut self, batch: &FrameBatch, facts: &Facts) {
        self.tally(&batch.tally);
        // Most messages state several facts of one slot.
        for run in facts.events.chunk_by(|event, next| event.slot == next.slot) {
            let set = facts.labels(run[0].slot);
            run.iter().for_each(|event| self.count(set, event));
        }
        for heard in &facts.heard {
            media::count(&mut self.rows, &mut self.recent, facts.labels(heard.slot), heard.fact);
        }
        self.recent.leave(&mut self.rows, batch.now);
    }

    fn tally(&mut self, tally: &Tally) {
        if *tally == Tally::default() {
            return;
        }
        let parse_error = |error: sip::ParseError| (F::ParseErrors, error.index());
        let evicted = |table: pipeline::event::Evicted| (F::Evicted, table.index());
        let counts = [
            ((F::Keepalives, Keepalive::Stun.index()), tally.keepalives_stun),
            ((F::Keepalives, Keepalive::Crlf.index()), tally.keepalives_crlf),
            ((F::Keepalives, Keepalive::WsPing.index()), tally.keepalives_ws_ping),
            ((F::NonSip, 0), tally.non_sip),
            (parse_error(sip::ParseError::StartLine), tally.start_line_errors),
            (parse_error(sip::ParseError::TooLarge), tally.too_large),
            (parse_error(sip::ParseError::ContentLength), tally.content_length_errors),
            ((F::CaptureDuplicates, 0), tally.capture_duplicates),
            ((F::TlsRecords, 0), tally.tls_records),
            ((F::StreamResync, 0), tally.stream_resyncs),
            ((F::ClockSteps, 0), tally.clock_steps),
            ((F::CaptureDrops, 0), tally.capture_drops),
            ((F::MediaDrops, 0), tally.media_drops),
            ((F::ProbeMessagesSeen, 0), tally.probe_messages),
            (evicted(pipeline::event::Evicted::Fragments), tally.evicted_fragments),
            (evicted(pipeline::event::Evicted::Streams), tally.evicted_streams),
        ];
        let not_read =
            tally.not_read.iter().enumerate().map(|(variant, count)| ((F::NotRead, variant), u64::from(*count)));
        let elsewhere = tally.sip_elsewhere.iter().enumerate();
        let elsewhere = elsewhere.map(|(variant, count)| ((F::SipElsewhere, variant), u64::from(*count)));
        for ((family, variant), count) in counts.into_iter().chain(not_read).chain(elsewhere) {
            if count > 0 {
                self.rows.add(LabelSet::OTHER, family, variant, count);
            }
        }
    }

    #[inline]
    fn count(&mut self, set: LabelSet, event: &Event) {
        let rows = &mut self.rows;
        let mut one = |family, variant| rows.add(set, family, variant, 1);
        match event.fact {
            Fact::MessageSeen => one(F::Packets, 0),
            Fact::ProbeSeen => one(F::ProbeMessagesSeen, 0),
            Fact::ParseFailed(error) => one(F::ParseErrors, error.index()),
            Fact::Imperfect(kind) => one(F::Anomalies, kind.index()),
            Fact::SeenElsewhere => one(F::CaptureDuplicates, 0),
            Fact::Retransmitted { request, first_hop } => {
                let what = if request { Repeated::Request } else { Repeated::Response };
                one(F::Retransmissions, what.at(if first_hop { Hop::First } else { Hop::Other }));
            }
            Fact::Requested(method) => one(F::Requests, method.index()),
            Fact::Responded(status) => one(F::Responses, usize::from(status - FIRST_CODE)),
            Fact::RecordingOpened => one(F::RecordingSessions, 0),
            Fact::ResponseUnmatched => one(F::Unmatched, Unmatched::Response.index()),
            Fact::AckUnmatched => one(F::Unmatched, Unmatched::Ack.index()),
            Fact::TransactionTimedOut(method) => one(F::TransactionTimeouts, method.index()),
            Fact::RespondedLate => one(F::LateResponses, 0),
            Fact::AnsweredLate => one(F::Late2xx, 0),
            Fact::ViaDepth(depth) => rows.observe_count(set, F::RequestViaDepth, 0, depth.into()),
            Fact::Evicted(table) => one(F::Evicted, table.index()),
            Fact::PerInviteSessionOpened => rows.adjust(set, F::Sessions, 0, 1),
            Fact::PerInviteSessionClosed => rows.adjust(set, F::Sessions, 0, -1),
            Fact::DialogMoved { from, to } => {
                if let Some(state) = from {
                    rows.adjust(set, F::Dialogs, state.index(), -1);
                }
                if let Some(state) = to {
                    rows.adjust(set, F::Dialogs, state.index(), 1);
                }
            }
            Fact::SessionEnded(end) => one(F::SessionsEnded, end.index()),
            Fact::CallWasShort => one(F::ShortCalls, 0),
            Fact::AckMissing => one(F::AckMissing, 0),
            Fact::BindingsChanged(change) => rows.adjust(set, F::RegistrationsActive, 0, change.into()),
            Fact::BindingExpired => one(F::RegistrationsExpired, 0),
            Fact::ReasonGiven { protocol, cause } => {
                if let Some(variant) = label_values::reason(protocol, cause) {
                    one(F::Reasons, variant);
                }
            }
            Fact::Measured(measure, duration) => {
                let (family, variant) = histogram(measure);
                rows.observe(set, family, variant, duration);
            }
            Fact::TrunkOpened(trunk) => rows.add_named(trunk.carrier, F::TrunkAttempts, trunk.direction.index(), 1),
            Fact::TrunkEnded(trunk, outcome) => {
                let variant = label_values::trunk_outcome(trunk.direction, outcome);
                rows.add_named(trunk.carrier, F::TrunkOutcomes, variant, 1);
            }
            Fact::TrunkSetUp(trunk, delay) => {
                rows.observe_named(trunk.carrier, F::TrunkSetup, trunk.direction.index(), delay);
            }
            Fact::TrunkCallBegan(trunk) => {
                rows.adjust_named(trunk.carrier, F::TrunkCalls, trunk.direction.index(), 1);
            }
            Fact::TrunkCallEnded(trunk, duration) => {
                rows.adjust_named(trunk.carrier, F::TrunkCalls, trunk.direction.index(), -1);
                if let Some(duration) = duration {
                    rows.observe_named(trunk.carrier, F::TrunkCallDuration, trunk.direction.index(), duration);
                }
            }
            Fact::QueueEntered(queue) => rows.adjust_named(queue, F::QueueWaiting, 0, 1),
            Fact::QueueLeft(queue, end, waited) => {
                rows.adjust_named(queue, F::QueueWaiting, 0, -1);
                rows.add_named(queue, F::QueueCalls, end.index(), 1);
                rows.observe_named(queue, F::QueueWait, end.index(), waited);
            }
            Fact::Affinity(fact) => affinity::count(rows, fact),
            Fact::QueueLost(queue) => rows.adjust_named(queue, F::QueueWaiting, 0, -1),
            Fact::InvitedInitially
            | Fact::InviteAnswered
            | Fact::InviteFailed(_)
            | Fact::PerInviteSessionCompleted
            | Fact::AttemptOpened
            | Fact::AttemptEnded { .. }
            | Fact::SessionCompleted
            | Fact::RegistrationOpened
            | Fact::RegistrationEnded(_) => ratios::count(rows, set, event.fact),
        }
    }
}

/// Where a delay goes: family and variant.
pub(crate) fn histogram(measure: Measure) -> (F, usize) {
    match measure {
        Measure::FirstResponse => (F::Ttr, 0),
        Measure::PostDial => (F::Pdd, 0),
        Measure::Registration => (F::Rrd, 0),
        Measure::RegistrationRedirect => (F::Lrd, 0),
        Measure::Options => (F::Ord, 0),
        Measure::PerInviteSession => (F::Spd, 0),
        Measure::RegistrationStrict => (F::RrdRfc6076, 0),
        Measure::SetupSuccess => (F::Srd, Success::Success.index()),
        Measure::SetupFailure => (F::Srd, Success::Failure.index()),
        Measure::Answer => (F::AnswerDelay, 0),
        Measure::RingAnswered => (F::RingTime, Ring::Answered.index()),
        Measure::RingUnanswered => (F::RingTime, Ring::Unanswered.index()),
        Measure::DisconnectSuccess => (F::Sdd, Success::Success.index()),
        Measure::DisconnectFailure => (F::Sdd, Success::Failure.index()),
        Measure::DurationSuccess => (F::Sdt, Success::Success.index()),
        Measure::DurationFailure => (F::Sdt, Success::Failure.index()),
    }
}
