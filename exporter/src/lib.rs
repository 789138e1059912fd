//! Ways out for what was counted: today the endpoint that Prometheus scrapes.
//!
//! Rows and the state of the program come in, HTTP answers go out. An exporter lives on the main thread's
//! current-thread runtime, reads copies of rows, and never makes a shard wait.

pub mod prometheus;
