//! `[exporters.otlp_grpc]` and `[exporters.otlp_http]`: metrics and traces pushed as OTLP.
//!
//! [`config`] holds the keys, [`mod@env`] what the `OTEL_*` variables say about those left out. What is to be sent
//! becomes a [`Payload`]: a request of the official types, encoded once. The sender queues, compresses, retries
//! and counts ([`Stats`]); it knows nothing of what is inside.

pub mod config;
pub mod env;
mod exporter;
pub mod metrics;
pub mod payload;
pub mod resource;
pub mod send;
pub mod spans;
mod stats;

pub use config::{Aggregation, Compression, GrpcConfig, HttpConfig, Protocol, Settings, Temporality};
pub use exporter::Otlp;
pub use payload::{Failure, Outcome, Payload, Refused, Signal};
pub use send::{Reached, Sender, Store, StoreError, reach};
pub use stats::Stats;
