use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pipeline::LabelSets;
use pipeline::event::ReasonProtocol;
use pipeline::labels::MAX_LABEL_SETS;
use proptest::prelude::*;

use super::super::label_values::{Hop, Repeated, Success, reason};
use super::super::schema::families;
use super::*;

/// What a scrape shows besides help, without series that are 0.
fn nonzero(registry: &Registry) -> Vec<String> {
    scrape(registry)
        .lines()
        .filter(|line| !line.starts_with('#') && !line.ends_with(" 0") && !line.contains("build_info"))
        .map(|line| line.replacen("sip_exporter_", "", 1))
        .collect()
}

#[test]
fn each_counter_variant_has_a_cell_of_its_own() {
    let registry = registry();
    let mut rows = registry.shard();
    rows.listen();
    let set = registry.label_sets().intern("carrier", "phone");
    let mut n = 0;
    let shown = |f: &&F| {
        f.family().presence != super::super::schema::Presence::Hidden && !matches!(f.family().kind, Kind::Histogram(_))
    };
    for f in F::ALL.iter().filter(shown) {
        for variant in 0..f.family().variants() {
            n += 1;
            match f.family().scope.name() {
                Some(label) => {
                    let name = registry.label_sets().intern_name(label, "alpha").expect("there is room");
                    rows.add_named(name, *f, variant, n);
                }
                None => rows.add(set, *f, variant, n),
            }
        }
    }
    struct Sum(Option<F>, u64, u64);
    impl Visitor for Sum {
        fn family(&mut self, family: &'static Family) {
            self.0 = match family.source {
                super::super::schema::Source::Stored(f) => Some(f),
                _ => None,
            };
        }
        fn series(&mut self, _: &Labels<'_>, value: &Value<'_>) {
            let (Some(_), Value::Counter(n)) = (self.0, value) else {
                if let (Some(_), Value::Gauge(n)) = (self.0, value) {
                    self.1 += *n as u64;
                    self.2 += u64::from(*n != 0);
                }
                return;
            };
            self.1 += n;
            self.2 += u64::from(*n != 0);
        }
    }
    let mut sum = Sum(None, 0, 0);
    registry.walk(&mut sum);
    assert_eq!((sum.1, sum.2), (n * (n + 1) / 2, n), "every cell was shown once, under no other's value");
}

#[test]
fn labels_say_which_variant_was_counted() {
    let registry = registry();
    let mut rows = registry.shard();
    let set = registry.label_sets().intern("alpha", "yealink");
    rows.add(set, F::Retransmissions, Repeated::Response.at(Hop::First), 3);
    rows.add(set, F::Responses, 699 - 100, 2);
    rows.add(set, F::Reasons, reason(ReasonProtocol::Q850, 16).expect("a cause"), 1);
    rows.add(set, F::Reasons, reason(ReasonProtocol::Derived, 999).expect("a cause"), 1);
    rows.add(set, F::Evicted, pipeline::event::Evicted::Streams.index(), 4);
    assert_eq!(reason(ReasonProtocol::Sip, 1000), None);
    assert_eq!(
        nonzero(&registry),
        [
            r#"responses_total{carrier="alpha",ua_type="yealink",code="699"} 2"#,
            r#"retransmissions_total{carrier="alpha",ua_type="yealink",kind="response",hop="first"} 3"#,
            r#"evicted_total{table="streams"} 4"#,
            r#"reason_total{carrier="alpha",ua_type="yealink",protocol="Q.850",cause="16"} 1"#,
            r#"reason_total{carrier="alpha",ua_type="yealink",protocol="derived",cause="999"} 1"#,
        ]
    );
}

#[test]
fn before_the_first_packet_only_what_dashboards_look_for_is_there() {
    let registry = registry();
    registry.shard();
    let text = scrape(&registry);
    let series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let per_call = series.iter().filter(|line| line.contains("carrier=")).count();
    assert_eq!(per_call, 1 + 14 + 30, "packets_total, methods and codes of other/other");
    assert!(series.iter().all(|line| line.ends_with(" 0") || line.starts_with("sip_exporter_build_info{")));
    let globals: usize =
        families().filter(|family| family.scope == Scope::Global && !family.media).map(Family::variants).sum();
    assert_eq!(series.len() - per_call, globals, "global families with all their labels");
}

#[test]
fn a_touched_label_set_shows_its_plain_families_and_gauges_at_zero() {
    let registry = registry();
    let mut rows = registry.shard();
    let set = registry.label_sets().intern("alpha", "other");
    rows.add(set, F::Packets, 0, 1);
    let text = scrape(&registry);
    let here = |name: &str| text.contains(&format!("sip_exporter_{name}{{carrier=\"alpha\",ua_type=\"other\"}} 0\n"));
    for name in ["sessions", "registrations_active", "iss_total", "sdc_total", "invite_initial_total", "late_2xx_total"]
    {
        assert!(here(name), "{name}");
    }
    for name in ["invite_total", "486_total", "ser"] {
        assert!(!here(name), "{name}");
    }
    for state in ["early", "confirmed", "terminating"] {
        let series = format!(r#"dialogs{{carrier="alpha",ua_type="other",state="{state}"}}"#);
        assert_eq!(value(&registry, &series).as_deref(), Some("0"));
    }
    assert!(!text.contains(r#"session_outcomes_total{carrier="alpha""#));
    assert!(!text.contains(r#"ttr_count{carrier="alpha""#));
}

#[test]
fn gauges_go_down_in_a_shard_that_did_not_raise_them() {
    let registry = registry();
    let (mut first, mut second) = (registry.shard(), registry.shard());
    first.adjust(LabelSet::OTHER, F::Sessions, 0, 3);
    second.adjust(LabelSet::OTHER, F::Sessions, 0, -2);
    assert_eq!(value(&registry, &format!("sessions{OTHER}")).as_deref(), Some("1"));
}

#[test]
fn shards_are_summed_and_outlive_their_thread() {
    let registry = registry();
    for shard in 1..=3 {
        let mut rows = registry.shard();
        rows.add(LabelSet::OTHER, F::Packets, 0, shard);
        rows.add(LabelSet::OTHER, F::Responses, 0, shard);
        rows.add(LabelSet::OTHER, F::CaptureDrops, 0, shard);
        rows.observe(LabelSet::OTHER, F::Ttr, 0, Duration::from_millis(shard));
    }
    assert_eq!(value(&registry, &format!("packets_total{OTHER}")).as_deref(), Some("6"));
    assert_eq!(value(&registry, &format!("100_total{OTHER}")).as_deref(), Some("6"));
    assert_eq!(value(&registry, "capture_drops_total").as_deref(), Some("6"));
    assert_eq!(value(&registry, &format!("ttr_sum{OTHER}")).as_deref(), Some("6"));
    assert_eq!(value(&registry, &format!("ttr_count{OTHER}")).as_deref(), Some("3"));
}

#[test]
fn a_value_on_a_bound_belongs_to_it() {
    let registry = registry();
    let mut rows = registry.shard();
    for nanos in [0, 1_000_000, 1_000_001, 32_000_000_000, 32_000_000_001] {
        rows.observe(LabelSet::OTHER, F::Ord, 0, Duration::from_nanos(nanos));
    }
    let bucket =
        |le: &str| value(&registry, &format!(r#"ord_bucket{{carrier="other",ua_type="other",le="{le}"}}"#)).expect(le);
    assert_eq!(["1", "2", "10000", "32000", "+Inf"].map(bucket), ["2", "3", "3", "4", "5"]);
    assert_eq!(value(&registry, &format!("ord_sum{OTHER}")).as_deref(), Some("64002.000002"));
}

#[test]
fn sums_are_exact_beyond_what_nanoseconds_in_64_bits_hold() {
    let registry = registry();
    let mut rows = registry.shard();
    let day = Duration::from_secs(86_400);
    // 1,095 years of talk; 2^64 ns are 584 years.
    for _ in 0..400_000 {
        rows.observe(LabelSet::OTHER, F::Sdt, Success::Success.index(), day);
    }
    let sum = r#"sdt_seconds_sum{carrier="other",ua_type="other",result="success"}"#;
    assert_eq!(value(&registry, sum).as_deref(), Some("34560000000"));
}

#[test]
fn label_sets_are_bounded_and_what_is_beyond_counts_as_other() {
    let sets = LabelSets::new();
    for n in 1..MAX_LABEL_SETS {
        assert_eq!(sets.intern("carrier", &n.to_string()), LabelSet(n as u32));
    }
    assert_eq!((sets.len(), sets.refused()), (MAX_LABEL_SETS, 0));
    assert_eq!(sets.intern("carrier", "one more"), LabelSet::OTHER);
    assert_eq!(sets.intern("carrier", "7"), LabelSet(7), "known sets are still found");
    assert_eq!((sets.len(), sets.refused()), (MAX_LABEL_SETS, 1));
    assert_eq!(sets.names(LabelSet(7)), ("carrier", "7"));
    assert_eq!(sets.names(LabelSet(u32::MAX)), ("other", "other"));
}

#[test]
fn an_index_never_given_out_counts_as_other() {
    let registry = registry();
    let mut rows = registry.shard();
    rows.add(LabelSet(u32::MAX), F::Packets, 0, 1);
    assert_eq!(value(&registry, &format!("packets_total{OTHER}")).as_deref(), Some("1"));
}

/// What one scrape under load shows of one family.
#[derive(Default)]
struct Reading {
    attempts: u64,
    outcomes: u64,
    samples: u64,
    sum: f64,
    ratio: f64,
    family: &'static str,
}

impl Visitor for Reading {
    fn family(&mut self, family: &'static Family) {
        self.family = family.name;
    }

    fn series(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        match (self.family, value) {
            ("session_attempts_total", Value::Counter(n)) => self.attempts += n,
            ("ratio_input_total", Value::Counter(n)) if labels.further[0].1 == "answered" => self.outcomes += n,
            ("srd_seconds", Value::Histogram(histogram)) => {
                self.samples += histogram.count();
                self.sum += histogram.sum();
                let last = histogram.cumulative().last().expect("bounds").below;
                assert!(last <= histogram.count());
            }
            ("asr_e425", Value::Ratio(ratio)) => self.ratio = ratio.unwrap_or(0.0),
            _ => {}
        }
    }
}

#[test]
fn a_reader_under_load_sees_counters_grow_and_no_ratio_above_100() {
    let registry = registry();
    let mut rows = registry.shard();
    let stop = AtomicBool::new(false);
    const CALLS: u64 = 300_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for call in 0..CALLS {
                rows.add(LabelSet::OTHER, F::RatioInputs, Input::A.index(), 1);
                rows.add(LabelSet::OTHER, F::RatioInputs, Input::Answered.index(), 1);
                rows.observe(LabelSet::OTHER, F::Srd, 0, Duration::from_millis(call % 7_000));
            }
            stop.store(true, Ordering::Release);
        });
        let mut before = Reading::default();
        loop {
            let last = stop.load(Ordering::Acquire);
            let mut now = Reading::default();
            registry.walk(&mut now);
            assert!(now.attempts >= before.attempts && now.outcomes >= before.outcomes);
            assert!(now.samples >= before.samples && now.sum >= before.sum);
            assert!(now.attempts >= now.outcomes && now.ratio <= 100.0, "{} of {}", now.outcomes, now.attempts);
            if last {
                assert_eq!((now.attempts, now.outcomes, now.samples), (CALLS, CALLS, CALLS));
                break;
            }
            before = now;
        }
    });
}

proptest! {
    #[test]
    fn a_histogram_holds_exactly_what_was_observed(millis in prop::collection::vec(0_u64..200_000, 1..200)) {
        let registry = registry();
        let mut rows = registry.shard();
        for value in &millis {
            rows.observe(LabelSet::OTHER, F::AnswerDelay, 0, Duration::from_millis(*value));
        }
        struct Check<'a>(&'a [u64], bool);
        impl Visitor for Check<'_> {
            fn family(&mut self, _: &'static Family) {}
            fn series(&mut self, _: &Labels<'_>, value: &Value<'_>) {
                let Value::Histogram(histogram) = value else { return };
                self.1 = true;
                assert_eq!(histogram.count(), self.0.len() as u64);
                assert_eq!(histogram.sum(), self.0.iter().sum::<u64>() as f64 / 1e3);
                for bound in histogram.cumulative() {
                    let below = self.0.iter().filter(|value| **value as f64 <= bound.upper * 1e3).count();
                    assert_eq!(bound.below, below as u64);
                }
            }
        }
        let mut check = Check(&millis, false);
        registry.walk(&mut check);
        prop_assert!(check.1, "the histogram was shown");
    }
}

#[test]
fn what_has_a_name_of_its_own_is_shown_by_it_and_summed_over_shards() {
    use pipeline::event::{Direction, Outcome};

    let registry = registry();
    let carrier = |name| registry.label_sets().intern_name("carrier", name).expect("there is room");
    let [alpha, beta] = ["al\"pha", "beta"].map(carrier);
    let mut shards = [registry.shard(), registry.shard()];
    for rows in &mut shards {
        rows.add_named(beta, F::TrunkAttempts, Direction::Out.index(), 2);
        rows.observe_named(beta, F::TrunkSetup, Direction::Out.index(), Duration::from_millis(1500));
        rows.adjust_named(beta, F::TrunkCalls, Direction::Out.index(), 1);
    }
    shards[1].adjust_named(beta, F::TrunkCalls, Direction::Out.index(), -2);
    shards[0].add_named(alpha, F::TrunkAttempts, Direction::In.index(), 1);
    let answered = super::super::label_values::trunk_outcome(Direction::In, Outcome::Answered);
    shards[0].add_named(alpha, F::TrunkOutcomes, answered, 1);
    assert_eq!(
        nonzero(&registry).into_iter().filter(|line| !line.contains("_bucket")).collect::<Vec<_>>(),
        [
            r#"trunk_attempts_total{carrier="al\"pha",direction="in"} 1"#,
            r#"trunk_attempts_total{carrier="beta",direction="out"} 4"#,
            r#"trunk_outcomes_total{carrier="al\"pha",direction="in",outcome="answered"} 1"#,
            r#"trunk_setup_seconds_sum{carrier="beta",direction="out"} 3"#,
            r#"trunk_setup_seconds_count{carrier="beta",direction="out"} 2"#,
        ]
    );
    // Of a direction with an attempt all outcomes exist, and the gauge; of the other one nothing.
    let there = |series: &str| value(&registry, series);
    assert_eq!(there(r#"trunk_calls{carrier="beta",direction="out"}"#).as_deref(), Some("0"));
    assert_eq!(there(r#"trunk_outcomes_total{carrier="beta",direction="out",outcome="busy"}"#).as_deref(), Some("0"));
    assert_eq!(there(r#"trunk_outcomes_total{carrier="beta",direction="in",outcome="busy"}"#), None);
    assert_eq!(there(r#"trunk_calls{carrier="al\"pha",direction="out"}"#), None);
}
