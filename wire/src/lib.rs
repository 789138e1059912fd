//! Bytes below SIP: link layers, IP, UDP, TCP headers, tunnels, reassembly.
//!
//! Pure: packets and their capture time in, datagrams out; no clock, no log, no I/O.

pub mod time;

pub use time::Timestamp;
