//! The comparison of `sip-metrics.md` §7: counters, gauges and counts exactly, sums within 0.001 ms or 1 µs unless the
//! vector says otherwise, an undefined ratio `null` or absent, a series not listed absent or 0.

use serde_json::Value;

/// Histograms whose unit is the millisecond; all others are in seconds.
const MILLISECONDS: [&str; 5] =
    ["sip_exporter_ttr", "sip_exporter_pdd", "sip_exporter_rrd", "sip_exporter_lrd", "sip_exporter_ord"];

/// Families that came after the lists of every series were made (7): not listed there, whatever they are.
const LATER: &str = "sip_exporter_trunk_";

/// Ratios stand in the vectors with six decimals.
const DECIMALS: f64 = 5e-7;

/// The hand-worked values: a counter is the sum over the series that match, a gauge one series, and what must be present
/// stands there by itself.
pub fn differences_from_expected(series: &[Value], expected: &[Value]) -> Vec<String> {
    expected.iter().filter_map(|expected| difference_from_expected(series, expected)).collect()
}

fn difference_from_expected(series: &[Value], expected: &Value) -> Option<String> {
    let matching: Vec<_> = series.iter().filter(|series| matches(series, expected)).collect();
    let sum = |field: &str| matching.iter().filter_map(|series| series[field].as_f64()).sum::<f64>();
    let wrong = match expected["type"].as_str().expect("a type") {
        "histogram" => {
            let count_differs = sum("count") != expected["count"].as_f64().expect("a count");
            let sum_differs = expected["sum"].as_f64().is_some_and(|wanted| !sums_agree(expected, sum("sum"), wanted));
            count_differs || sum_differs
        }
        "present" => !matching.iter().any(|series| series["value"].as_f64() == expected["value"].as_f64()),
        "gauge" if expected["value"] == "undefined" => matching.iter().any(|series| !series["value"].is_null()),
        "gauge" => matching.len() > 1 || (sum("value") - expected["value"].as_f64().expect("a value")).abs() > DECIMALS,
        _ => sum("value") != expected["value"].as_f64().expect("a value"),
    };
    wrong.then(|| format!("expected {} but found {}", line(expected), lines(&matching)))
}

/// Whether a series has the name and all labels asked for.
fn matches(series: &Value, expected: &Value) -> bool {
    let labels = expected["labels"].as_object();
    series["name"] == expected["metric"]
        && labels.is_none_or(|labels| labels.iter().all(|(name, value)| series["labels"][name] == *value))
}

/// Every series: each one listed must be there, and nothing else may be other than zero.
pub fn differences_from_complete(series: &[Value], complete: &[Value]) -> Vec<String> {
    let same =
        |series: &Value, listed: &Value| series["name"] == listed["metric"] && series["labels"] == listed["labels"];
    let listed = complete.iter().filter_map(|listed| {
        let found = series.iter().find(|series| same(series, listed));
        let agrees = match found {
            Some(found) => values_agree(found, listed),
            None => listed["value"] == "undefined",
        };
        (!agrees)
            .then(|| format!("listed {} but found {}", line(listed), found.map_or_else(|| "nothing".to_owned(), line)))
    });
    let later = |name: &Value| name.as_str().is_some_and(|name| name.starts_with(LATER));
    let counts =
        |series: &&Value| series["name"] != "sip_exporter_build_info" && !later(&series["name"]) && !is_zero(series);
    let unlisted = series.iter().filter(counts);
    let unlisted = unlisted.filter(|series| !complete.iter().any(|listed| same(series, listed)));
    listed.chain(unlisted.map(|series| format!("not listed: {}", line(series)))).collect()
}

fn values_agree(found: &Value, listed: &Value) -> bool {
    match listed["type"].as_str().expect("a type") {
        "histogram" => {
            let sum = |value: &Value| value["sum"].as_f64().expect("a sum");
            found["count"] == listed["count"]
                && sums_agree(listed, sum(found), sum(listed))
                && buckets_agree(found, listed)
        }
        _ if listed["value"] == "undefined" => found["value"].is_null(),
        "gauge" => {
            let value = |value: &Value| value["value"].as_f64();
            value(found).zip(value(listed)).is_some_and(|(found, listed)| (found - listed).abs() <= DECIMALS)
        }
        _ => found["value"].as_f64() == listed["value"].as_f64(),
    }
}

/// Every bucket holds the samples up to its bound.
fn buckets_agree(found: &Value, listed: &Value) -> bool {
    let Some(samples) = listed["samples"].as_array() else { return true };
    let buckets = found["buckets"].as_array().expect("buckets");
    buckets.iter().filter(|bucket| bucket["le"].is_number()).all(|bucket| {
        let le = bucket["le"].as_f64().expect("a bound");
        let below = samples.iter().filter(|sample| sample.as_f64().expect("a sample") <= le).count();
        bucket["count"].as_u64() == Some(below as u64)
    })
}

fn sums_agree(metric: &Value, found: f64, wanted: f64) -> bool {
    let name = metric["metric"].as_str().expect("a name");
    let usual = if MILLISECONDS.contains(&name) { 1e-3 } else { 1e-6 };
    let tolerance = metric["tol"].as_f64().unwrap_or(usual);
    (found - wanted).abs() <= tolerance + f64::EPSILON * wanted.abs()
}

fn is_zero(series: &Value) -> bool {
    match series["type"].as_str() {
        Some("histogram") => series["count"] == 0,
        _ => series["value"].as_f64() == Some(0.0),
    }
}

fn lines(series: &[&Value]) -> String {
    if series.is_empty() {
        "nothing".to_owned()
    } else {
        series.iter().map(|series| line(series)).collect::<Vec<_>>().join("; ")
    }
}

/// `name{label=value} 1`, or count and sum.
fn line(value: &Value) -> String {
    let name = value["name"].as_str().or(value["metric"].as_str()).unwrap_or_default();
    let labels = value["labels"].as_object().into_iter().flatten();
    let labels: Vec<_> =
        labels.map(|(label, value)| format!("{label}={}", value.as_str().unwrap_or_default())).collect();
    let number = match value["type"].as_str() {
        Some("histogram") => format!("n={} sum={}", value["count"], value["sum"]),
        _ => value["value"].to_string(),
    };
    format!("{name}{{{}}} {number}", labels.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{differences_from_complete, differences_from_expected};

    fn counter(name: &str, value: u64) -> Value {
        json!({ "name": name, "metric": name, "type": "counter", "labels": { "code": "200" }, "value": value })
    }

    #[test]
    fn what_is_not_listed_must_be_zero() {
        assert!(differences_from_complete(&[counter("a", 1), counter("b", 0)], &[counter("a", 1)]).is_empty());
        let differences = differences_from_complete(&[counter("a", 1), counter("b", 2)], &[counter("a", 1)]);
        assert_eq!(differences, ["not listed: b{code=200} 2"]);
        assert!(differences_from_complete(&[counter("sip_exporter_trunk_attempts_total", 2)], &[]).is_empty());
    }

    #[test]
    fn what_is_listed_must_be_there() {
        let differences = differences_from_complete(&[counter("a", 2)], &[counter("a", 1), counter("b", 3)]);
        assert_eq!(
            differences,
            ["listed a{code=200} 1 but found a{code=200} 2", "listed b{code=200} 3 but found nothing"]
        );
    }

    #[test]
    fn what_must_be_present_is_there_also_at_zero() {
        let expected = json!({ "metric": "a", "type": "present", "labels": { "code": "200" }, "value": 0 });
        let differences = |series: &[Value]| differences_from_expected(series, std::slice::from_ref(&expected));
        assert!(differences(&[counter("a", 0)]).is_empty());
        assert_eq!(differences(&[counter("a", 1)]).len(), 1);
        assert_eq!(differences(&[]), ["expected a{code=200} 0 but found nothing"]);
    }

    #[test]
    fn an_undefined_ratio_is_null_or_absent() {
        let listed = json!({ "metric": "ser", "type": "gauge", "labels": {}, "value": "undefined" });
        let null = json!({ "name": "ser", "type": "gauge", "labels": {}, "value": null });
        let zero = json!({ "name": "ser", "type": "gauge", "labels": {}, "value": 0 });
        for (series, differences) in [(vec![], 0), (vec![null.clone()], 0), (vec![zero], 1)] {
            assert_eq!(differences_from_complete(&series, std::slice::from_ref(&listed)).len(), differences);
            assert_eq!(differences_from_expected(&series, std::slice::from_ref(&listed)).len(), differences);
        }
        assert_eq!(differences_from_complete(&[null], &[]), ["not listed: ser{} null"]);
    }

    #[test]
    fn a_sum_has_the_tolerance_of_its_unit() {
        let histogram = |name: &str, sum: f64| json!({ "name": name, "metric": name, "type": "histogram", "labels": {}, "count": 1, "sum": sum, "buckets": [] });
        let differences =
            |name: &str, sum: f64| differences_from_complete(&[histogram(name, sum)], &[histogram(name, 1.0)]).len();
        assert_eq!((differences("sip_exporter_pdd", 1.0009), differences("sip_exporter_pdd", 1.002)), (0, 1));
        assert_eq!((differences("sip_exporter_spd", 1.0000009), differences("sip_exporter_spd", 1.0009)), (0, 1));
    }
}
