//! The program's numbers about itself in the text formats.
//!
//! At `/internal/metrics` names are the Collector's, without `_total`, so that page does not pass promtool's lint; on
//! `/metrics` the same numbers are named in Prometheus' manner.

use std::collections::BTreeMap;
use std::fmt::Write;

use metrics::Format;
use metrics::text::float;
use pipeline::Telemetry;
use pipeline::labels::Escaped;

use super::help::help;

/// How names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As the Collector names them.
    Collector,
    /// As Prometheus wants them.
    Prometheus(Format),
}

impl Manner {
    /// What HELP and TYPE call the family, and what a series of it is called.
    fn names(self, name: &str, counter: bool) -> (String, String) {
        let series = match self {
            Self::Prometheus(_) if counter => format!("{name}_total"),
            _ => name.to_owned(),
        };
        match self {
            // OpenMetrics names the family, the older format the series.
            Self::Prometheus(Format::OpenMetrics) => (name.to_owned(), series),
            _ => (series.clone(), series),
        }
    }
}

/// A number with all its series.
pub(super) struct Number<'a> {
    /// The Collector's, without `_total`.
    pub(super) name: &'a str,
    pub(super) counter: bool,
    /// None for a number of a component that does not come with ringside.
    pub(super) help: Option<&'static str>,
    pub(super) series: Vec<&'a Telemetry>,
}

/// In order of their names.
pub(super) fn grouped(all: &[Telemetry]) -> Vec<Number<'_>> {
    let mut families: BTreeMap<&str, Number<'_>> = BTreeMap::new();
    for one in all {
        let number = || Number { name: one.name, counter: one.counter, help: help(one.name), series: Vec::new() };
        families.entry(one.name).or_insert_with(number).series.push(one);
    }
    families.into_values().collect()
}

/// Families in order of their names, each announced once.
pub fn render(all: &[Telemetry], manner: Manner) -> String {
    let mut text = String::new();
    for Number { name, counter, help, series } in grouped(all) {
        let (family, name) = manner.names(name, counter);
        if let Some(help) = help {
            push(&mut text, format_args!("# HELP {family} {help}\n"));
        }
        push(&mut text, format_args!("# TYPE {family} {}\n", if counter { "counter" } else { "gauge" }));
        for one in series {
            text.push_str(&name);
            for (index, (label, value)) in one.labels.iter().enumerate() {
                let separator = if index == 0 { '{' } else { ',' };
                push(&mut text, format_args!("{separator}{label}=\"{}\"", Escaped(value)));
            }
            let close = if one.labels.is_empty() { " " } else { "} " };
            push(&mut text, format_args!("{close}{}\n", float(&mut zmij::Buffer::new(), one.value)));
        }
    }
    text
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> [Telemetry; 4] {
        let one = |name, labels, counter, value| Telemetry { name, labels, counter, value };
        [
            one("otelcol_of_another", vec![("receiver", "ebpf_sip".to_owned())], true, 7.0),
            one("otelcol_process_uptime", Vec::new(), false, 1.5),
            one("otelcol_of_another", vec![("receiver", "a\"b\\\n".to_owned()), ("why", "ring".to_owned())], true, 0.0),
            one("otelcol_exporter_retries", Vec::new(), true, 2.0),
        ]
    }

    #[test]
    fn families_stand_together_with_their_type() {
        assert_eq!(
            render(&numbers(), Manner::Collector),
            "# HELP otelcol_exporter_retries Attempts to send a request again.\n\
             # TYPE otelcol_exporter_retries counter\n\
             otelcol_exporter_retries 2\n\
             # TYPE otelcol_of_another counter\n\
             otelcol_of_another{receiver=\"ebpf_sip\"} 7\n\
             otelcol_of_another{receiver=\"a\\\"b\\\\\\n\",why=\"ring\"} 0\n\
             # HELP otelcol_process_uptime Time since start, in seconds.\n\
             # TYPE otelcol_process_uptime gauge\n\
             otelcol_process_uptime 1.5\n"
        );
    }

    #[test]
    fn beside_metrics_a_counter_is_named_as_each_format_wants_it() {
        for (format, family) in
            [(Format::Text, "otelcol_exporter_retries_total"), (Format::OpenMetrics, "otelcol_exporter_retries")]
        {
            let text = render(&numbers(), Manner::Prometheus(format));
            let expected = format!("# TYPE {family} counter\notelcol_exporter_retries_total 2\n");
            assert!(text.contains(&expected), "{text}");
            assert!(text.contains("\notelcol_process_uptime 1.5\n"), "{text}");
        }
    }
}
