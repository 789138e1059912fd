//! Ways out for what was counted and for calls: the endpoint that Prometheus scrapes, and OTLP;
//! a folder in which what waits may be kept.
//!
//! Rows and the state of the program come in, HTTP answers go out. An exporter lives on the main thread's
//! current-thread runtime, reads copies of rows, and never makes a shard wait.

pub mod file_storage;
pub mod otlp;
pub mod pcap;
pub mod prometheus;
