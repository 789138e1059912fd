//! What it needs to be allowed, and what it says when it is not.

use std::time::Duration;

use integration::flows;
use integration::gate;
use integration::ringside::{Config, Ringside};
use integration::sipp::scenario::Scenario;
use integration::sipp::{Load, exchange};
use integration::wait::eventually;
use testnet::Family;

use crate::stage::{CALLS, loopback, namespace};

const N: f64 = CALLS as f64;

/// `setpriv` to the user nobody, with these capabilities and no other.
pub fn nobody_with(capabilities: &str) -> Vec<String> {
    let mut arguments = vec!["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let (inheritable, ambient) =
        (format!("--inh-caps=-all{capabilities}"), format!("--ambient-caps=-all{capabilities}"));
    arguments.extend([inheritable.as_str(), ambient.as_str()]);
    arguments.into_iter().map(str::to_owned).collect()
}

/// Runs as nobody with these capabilities, sees calls, and reports how it captures.
#[track_caller]
fn captures_with(capabilities: &str, kind: &str) -> String {
    let namespace = namespace();
    let wrapper = nobody_with(capabilities);
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let ringside = Ringside::spawn(&namespace, &Config::on("lo").toml(), &wrapper);
    let health = eventually(&format!("capture; {}", ringside.log()), || {
        ringside.health().ok().filter(|(status, _)| *status == 200).map(|(_, body)| body)
    });
    assert_eq!(health["capture"], kind, "{health}");
    let place = loopback(&namespace, Family::V4);
    let counts = exchange(&Scenario::new(flows::ANSWERED), place.caller, place.callee, Load::of(CALLS));
    let scrape = ringside.settled(counts.packets());
    scrape.assert(counts.expectations());
    scrape.assert([("sdc_total", N)]);
    ringside.log()
}

#[test]
fn two_capabilities_are_enough() {
    let Some(_pass) = gate::shared("CAP_NET_RAW and CAP_BPF alone") else { return };
    captures_with(",+net_raw,+bpf", "ebpf");
}

#[test]
fn without_bpf_it_says_so_and_captures_with_a_classic_filter() {
    let Some(_pass) = gate::shared("CAP_NET_RAW alone") else { return };
    let log = captures_with(",+net_raw", "classic");
    // In a container it may be its seccomp profile alone.
    for word in ["cap_bpf", "in a container"] {
        assert!(log.to_lowercase().contains(word), "{word} is not in: {log}");
    }
}

#[test]
fn without_capabilities_it_names_the_cure() {
    let Some(_pass) = gate::shared("no capability") else { return };
    let namespace = namespace();
    let wrapper = nobody_with("");
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let mut ringside = Ringside::spawn(&namespace, &Config::on("lo").toml(), &wrapper);
    let status = ringside.ended(Duration::from_secs(10));
    assert_eq!(status.code(), Some(77), "{}", ringside.log());
    let log = ringside.log().to_lowercase();
    for word in ["cap_net_raw", "setcap", "replay"] {
        assert!(log.contains(word), "{word} is not in: {log}");
    }
}
