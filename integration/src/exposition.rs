//! The Prometheus text format, version 0.0.4, read back: text in, series out.

use std::collections::BTreeMap;

/// One scrape.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    series: Vec<Series>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Metric name with prefix; of a histogram with `_bucket`, `_sum` or `_count`.
    pub name: String,
    /// Labels, `le` included.
    pub labels: BTreeMap<String, String>,
    /// The value; NaN where a ratio is undefined.
    pub value: f64,
}

impl Exposition {
    /// # Panics
    /// At a line that is neither comment nor series, naming it.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series = lines.map(|line| series(line).unwrap_or_else(|| panic!("not a series: {line:?}"))).collect();
        Self { series }
    }

    /// All series, in the order of the scrape.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The sum over all series that match `selector`: a name without prefix, perhaps with some labels,
    /// `session_outcomes_total{outcome="busy"}`. `None` when no series matches; NaN when one is NaN.
    #[track_caller]
    pub fn value(&self, selector: &str) -> Option<f64> {
        let wanted =
            series(&format!("sip_exporter_{selector} 0")).unwrap_or_else(|| panic!("not a selector: {selector}"));
        let matching = self.series.iter().filter(|series| {
            series.name == wanted.name
                && wanted.labels.iter().all(|(name, value)| series.labels.get(name) == Some(value))
        });
        matching.map(|series| series.value).reduce(|sum, value| sum + value)
    }

    /// Like [`Self::value`], where an absent counter stands at zero.
    #[track_caller]
    pub fn count(&self, selector: &str) -> u64 {
        self.value(selector).unwrap_or(0.0) as u64
    }

    /// Compares many at once; an expected NaN means undefined.
    ///
    /// # Panics
    /// With every difference.
    #[track_caller]
    pub fn assert<S: AsRef<str>>(&self, expected: impl IntoIterator<Item = (S, f64)>) {
        let differences = self.differences(expected);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    /// The differences, as text.
    #[track_caller]
    pub fn differences<S: AsRef<str>>(&self, expected: impl IntoIterator<Item = (S, f64)>) -> Vec<String> {
        let differs = |(selector, expected): &(S, f64)| {
            let actual = self.value(selector.as_ref()).unwrap_or(0.0);
            let same = (expected.is_nan() && actual.is_nan()) || (actual - expected).abs() < 1e-6;
            (!same).then(|| format!("{} is {actual}, not {expected}", selector.as_ref()))
        };
        expected.into_iter().filter_map(|pair| differs(&pair)).collect()
    }
}

/// `name{label="value",…} number`.
fn series(line: &str) -> Option<Series> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(label.to_owned(), value);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    Some(Series { name: name.to_owned(), labels, value: rest.trim().parse().ok()? })
}

/// A label value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exposition;

    const TEXT: &str = "# HELP sip_exporter_200_total x\nsip_exporter_200_total{carrier=\"a\\\"b\",ua_type=\"x\"} 2\n\
        sip_exporter_200_total{carrier=\"c\",ua_type=\"x\"} 3\nsip_exporter_ser NaN\n\
        sip_exporter_pdd_bucket{le=\"+Inf\"} 1e3\n";

    #[test]
    fn series_are_summed_over_the_labels_left_out() {
        let scrape = Exposition::parse(TEXT);
        assert_eq!(scrape.value("200_total"), Some(5.0));
        assert_eq!(scrape.value("200_total{carrier=\"c\"}"), Some(3.0));
        assert_eq!(scrape.value("200_total{carrier=\"a\\\"b\"}"), Some(2.0));
        assert_eq!(scrape.value("404_total"), None);
        assert!(scrape.value("ser").expect("it is there").is_nan());
        assert_eq!(scrape.count("pdd_bucket{le=\"+Inf\"}"), 1000);
    }

    #[test]
    #[should_panic(expected = "200_total is 5, not 6")]
    fn a_difference_is_named() {
        Exposition::parse(TEXT).assert([("200_total", 6.0), ("404_total", 0.0), ("ser", f64::NAN)]);
    }
}
