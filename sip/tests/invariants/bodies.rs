//! What must hold for every body, whatever the bytes: shared by the property tests and the fuzz target.

use sip::{Quality, Sdp, sdp, vq_report};

/// Reads `bytes` as a session description and as a report of voice quality, and asks everything.
pub fn check(bytes: &[u8]) {
    for cut in [false, true] {
        if let Ok(sdp) = Sdp::read(bytes, cut) {
            described(&sdp);
        }
    }
    if let Ok(report) = vq_report(bytes) {
        assert!(report.call_id.is_none_or(|call_id| !call_id.is_empty() && bytes.len() >= call_id.len()));
        reported(&report.local);
        reported(&report.remote);
    }
}

fn described(sdp: &Sdp<'_>) {
    assert!(sdp.media().count() <= sdp::MAX_MEDIA);
    for media in sdp.media() {
        assert!(media.pairs > 0 && media.payload_types().all(|number| number < 128));
        assert!((0..=127).filter_map(|number| media.mapping(number)).all(|mapping| mapping.clock > 0));
        assert!(media.ptime().is_none_or(|ptime| (1..=1000).contains(&ptime)));
        assert!(media.candidates().all(|candidate| candidate.address.port() != 0));
        assert!(media.candidates().count() <= 100);
        assert!(media.rtcp().is_none_or(|(port, _)| port != 0));
        assert!(media.is_rtp() || !media.is_secure());
        let _ = (media.direction(), media.format_parameter(111, b"usedtx"), media.is_bundled(), media.has_rtcp_mux());
    }
}

fn reported(quality: &Quality) {
    let within = |value: Option<f32>, least: f32, most: f32| value.is_none_or(|value| (least..=most).contains(&value));
    let percents = [quality.loss, quality.discard, quality.burst_loss, quality.gap_loss];
    assert!(percents.into_iter().all(|value| within(value, 0.0, 100.0)));
    let Quality { burst_ms, gap_ms, round_trip_ms, end_system_ms, jitter_ms, .. } = *quality;
    let times = [burst_ms, gap_ms, round_trip_ms, end_system_ms, jitter_ms];
    assert!(times.into_iter().all(|value| within(value, 0.0, 65_535.0)));
    assert!([quality.r_lq, quality.r_cq].into_iter().all(|value| within(value, 0.0, 120.0)));
    assert!([quality.mos_lq, quality.mos_cq].into_iter().all(|value| within(value, 1.0, 5.0)));
}
