use std::time::Duration;

use pipeline::call::Side;
use pipeline::media::{Interval, MediaFact, Sample};
use pipeline::{Facts, FrameBatch, Slot};
use rtp::Codec;
use wire::Timestamp;

use super::*;
use crate::recorder::Recorder;

/// What a scrape shows after these facts, at so many seconds.
fn after(facts: &[MediaFact], seconds: u64) -> String {
    let registry = registry();
    let mut recorder = Recorder::new(registry.shard());
    let mut stated = Facts::default();
    facts.iter().for_each(|fact| stated.hear(Slot::OTHER, *fact));
    let at = |seconds| FrameBatch { now: Timestamp::ZERO + Duration::from_secs(seconds), ..FrameBatch::default() };
    recorder.record(&at(0), &stated);
    recorder.record(&at(seconds), &Facts::default());
    scrape(&registry)
}

fn interval(mos_cq: u32) -> MediaFact {
    let sample = Sample { loss: 20_000, jitter: 3_000_000, mos_lq: 4_000_000, mos_cq };
    MediaFact::IntervalEnded(Interval {
        at: Timestamp::ZERO,
        side: Side::Callee,
        codec: Codec::G726At32,
        lost: 10,
        discarded: 0,
        sample: Some(sample),
    })
}

#[test]
fn families_about_media_exist_once_somebody_listens() {
    let names = ["rtp_", "mos_", "media_", "rtcp_", "vq_"].map(|start| format!("sip_exporter_{start}"));
    let has = |text: &str| names.iter().any(|name| text.contains(name));
    assert!(!has(&after(&[], 1)));
    let listening = after(&[MediaFact::Listening], 1);
    assert!(listening.contains("sip_exporter_media_drops_total 0\n") && !listening.contains("rtp_streams_active{"));
    let heard = after(&[MediaFact::Listening, MediaFact::StreamsActive(1), MediaFact::StreamsActive(-1)], 1);
    assert!(heard.contains("rtp_streams_active{carrier=\"other\",ua_type=\"other\"} 0\n"), "{heard}");
    assert!(!heard.contains("mos_recent"));
}

#[test]
fn an_interval_is_a_sample_of_everything() {
    let text = after(&[MediaFact::Listening, interval(3_900_000)], 1);
    let labels = "carrier=\"other\",ua_type=\"other\",direction=\"callee\",codec=\"G726\"";
    for line in [
        format!("rtp_lost_total{{{labels}}} 10"),
        format!("rtp_loss_ratio_sum{{{labels}}} 0.02"),
        format!("rtp_jitter_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
        format!("mos_lq_bucket{{{labels},le=\"4\"}} 1"),
        format!("mos_cq_bucket{{{labels},le=\"3.8\"}} 0"),
        format!("mos_cq_sum{{{labels}}} 3.9"),
    ] {
        assert!(text.contains(&format!("sip_exporter_{line}\n")), "{line}\n{text}");
    }
}

#[test]
fn the_mean_is_that_of_the_last_minute() {
    let facts = [MediaFact::Listening, interval(3_000_000), interval(4_000_000)];
    let mean = |seconds| {
        let text = after(&facts, seconds);
        let line = text.lines().find(|line| line.starts_with("sip_exporter_mos_avg{")).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next().map(str::to_owned))
    };
    assert_eq!(mean(59).as_deref(), Some("3.5"));
    assert_eq!(mean(60).as_deref(), Some("NaN"));
}
