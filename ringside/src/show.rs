//! The commands that only show something: `validate`, `print-config`, `components`.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use config::Type;
use engine::Catalogue;
use metrics::schema::{Source, families};
use metrics::{Kind, Scope};

use crate::cli::Run;
use crate::failure::Failure;
use crate::settings::{self, Loaded};

/// `ringside validate`: every error, or that there is none. Warnings go to standard error either way.
pub fn validate(catalogue: &Catalogue, run: &Run) -> Result<(), Failure> {
    let loaded = load(catalogue, run)?;
    print(&format!("{}: valid\n", loaded.files.join(", ")))
}

/// `ringside print-config`: what would run, defaults filled in.
pub fn print_config(catalogue: &Catalogue, run: &Run) -> Result<(), Failure> {
    let loaded = load(catalogue, run)?;
    print(&loaded.configuration.effective(&loaded.tree))
}

/// `ringside print-schema`: what may be written in a configuration, for editors.
pub fn print_schema(catalogue: &Catalogue) -> Result<(), Failure> {
    print(&format!("{:#}\n", catalogue.schema()))
}

/// Names with the number of packets of each: `5080 (6 packets), 5070 (1 packet)`.
pub fn numbered(packets: &[(impl Display, u64)]) -> String {
    let one =
        |(name, number): &(_, u64)| format!("{name} ({number} {})", if *number == 1 { "packet" } else { "packets" });
    packets.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `ringside components`: what is compiled in.
pub fn components(catalogue: &Catalogue) -> Result<(), Failure> {
    fn section<P: ?Sized, X>(title: &str, types: &[Type<P, X>]) -> String {
        let mut text = format!("{title}:\n");
        for kind in types {
            writeln!(text, "  {:<12} {}", kind.name, kind.about).expect("writing to a String cannot fail");
        }
        if types.is_empty() {
            text += "  none\n";
        }
        text
    }
    let text = [
        section("receivers", &catalogue.receivers),
        section("processors", &catalogue.processors),
        section("exporters", &catalogue.exporters),
        section("extensions", &catalogue.extensions),
    ];
    print(&text.concat())
}

/// `ringside components --metrics`: every metric with its type, its unit, its labels, and how many series it has at most
/// under one value of the labels that the configuration gives (`carrier`, `ua_type` and the like).
pub fn metrics() -> Result<(), Failure> {
    let mut text = format!("{:<36} {:<9} {:<4} {:>6}  labels\n", "metric", "type", "unit", "series");
    for family in families() {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let given: &[&str] = match family.scope {
            Scope::Call => &["carrier", "ua_type"],
            Scope::Backend => &["service", "backend"],
            Scope::Target => &["target", "transport"],
            _ if family.source == Source::Build => &["version", "revision", "rustversion"],
            Scope::Carrier | Scope::Queue | Scope::Service | Scope::Global => &[],
        };
        let named = family.scope.name().filter(|_| given.is_empty());
        let labels: Vec<&str> =
            given.iter().copied().chain(named).chain(family.labels.iter().map(|label| label.name)).collect();
        let (name, unit, series, labels) = (family.name, family.unit(), family.series(), labels.join(", "));
        writeln!(text, "{name:<36} {kind:<9} {unit:<4} {series:>6}  {labels}")
            .expect("writing to a String cannot fail");
    }
    print(&text)
}

/// Writes a line of many to standard output. Whether anybody reads there.
pub fn append(line: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Writes to standard output, for whoever reads there. A reader that has seen enough, such as `head`, is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes to standard error. Where nobody reads it there is nobody to tell: what follows, the exit code first, counts
/// for more.
pub fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn load(catalogue: &Catalogue, run: &Run) -> Result<Loaded, Failure> {
    let loaded = settings::load(run, catalogue).map_err(|problems| settings::refused(&problems))?;
    say(&loaded.warnings.to_string());
    Ok(loaded)
}
