//! Metrics and traces against a real OpenTelemetry Collector that comes and goes: what it wrote is what was counted.

mod calls;
mod fleet;
mod names;
mod own;
mod push;
mod replay;
