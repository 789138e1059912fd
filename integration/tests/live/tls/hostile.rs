//! Peers that mean ill: streams without end, connections that break off, processes that die in the middle of a message.

use std::path::Path;

use integration::ringside::Ringside;

use super::peers::{Certificate, Peer, Style};
use super::{ALL, CONNECTIONS, PYTHON, REQUESTS, config, possible};
use crate::stage::namespace;

const ABUSED: u32 = 300;

/// Far below what would be kept of as many streams of 300 kB, or of 300,000 bytes for each of their ends.
const GROWTH: u64 = 24 << 20;

#[test]
fn streams_without_end_and_processes_that_die_cost_counters_and_not_memory() {
    let Some(_pass) = possible("hostile peers over TLS") else { return };
    let namespace = namespace();
    let certificate = Certificate::new();
    let ringside = Ringside::start(&namespace, &config(""));
    let _server = Peer::serve(&namespace, Path::new(PYTHON), 5061, &certificate, Style::Threads);
    let before = ringside.memory();
    Peer::abuse(&namespace, 5061, ABUSED);
    let endless = f64::from(ABUSED / 3);
    let scrape = ringside.reaches("parse_errors_total{reason=\"too_large\"}", endless);
    scrape.assert([("packets_total", 0.0), ("capture_drops_total", 0.0)]);
    let grown = ringside.memory().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes");
    // Beside what is left of them calls are exact.
    Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::Threads).send();
    let scrape = ringside.settled(2 * u64::from(CONNECTIONS * REQUESTS));
    scrape.assert([("requests_total", ALL), ("200_total", ALL), ("packets_total", 2.0 * ALL)]);
}
