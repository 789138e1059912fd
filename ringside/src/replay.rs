//! `ringside replay`: the metrics of capture files.
//!
//! Standard output holds the metrics as they are at the last packet and nothing else. With `--export` they, and the
//! calls, also go to the OTLP exporters of the configuration.

mod calls;
mod export;
mod json;

use std::fs::File;
use std::io::{BufWriter, Read};
use std::path::Path;

use config::Configuration;
use engine::{Catalogue, Outlet};
use metrics::{Exposition, Undefined};

use crate::captures::{Asked, Reading};
use crate::cli::{Format, Replay};
use crate::failure::Failure;
use crate::folders;
use crate::show::print;
use calls::Calls;
use export::Export;

/// Reads the captures and prints what they come to.
pub fn replay(catalogue: &Catalogue, replay: &Replay) -> Result<(), Failure> {
    let resolved = folders::resolved(catalogue, &replay.captures, &folders::Asked::default())?;
    let captures = &resolved.captures;
    let mut reading = match replay.export {
        true => Reading::exported(catalogue, captures, replay.calls.is_some())?,
        false => Reading::new(
            catalogue,
            captures,
            replay.calls.is_some().then(|| Asked::of(None, replay.filter.as_ref(), false).wanted()),
        )?,
    };
    let calls = match &replay.calls {
        Some(path) => Some(Calls::new(Box::new(BufWriter::new(create(path)?)), replay.filter.clone())),
        None => None,
    };
    if let Some(calls) = calls.clone() {
        reading.on_call(move |_, view| calls.write(view));
    }
    let mut export = match replay.export {
        true => Some(Export::start(&mut reading)?),
        false => None,
    };
    reading.read()?;
    print(&metrics_text(reading.configuration(), reading.outlet(), replay.format))?;
    export.iter_mut().for_each(Export::metrics);

    // After these: the metrics stay as they are at the last packet.
    reading.drain();
    if let Some(calls) = calls {
        calls.finish().map_err(|error| Failure::Failed(format!("the calls could not be written: {error}")))?;
    }
    reading.say_remarks();
    drop(reading);
    export.map_or(Ok(()), Export::finish)
}

/// Creates the file of `--calls`. Writes over calls of an earlier run and nothing else: where the name was
/// forgotten, the first capture stands in its place.
fn create(path: &Path) -> Result<File, Failure> {
    let mut first = [0];
    // Only a file can be lost; a pipe or a terminal would wait to be read.
    let is_file = path.metadata().is_ok_and(|found| found.is_file());
    if is_file
        && File::open(path).and_then(|mut file| file.read(&mut first)).is_ok_and(|read| read > 0 && first != *b"{")
    {
        let text =
            format!("--calls {}: the file holds something else than calls; name another, or remove it", path.display());
        return Err(Failure::Usage(text));
    }
    File::create(path).map_err(|error| {
        let help = "see whether its folder exists and may be written";
        Failure::Failed(format!("--calls {}: cannot be written: {error}; {help}", path.display()))
    })
}

fn metrics_text(configuration: &Configuration, outlet: &Outlet, format: Format) -> String {
    match format {
        Format::Prometheus => {
            let snapshot = outlet.registry.snapshot();
            Exposition::new(snapshot, metrics::Format::Text, undefined(configuration, outlet)).into_text()
        }
        Format::Json => {
            let series = json::series(&outlet.registry);
            serde_json::to_string_pretty(&series).expect("numbers and text can be written as JSON") + "\n"
        }
    }
}

/// How the exporter that stands there shows a ratio with nothing in its denominator.
fn undefined(configuration: &Configuration, outlet: &Outlet) -> Undefined {
    let tables = outlet.exporters.iter().filter_map(|id| configuration.exporters.get(id));
    let mut keys = tables.filter_map(|checked| checked.effective.get("undefined_ratio")?.clone().try_into().ok());
    keys.next().unwrap_or_default()
}
