//! Metrics as OTLP: a snapshot in, requests of the official types out, and the task that sends them in turn.
//!
//! `encode` walks the snapshot that a scrape would show and makes the same series of it; `baseline` remembers what
//! the server has acknowledged, for delta temporality. Nothing waits in a queue: what did not arrive is in the next
//! values, too.

mod baseline;
mod encode;
mod push;

pub use baseline::Baseline;
pub use encode::{Chunk, Chunks, Envelope, Times};
pub use push::{Pace, Pusher, run};

#[cfg(test)]
mod tests;
