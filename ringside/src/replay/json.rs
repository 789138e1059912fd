//! `replay --format json`: every series as an object, in one array.

use metrics::{Family, Kind, Labels, Registry, Value, Visitor};
use serde_json::{Map, json};

/// The series of a registry: `{name, type, labels, value}`, or `{name, type, labels, count, sum, buckets}`. An
/// undefined ratio is `null`. A bucket counts the values up to `le`; all of them are `count`.
pub fn series(registry: &Registry) -> Vec<serde_json::Value> {
    let mut list = List { namespace: registry.namespace(), family: None, series: Vec::new() };
    registry.walk(&mut list);
    list.series
}

struct List<'a> {
    namespace: &'a str,
    family: Option<&'static Family>,
    series: Vec<serde_json::Value>,
}

impl Visitor for List<'_> {
    fn family(&mut self, family: &'static Family) {
        self.family = Some(family);
    }

    fn series(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        let family = self.family.expect("a series belongs to the family before it");
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram { .. } => "histogram",
        };
        let labels: Map<String, serde_json::Value> =
            labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let mut object =
            json!({ "name": format!("{}_{}", self.namespace, family.name), "type": kind, "labels": labels });
        match value {
            Value::Counter(count) => object["value"] = json!(count),
            Value::Gauge(number) => object["value"] = json!(number),
            Value::Real(number) => object["value"] = json!(number),
            Value::Ratio(percent) => object["value"] = json!(percent),
            Value::Histogram(histogram) => {
                object["count"] = json!(histogram.count());
                object["sum"] = json!(histogram.sum());
                let finite = histogram.cumulative().filter(|bound| bound.upper.is_finite());
                object["buckets"] = finite.map(|bound| json!({ "le": bound.upper, "count": bound.below })).collect();
            }
        }
        self.series.push(object);
    }
}
