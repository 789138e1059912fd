//! What callers hear: facts about media in, cells out (`sip-metrics.md` 5.5 to 5.7).

use std::collections::VecDeque;
use std::time::Duration;

use pipeline::LabelSet;
use pipeline::media::{Interval, MediaFact, VqMeasure};
use wire::Timestamp;

use crate::stored::{fault, stream};
use crate::{F, ShardRows};

/// How long an opinion is recent (`mos_avg`).
const RECENT: Duration = Duration::from_secs(60);

/// Opinions of the last minute, in the order in which their intervals ended.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<(Timestamp, LabelSet, u32)>);

impl Recent {
    /// An interval ended with an opinion, in millionths.
    fn enter(&mut self, rows: &mut ShardRows, at: Timestamp, set: LabelSet, opinion: u32) {
        self.0.push_back((at, set, opinion));
        rows.adjust(set, F::RecentOpinions, 0, opinion.into());
        rows.adjust(set, F::RecentOpinions, 1, 1);
    }

    /// The clock came to `now`.
    pub fn leave(&mut self, rows: &mut ShardRows, now: Timestamp) {
        while let Some((_, set, opinion)) = self.0.pop_front_if(|(at, ..)| *at + RECENT <= now) {
            rows.adjust(set, F::RecentOpinions, 0, -i64::from(opinion));
            rows.adjust(set, F::RecentOpinions, 1, -1);
        }
    }
}

/// Counts a fact about media.
pub fn count(rows: &mut ShardRows, recent: &mut Recent, set: LabelSet, fact: MediaFact) {
    match fact {
        MediaFact::Listening => rows.listen(),
        MediaFact::Packets { side, codec, count } => rows.add(set, F::RtpPackets, stream(side, codec), count.into()),
        MediaFact::Duplicate { side, codec } => rows.add(set, F::RtpDuplicates, stream(side, codec), 1),
        MediaFact::Reordered { side, codec } => rows.add(set, F::RtpReordered, stream(side, codec), 1),
        MediaFact::TimestampJumped => rows.add(set, F::TimestampJumps, 0, 1),
        MediaFact::IntervalEnded(interval) => count_interval(rows, recent, set, interval),
        MediaFact::IntervalIncomplete => rows.add(set, F::IntervalsIncomplete, 0, 1),
        MediaFact::StreamsActive(change) => rows.adjust(set, F::RtpStreamsActive, 0, change.into()),
        MediaFact::Rtcp => rows.add(set, F::RtcpPackets, 0, 1),
        MediaFact::Reported { side, loss, jitter } => {
            // In 1/256.
            rows.observe_count(set, F::RtcpLoss, side.index(), u64::from(loss) * 1_000_000 / 256);
            rows.observe_count(set, F::RtcpJitter, side.index(), jitter.into());
        }
        MediaFact::RoundTrip { part, nanos } => rows.observe_count(set, F::RtcpRtt, part.index(), nanos),
        MediaFact::Extended { side } => rows.add(set, F::RtcpXrReports, side.index(), 1),
        MediaFact::Report(kind) => rows.add(set, F::VqReports, kind.index(), 1),
        MediaFact::ReportValue { party, measure, value } => {
            let family = match measure {
                VqMeasure::MosLq => F::VqMosLq,
                VqMeasure::MosCq => F::VqMosCq,
                VqMeasure::Loss => F::VqLoss,
                VqMeasure::Discard => F::VqDiscard,
                VqMeasure::RoundTrip => F::VqRtd,
                VqMeasure::Jitter => F::VqJitter,
            };
            rows.observe_count(set, family, party.index(), value);
        }
        MediaFact::Fault { fault: what, toward } => rows.add(set, F::MediaFaults, fault(what, toward), 1),
        MediaFact::Refused(table) => rows.add(set, F::MediaEvicted, table.index(), 1),
        MediaFact::Unreadable(what) => rows.add(set, F::MediaErrors, what.index(), 1),
    }
}

fn count_interval(rows: &mut ShardRows, recent: &mut Recent, set: LabelSet, interval: Interval) {
    let Interval { at, side, codec, lost, discarded, sample } = interval;
    let variant = stream(side, codec);
    for (family, count) in [(F::RtpLost, lost), (F::RtpDiscarded, discarded)] {
        if count > 0 {
            rows.add(set, family, variant, count.into());
        }
    }
    if let Some(sample) = sample {
        rows.observe_count(set, F::RtpLoss, variant, sample.loss.into());
        rows.observe_count(set, F::RtpJitter, variant, sample.jitter.into());
        rows.observe_count(set, F::MosLq, variant, sample.mos_lq.into());
        rows.observe_count(set, F::MosCq, variant, sample.mos_cq.into());
        recent.enter(rows, at, set, sample.mos_cq);
    }
}
