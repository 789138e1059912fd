//! What reading TLS takes: one thread keeps it, all others keep nothing.

use std::fs;
use std::time::Duration;

use integration::ringside::Ringside;
use integration::scratch::Folder;
use integration::wait::eventually;

use super::peers::{self, Certificate, Peer, Style};
use super::{CONNECTIONS, REQUESTS, assert_all, config, possible};
use crate::privileges::nobody_with;
use crate::stage::namespace;

/// CAP_SYS_PTRACE, CAP_PERFMON, CAP_BPF.
const KEPT: u64 = 1 << 19 | 1 << 38 | 1 << 39;

/// Name and permitted capabilities of each thread.
fn threads(process: u32) -> Vec<(String, u64)> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let thread = |status: String| {
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).expect("a field").trim().to_owned();
        let permitted = u64::from_str_radix(&field("CapPrm:"), 16).expect("a number");
        assert!(permitted & u64::from_str_radix(&field("CapEff:"), 16).expect("a number") == permitted);
        for other in ["CapInh:", "CapAmb:"] {
            assert_eq!(field(other), "0000000000000000");
        }
        assert_eq!(field("NoNewPrivs:"), "1");
        (field("Name:"), permitted)
    };
    tasks.flatten().map(|task| thread(fs::read_to_string(task.path().join("status")).expect("it runs"))).collect()
}

#[test]
fn an_ordinary_user_with_four_capabilities_reads_tls_and_one_thread_keeps_three() {
    let Some(_pass) = possible("TLS with four capabilities") else { return };
    let namespace = namespace();
    let certificate = Certificate::new();
    let wrapper = nobody_with(",+net_raw,+bpf,+perfmon,+sys_ptrace");
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let config = config("\"boxed-peer\"");
    let ringside = Ringside::spawn(&namespace, &config.toml(), &wrapper);
    eventually("capture", || ringside.health().ok().filter(|(status, _)| *status == 200));
    let mut threads = threads(ringside.id());
    threads.retain(|(_, permitted)| *permitted != 0);
    assert_eq!(threads, [("tls-attach".to_owned(), KEPT)]);
    // A process of another user, that starts later, with a library of its own.
    let folder = Folder::new("boxed");
    let command = peers::boxed(&namespace, &folder, &peers::named(&folder, "boxed-peer"));
    let _server = Peer::serve_by(command, &namespace, 5061, &certificate, Style::Threads);
    Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::Threads).send();
    assert_all(&ringside.settled(2 * u64::from(CONNECTIONS * REQUESTS)));
}

#[test]
fn without_it_no_thread_keeps_anything() {
    let Some(_pass) = possible("no TLS, no capability") else { return };
    let namespace = namespace();
    let ringside = Ringside::start(&namespace, &config("").receiver("tls = { enabled = false }"));
    assert!(threads(ringside.id()).iter().all(|(_, permitted)| *permitted == 0));
}

#[test]
fn without_perfmon_it_names_what_is_missing_and_does_not_start() {
    let Some(_pass) = possible("TLS without CAP_PERFMON") else { return };
    let namespace = namespace();
    let wrapper = nobody_with(",+net_raw,+bpf");
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let mut ringside = Ringside::spawn(&namespace, &config("").toml(), &wrapper);
    let status = ringside.ended(Duration::from_secs(10));
    assert_eq!(status.code(), Some(77), "{}", ringside.log());
    let log = ringside.log().to_lowercase();
    for word in ["cap_perfmon", "cap_sys_ptrace", "setcap", "tls.enabled"] {
        assert!(log.contains(word), "{word} is not in: {log}");
    }
}
