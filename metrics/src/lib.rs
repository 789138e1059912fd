//! Metrics: facts come in as additions to cells, series go out to whoever renders them.
//!
//! One model for every output: a static [`schema`] of families, one row of 64-bit cells per label set
//! ([`rows`]), ratios computed from the same cells that are exported as their inputs ([`ratios`]). A row has
//! one writer, its shard's thread; a reader copies rows ([`snapshot`]) and never stops the writer.
//! A clock is read only when labels are counted first. What each metric means stands in `docs/metrics.md`.

pub mod buckets;
mod choice;
mod context;
mod derived;
pub mod exemplars;
pub mod label_values;
mod native;
mod probes;
pub mod ratios;
pub mod recorder;
pub mod registry;
pub mod rows;
pub mod schema;
mod series;
pub mod snapshot;
mod stored;
pub mod text;

#[cfg(test)]
mod tests;

pub use choice::{Choice, Unknown};
pub use context::{ExporterContext, ExtensionContext};
pub use exemplars::Exemplar;
pub use native::{Native, SCHEMA};
pub use probes::{PROBES, Probe};
pub use ratios::Ratio;
pub use registry::Registry;
pub use rows::ShardRows;
pub use schema::{DERIVED, F, FAMILIES, FIRST_CODE, Family, Kind, Scope};
pub use series::{Bound, Histogram, Labels, SeriesId, Value};
pub use snapshot::{Cursor, Detail, Snapshot, Visitor};
pub use text::{Exposition, Format, Undefined};

pub use pipeline::LabelSet;
