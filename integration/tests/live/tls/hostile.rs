//! Peers that mean ill: streams without end, connections that break off, processes that die in the middle of a message.

use std::path::Path;

use integration::ringside::Ringside;
use integration::wait::eventually;

use super::peers::{Certificate, Peer, Style};
use super::{ALL, CONNECTIONS, PYTHON, REQUESTS, config, possible};
use crate::stage::namespace;

const ABUSED: u32 = 90;

/// Less than what they send without an end: 30 times 300 kB, seen at both ends.
const GROWTH: u64 = 16 << 20;

#[test]
fn streams_without_end_and_processes_that_die_cost_counters_and_not_memory() {
    let Some(_pass) = possible("hostile peers over TLS") else { return };
    let namespace = namespace();
    let certificate = Certificate::new();
    let ringside = Ringside::start(&namespace, &config(""));
    let _server = Peer::serve(&namespace, Path::new(PYTHON), 5061, &certificate, Style::Threads);
    let before = ringside.memory();
    Peer::abuse(&namespace, 5061, ABUSED);
    // How many are put together to their bound depends on how much of them the machine has time for.
    eventually("messages beyond the bound", || {
        (ringside.scrape().count("parse_errors_total{reason=\"too_large\"}") > 0).then_some(())
    });
    ringside.scrape().assert([("packets_total", 0.0)]);
    let grown = ringside.memory().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes");
    // Beside what is left of them calls are exact.
    Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::Threads).send();
    let scrape = ringside.settled(2 * u64::from(CONNECTIONS * REQUESTS));
    scrape.assert([("requests_total", ALL), ("200_total", ALL), ("packets_total", 2.0 * ALL)]);
}
