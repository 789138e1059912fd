//! `/internal/metrics`: the program's numbers about itself in text format 0.0.4.
//!
//! Names are written as they are (the Collector's, without `_total`), so this page does not pass promtool's lint.

use std::collections::BTreeMap;
use std::fmt::Write;

use metrics::text::float;
use pipeline::Telemetry;
use pipeline::labels::Escaped;

/// Families in order of their names, each announced once.
pub fn render(all: &[Telemetry]) -> String {
    let mut families: BTreeMap<&str, Vec<&Telemetry>> = BTreeMap::new();
    for one in all {
        families.entry(one.name).or_default().push(one);
    }
    let mut text = String::new();
    for (name, series) in families {
        let kind = if series[0].counter { "counter" } else { "gauge" };
        push(&mut text, format_args!("# TYPE {name} {kind}\n"));
        for one in series {
            text.push_str(name);
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

    #[test]
    fn families_stand_together_with_their_type() {
        let one = |name, labels, counter, value| Telemetry { name, labels, counter, value };
        let text = render(&[
            one("otelcol_receiver_drops", vec![("receiver", "ebpf_sip".to_owned())], true, 7.0),
            one("otelcol_process_uptime", Vec::new(), true, 1.5),
            one(
                "otelcol_receiver_drops",
                vec![("receiver", "a\"b\\\n".to_owned()), ("why", "ring".to_owned())],
                true,
                0.0,
            ),
        ]);
        assert_eq!(
            text,
            "# TYPE otelcol_process_uptime counter\n\
             otelcol_process_uptime 1.5\n\
             # TYPE otelcol_receiver_drops counter\n\
             otelcol_receiver_drops{receiver=\"ebpf_sip\"} 7\n\
             otelcol_receiver_drops{receiver=\"a\\\"b\\\\\\n\",why=\"ring\"} 0\n"
        );
    }
}
