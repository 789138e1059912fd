//! Libraries in containers, processes that are meant and others, changes while it runs.

use std::path::{Path, PathBuf};

use integration::ringside::Ringside;
use integration::scratch::Folder;
use integration::wait::eventually;
use testnet::Namespace;

use super::peers::{self, Certificate, Peer, Style};
use super::{ALL, CONNECTIONS, PYTHON, REQUESTS, assert_all, config, possible};
use crate::stage::namespace;

const MESSAGES: u64 = 2 * (CONNECTIONS * REQUESTS) as u64;

#[test]
fn a_library_inside_a_container_is_found_by_way_of_its_process() {
    let Some(_pass) = possible("TLS in a container") else { return };
    for ringside_first in [true, false] {
        let namespace = namespace();
        let certificate = Certificate::new();
        let folder = Folder::new("boxed");
        let script = peers::named(&folder, "boxed-peer");
        // The client uses the library of the host, and is not meant.
        let config = config("\"boxed-peer\"");
        let before = ringside_first.then(|| Ringside::start(&namespace, &config));
        let command = peers::boxed(&namespace, &folder, &script);
        let _server = Peer::serve_by(command, &namespace, 5061, &certificate, Style::Threads);
        let ringside = before.unwrap_or_else(|| Ringside::start(&namespace, &config));
        Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::Threads).send();
        let scrape = ringside.settled(MESSAGES);
        assert_all(&scrape);
        scrape.assert([("capture_duplicates_total", 0.0)]);
    }
}

#[test]
fn a_library_that_no_process_uses_any_more_is_let_go() {
    let Some(_pass) = possible("TLS of a container that ended") else { return };
    let namespace = namespace();
    let certificate = Certificate::new();
    let folder = Folder::new("boxed");
    let script = peers::named(&folder, "boxed-peer");
    let ringside = Ringside::start(&namespace, &config("\"boxed-peer\", \"other-peer\""));
    let start = |port| {
        let command = peers::boxed(&namespace, &folder, &script);
        Peer::serve_by(command, &namespace, port, &certificate, Style::Threads)
    };
    let first = start(5061);
    eventually("a library", || ringside.internal("otelcol_receiver_tls_libraries").filter(|count| *count == 1.0));
    drop(first);
    // A change of the processes that are meant is an occasion to tidy up.
    ringside.rewrite(&config("\"other-peer\"").toml());
    ringside.signal(libc::SIGHUP);
    eventually("no library", || ringside.internal("otelcol_receiver_tls_libraries").filter(|count| *count == 0.0));
}

#[test]
fn processes_that_are_not_meant_stay_unseen_until_they_are() {
    let Some(_pass) = possible("TLS of other processes") else { return };
    let namespace = namespace();
    let certificate = Certificate::new();
    let _server = Peer::serve(&namespace, Path::new(PYTHON), 5061, &certificate, Style::Threads);
    let ringside = Ringside::start(&namespace, &config("\"kamailio\""));
    Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::Threads).send();
    // Two requests and two records of handshakes at least, for every connection.
    eventually("all records on the wire", || {
        let scrape = ringside.scrape();
        (scrape.count("tls_records_total") >= MESSAGES).then_some(scrape)
    })
    .assert([("packets_total", 0.0)]);
    ringside.rewrite(&config("").toml());
    ringside.signal(libc::SIGHUP);
    eventually("a library", || ringside.internal("otelcol_receiver_tls_libraries").filter(|count| *count > 0.0));
    Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::Threads).send();
    let scrape = ringside.settled(MESSAGES);
    scrape.assert([("requests_total", ALL), ("200_total", ALL)]);
}

#[test]
fn a_process_goes_on_with_a_connection_that_another_one_has_accepted_and_given_back() {
    let Some(_pass) = possible("TLS across fork") else { return };
    let namespace = namespace();
    let certificate = Certificate::new();
    let ringside = Ringside::start(&namespace, &config("\"forking-peer\""));
    let folder = Folder::new("fork");
    let script = peers::named(&folder, "forking-peer");
    let _server = Peer::serve(&namespace, &script, 5061, &certificate, Style::Fork);
    Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::Threads).send();
    assert_all(&ringside.settled(MESSAGES));
}

#[test]
fn processes_that_come_and_go_and_threads_by_the_hundred_are_each_seen() {
    const PROCESSES: u32 = 20;
    const THREADS: u32 = 200;
    let Some(_pass) = possible("TLS of many processes and threads") else { return };
    let namespace = namespace();
    let certificate = Certificate::new();
    let ringside = Ringside::start(&namespace, &config(""));
    let _server = Peer::serve(&namespace, Path::new(PYTHON), 5061, &certificate, Style::Threads);
    for _ in 0..PROCESSES {
        Peer::connect(&namespace, 5061, 1, 1, Style::Threads).send();
    }
    Peer::connect(&namespace, 5061, THREADS, 5, Style::Threads).send();
    let requests = PROCESSES + THREADS * 5;
    ringside.settled(2 * u64::from(requests)).assert([
        ("requests_total", f64::from(requests)),
        ("200_total", f64::from(requests)),
        ("packets_total", 2.0 * f64::from(requests)),
        ("unmatched_total", 0.0),
        ("stream_resync_total", 0.0),
        ("capture_drops_total", 0.0),
    ]);
}

/// A server that has a library to itself.
fn serve_with_its_own(namespace: &Namespace, folder: &Folder, name: &str, port: u16) -> (Peer, PathBuf) {
    let library = peers::library(folder);
    let mut command = namespace.command(peers::named(folder, name));
    command.env("LD_LIBRARY_PATH", folder.path());
    (Peer::serve_by(command, namespace, port, &Certificate::new(), Style::Threads), library)
}

#[test]
fn a_library_that_is_removed_from_disk_keeps_its_probes_over_a_reload() {
    let Some(_pass) = possible("TLS over an upgrade and a reload") else { return };
    let namespace = namespace();
    let folders = ["upgraded", "other"].map(Folder::new);
    let (_server, library) = serve_with_its_own(&namespace, &folders[0], "upgraded-peer", 5061);
    let _other = serve_with_its_own(&namespace, &folders[1], "other-peer", 5063);
    let ringside = Ringside::start(&namespace, &config("\"upgraded-peer\""));
    std::fs::remove_file(library).expect("it was copied there");
    ringside.rewrite(&config("\"upgraded-peer\", \"other-peer\"").toml());
    ringside.signal(libc::SIGHUP);
    eventually("both libraries", || ringside.internal("otelcol_receiver_tls_libraries").filter(|count| *count == 2.0));
    Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::Threads).send();
    assert_all(&ringside.settled(MESSAGES));
}

#[test]
fn a_library_that_was_removed_from_disk_before_is_named_with_its_process() {
    let Some(_pass) = possible("TLS by a removed library") else { return };
    let namespace = namespace();
    let folder = Folder::new("removed");
    let (_server, library) = serve_with_its_own(&namespace, &folder, "removed-peer", 5061);
    std::fs::remove_file(library).expect("it was copied there");
    let ringside = Ringside::start(&namespace, &config("\"removed-peer\""));
    assert_eq!(ringside.internal("otelcol_receiver_tls_replaced_libraries"), Some(1.0));
    assert!(ringside.log().contains("restart that process"), "{}", ringside.log());
    Peer::connect(&namespace, 5061, 1, 1, Style::Threads).send();
    eventually("records on the wire", || (ringside.scrape().count("tls_records_total") > 0).then_some(()));
    ringside.scrape().assert([("packets_total", 0.0), ("non_sip_total", 0.0)]);
}

#[test]
fn turning_it_on_needs_a_restart() {
    let Some(_pass) = possible("TLS turned on by SIGHUP") else { return };
    let namespace = namespace();
    let off = config("").receiver("tls = { enabled = false }");
    let ringside = Ringside::start(&namespace, &off);
    ringside.rewrite(&config("").toml());
    ringside.signal(libc::SIGHUP);
    eventually("the key is named", || ringside.log().contains("tls.enabled").then_some(()));
    assert_eq!(ringside.internal("otelcol_receiver_tls_libraries"), None);
}
