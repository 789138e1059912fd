//! The four ways in which backends turn OTLP names into Prometheus names, run over every name there is.
//!
//! As the OpenTelemetry specification describes them (compatibility/prometheus_and_openmetrics.md) and Prometheus
//! offers them (`otlp.translation_strategy`): escaping or not, suffixes or not.

use super::*;

#[derive(Clone, Copy, Debug)]
struct Strategy {
    /// What is no letter, digit or underscore becomes an underscore.
    escapes: bool,
    /// The unit, and `_total` for a counter, are appended.
    suffixes: bool,
}

const STRATEGIES: [(&str, Strategy); 4] = [
    ("UnderscoreEscapingWithSuffixes", Strategy { escapes: true, suffixes: true }),
    ("UnderscoreEscapingWithoutSuffixes", Strategy { escapes: true, suffixes: false }),
    ("NoUTF8EscapingWithSuffixes", Strategy { escapes: false, suffixes: true }),
    ("NoTranslation", Strategy { escapes: false, suffixes: false }),
];

fn name(strategy: Strategy, metric: &Metric) -> String {
    let (counter, gauge) = match metric.data.as_ref().expect("it has data") {
        Data::Sum(sum) => (sum.is_monotonic && sum.aggregation_temporality == 2, !sum.is_monotonic),
        Data::Gauge(_) => (false, true),
        _ => (false, false),
    };
    match strategy {
        Strategy { escapes: true, suffixes: true } => escaped_with_suffixes(&metric.name, &metric.unit, counter, gauge),
        Strategy { escapes: true, suffixes: false } => {
            let kept = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            let parts: Vec<&str> = metric.name.split(|c| !kept(c)).filter(|part| !part.is_empty()).collect();
            no_digit_first(parts.join("_"))
        }
        Strategy { escapes: false, suffixes: true } => {
            let mut name = metric.name.clone();
            for suffix in unit_words(&metric.unit) {
                if !name.ends_with(&suffix) {
                    name += &format!("_{suffix}");
                }
            }
            if counter && !name.ends_with("_total") {
                name += "_total";
            }
            if gauge && metric.unit == "1" && !name.ends_with("_ratio") {
                name += "_ratio";
            }
            name
        }
        Strategy { escapes: false, suffixes: false } => metric.name.clone(),
    }
}

/// Words between underscores, runs of which collapse; `total` is moved to the end of a counter wherever it stood.
fn escaped_with_suffixes(name: &str, unit: &str, counter: bool, gauge: bool) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let mut words: Vec<String> = name.split(|c| !kept(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    for suffix in unit_words(unit) {
        if !words.contains(&suffix) {
            words.push(suffix);
        }
    }
    let mut last = |word: &str| {
        words.retain(|other| other != word);
        words.push(word.to_owned());
    };
    if counter {
        last("total");
    }
    if gauge && unit == "1" {
        last("ratio");
    }
    no_digit_first(words.join("_"))
}

fn no_digit_first(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// A unit as it is appended: `ms` in words, `a/b` as `a` and `per_b`, what stands in braces not at all.
fn unit_words(unit: &str) -> Vec<String> {
    let mut parts = unit.split('/').map(|part| if part.contains('{') { "" } else { part.trim() });
    let word = |part: &str| {
        match part {
            "ms" => "milliseconds",
            "s" => "seconds",
            "By" => "bytes",
            "%" => "percent",
            "1" => "",
            other => other,
        }
        .to_owned()
    };
    let main = parts.next().map(word).filter(|word| !word.is_empty());
    let per = parts.next().filter(|part| !part.is_empty());
    let per = per.map(|part| format!("per_{}", word(part).trim_end_matches('s')));
    main.into_iter().chain(per).collect()
}

fn label(strategy: Strategy, key: &str) -> String {
    if !strategy.escapes {
        return key.to_owned();
    }
    let mut label = String::new();
    for c in key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }) {
        if !(c == '_' && label.ends_with('_')) {
            label.push(c);
        }
    }
    match label.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("key_{label}"),
        Some('_') if !label.starts_with("__") => format!("key{label}"),
        _ => label,
    }
}

fn attributes(metric: &Metric) -> Vec<KeyValue> {
    match metric.data.clone().expect("it has data") {
        Data::Sum(sum) => sum.data_points.into_iter().flat_map(|point| point.attributes).collect(),
        Data::Gauge(gauge) => gauge.data_points.into_iter().flat_map(|point| point.attributes).collect(),
        Data::Histogram(all) => all.data_points.into_iter().flat_map(|point| point.attributes).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_strategy_moves_a_name() {
    let metrics: Vec<Metric> = chunks(&populated(), envelope(), NOW, None).iter().flat_map(decode).collect();
    let names: std::collections::BTreeSet<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names.len(), metrics::schema::families().count(), "the whole schema is here");
    for (title, strategy) in STRATEGIES {
        for metric in &metrics {
            assert_eq!(name(strategy, metric), metric.name, "{title}");
            for KeyValue { key, .. } in attributes(metric) {
                assert_eq!(label(strategy, &key), key, "{title}: {}", metric.name);
            }
        }
    }
}

/// The rules themselves, so that the test above means something.
#[test]
fn names_that_are_not_made_for_it_are_moved() {
    let moved = |strategy: usize, name: &str, unit: &str, monotonic: bool| {
        let data = Data::Sum(opentelemetry_proto::tonic::metrics::v1::Sum {
            is_monotonic: monotonic,
            aggregation_temporality: 2,
            ..Default::default()
        });
        let metric = Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() };
        super::translation::name(STRATEGIES[strategy].1, &metric)
    };
    assert_eq!(moved(0, "sip.invite", "", true), "sip_invite_total");
    assert_eq!(moved(1, "sip.invite", "", true), "sip_invite");
    assert_eq!(moved(2, "sip.invite", "", true), "sip.invite_total");
    assert_eq!(moved(0, "a_total_b_total", "", true), "a_b_total");
    assert_eq!(moved(0, "a__b", "", false), "a_b");
    assert_eq!(moved(0, "100_total", "", true), "_100_total");
    assert_eq!(moved(0, "delay", "ms", false), "delay_milliseconds");
    assert_eq!(moved(2, "ser", "%", false), "ser_percent");
    assert_eq!(moved(0, "ser", "1", false), "ser_ratio");
    assert_eq!(moved(0, "calls", "{call}/s", false), "calls_per_second");
    assert_eq!(label(STRATEGIES[0].1, "ua.type"), "ua_type");
    assert_eq!(label(STRATEGIES[0].1, "5xx"), "key_5xx");
}
