use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::label_values::Success;
use super::super::text::PIECE;
use super::*;

/// One answered call of `telecom "alpha"` and a refused registration.
fn populated() -> std::sync::Arc<Registry> {
    let registry = registry();
    let mut rows = registry.shard();
    let set = registry.label_sets().intern("telecom \"alpha\"\\\n", "yealink");
    rows.add(set, F::Packets, 0, 7);
    for method in [sip::Method::Invite, sip::Method::Ack, sip::Method::Bye] {
        rows.add(set, F::Requests, method.index(), 1);
    }
    for code in [100, 180, 200] {
        rows.add(set, F::Responses, code - 100, 1);
    }
    for input in [Input::Ti, Input::N200, Input::A, Input::Answered, Input::Ner, Input::C] {
        rows.add(set, F::RatioInputs, input.index(), 1);
    }
    rows.adjust(set, F::Dialogs, 1, 1);
    rows.observe(set, F::Ttr, 0, Duration::from_micros(10_500));
    rows.observe(set, F::Srd, Success::Success.index(), Duration::from_millis(100));
    rows.observe_count(set, F::RequestViaDepth, 0, 2);
    rows.add(LabelSet::OTHER, F::RatioInputs, Input::Reg.index(), 1);
    rows.add(LabelSet::OTHER, F::ParseErrors, sip::ParseError::Via.index(), 2);
    registry
}

fn render(registry: &Registry, format: Format, undefined: Undefined) -> String {
    Exposition::new(registry.snapshot(), format, undefined).into_text()
}

/// Compares with a file beside the tests; `UPDATE_GOLDEN=1` writes it anew, for a person to read the difference.
fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file exists");
    assert!(text == expected, "{name} differs:\n{text}");
}

#[test]
fn the_text_format_is_written_as_on_file() {
    golden("populated.prom", &render(&populated(), Format::Text, Undefined::Nan));
}

#[test]
fn openmetrics_is_written_as_on_file() {
    golden("populated.om", &render(&populated(), Format::OpenMetrics, Undefined::Nan));
}

#[test]
fn openmetrics_differs_only_in_families_bounds_and_its_end() {
    let registry = populated();
    let older = render(&registry, Format::Text, Undefined::Nan);
    let newer = render(&registry, Format::OpenMetrics, Undefined::Nan);
    let samples = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.replace(".0\"}", "\"}")).collect()
    };
    // The newer one also says of each counter and histogram when it was 0.
    let (created, shared): (Vec<String>, Vec<String>) =
        samples(&newer).into_iter().partition(|line| line.contains("_created{") || line.contains("_created "));
    assert_eq!(samples(&older), shared);
    let counters = samples(&older).iter().filter(|line| line.contains("_total")).count();
    let histograms = shared.iter().filter(|line| line.contains("_count{")).count();
    assert_eq!(created.len(), counters + histograms);
    assert!(newer.ends_with("\n# EOF\n") && !older.contains("# EOF"));
    assert!(newer.contains("# TYPE sip_exporter_packets counter\n"));
    assert!(older.contains("# TYPE sip_exporter_packets_total counter\n"));
    assert!(newer.contains("# UNIT sip_exporter_srd_seconds seconds\n"));
    assert!(newer.contains(r#"le="1.0"}"#) && older.contains(r#"le="1"}"#));
}

#[test]
fn a_series_was_created_when_its_labels_were_counted_first() {
    static SECONDS: AtomicU64 = AtomicU64::new(1000);
    let clock = || Timestamp::from_nanos(SECONDS.load(Ordering::Relaxed) * 1_000_000_000);
    let registry = Registry::of("", Build::default(), Arc::default(), clock);
    let set = registry.label_sets().intern("a", "p");
    // Two shards: the first one counts.
    for shard in [&mut registry.shard(), &mut registry.shard()] {
        SECONDS.fetch_add(5, Ordering::Relaxed);
        shard.add(set, F::Packets, 0, 1);
        shard.add(LabelSet::OTHER, F::Packets, 0, 1);
    }
    let text = render(&registry, Format::OpenMetrics, Undefined::Nan);
    for line in [
        r#"packets_created{carrier="a",ua_type="p"} 1005.000"#,
        r#"late_responses_created{carrier="a",ua_type="p"} 1005.000"#,
        r#"packets_created{carrier="other",ua_type="other"} 1000.000"#,
        "clock_steps_created 1000.000",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert!(!render(&registry, Format::Text, Undefined::Nan).contains("_created"));
}

#[test]
fn an_undefined_ratio_is_nan_absent_or_zero_as_configured() {
    let registry = populated();
    let line = |undefined| {
        render(&registry, Format::Text, undefined)
            .lines()
            .find(|line| line.starts_with(&format!("sip_exporter_ner{OTHER}")))
            .map(|line| line.rsplit(' ').next().expect("a value").to_owned())
    };
    assert_eq!(line(Undefined::Nan).as_deref(), Some("NaN"));
    assert_eq!(line(Undefined::Absent), None);
    assert_eq!(line(Undefined::Zero).as_deref(), Some("0"));
}

#[test]
fn the_namespace_is_the_prefix_of_every_name() {
    let registry = Registry::new("voice");
    registry.shard().add(LabelSet::OTHER, F::Packets, 0, 1);
    let text = render(&registry, Format::Text, Undefined::Nan);
    for line in text.lines() {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        assert!(name.starts_with("voice_"), "{line}");
    }
}

#[test]
fn a_body_comes_in_bounded_pieces_that_make_the_whole() {
    let registry = registry();
    let mut rows = registry.shard();
    for n in 0..500 {
        let set = registry.label_sets().intern("carrier", &format!("phone {n}"));
        for variant in 0..15 {
            rows.add(set, F::Requests, variant, 1);
        }
        rows.observe(set, F::Ttr, 0, Duration::from_millis(n));
    }
    let pieces: Vec<_> = Exposition::new(registry.snapshot(), Format::Text, Undefined::Nan).collect();
    assert!(pieces.len() > 10);
    for piece in &pieces {
        // One step more than the mark: 64 label sets of the widest family.
        assert!(piece.len() < PIECE + 64 * 20 * 120, "{}", piece.len());
        assert!(piece.ends_with('\n'));
    }
    let whole = pieces.concat();
    assert_eq!(whole.matches("# TYPE sip_exporter_requests_total").count(), 1, "a family is announced once");
    assert_eq!(whole.matches("sip_exporter_requests_total{").count(), 500 * 15);
}

/// A family's series must stand together, and none may occur twice.
#[test]
fn families_stand_together_and_no_series_twice() {
    let text = render(&populated(), Format::Text, Undefined::Nan);
    let mut families = std::collections::HashSet::new();
    let mut series = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(family.split(' ').next()), "{family}");
        } else if !line.starts_with('#') {
            assert!(series.insert(line.rsplit_once(' ').expect("a value").0.to_owned()), "{line}");
        }
    }
}
