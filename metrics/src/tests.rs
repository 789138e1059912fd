//! Tests of the schema, the rows, the ratios and the text formats.

mod media;
mod probes;
mod ratios;
mod rows;
mod schema;
mod text;

use std::sync::Arc;

use pipeline::Build;
use wire::Timestamp;

use super::label_values::Input;
use super::*;

/// All series of a registry, as a scrape shows them.
fn scrape(registry: &Registry) -> String {
    Exposition::new(registry.snapshot(), Format::Text, Undefined::Nan).into_text()
}

/// The value of one series, written as in a scrape without the namespace; `None` when it is not there.
fn value(registry: &Registry, series: &str) -> Option<String> {
    let text = scrape(registry);
    let line = text.lines().find(|line| {
        line.strip_prefix("sip_exporter_")
            .is_some_and(|line| line.starts_with(series) && line[series.len()..].starts_with(' '))
    });
    line.map(|line| line.rsplit(' ').next().expect("a line has a value").to_owned())
}

fn registry() -> Arc<Registry> {
    let build = Build { version: "1.2.3", revision: "0123456789ab", rustversion: "1.95.0" };
    Registry::of("sip_exporter", build, Arc::default(), || Timestamp::from_nanos(1_700_000_000_250_000_000))
}

const OTHER: &str = r#"{carrier="other",ua_type="other"}"#;
