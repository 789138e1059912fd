//! SIGHUP: what may change while it runs does, what is wrong changes nothing.

use integration::flows;
use integration::gate;
use integration::ringside::{Config, Ringside};
use integration::sipp::scenario::Scenario;
use integration::sipp::{Load, Party, exchange};
use integration::wait::eventually;
use testnet::Family;

use crate::stage::{CALLS, Place, loopback, namespace};

const N: f64 = CALLS as f64;

/// The same place with the callee on another port.
fn on_port<'a>(place: &Place<'a>, port: u16) -> Place<'a> {
    let mut address = place.callee.address;
    address.set_port(port);
    Place {
        caller: place.caller,
        callee: Party { namespace: place.callee.namespace, address },
        interface: place.interface,
    }
}

fn call(place: &Place) -> u64 {
    exchange(&Scenario::new(flows::ANSWERED), place.caller, place.callee, Load::of(CALLS)).packets()
}

#[test]
fn a_broken_file_changes_nothing() {
    let Some(_pass) = gate::shared("SIGHUP with a broken file") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    let ringside = Ringside::start(&namespace, &Config::on("lo"));
    let before = call(&place);
    ringside.settled(before);
    ringside.rewrite("[receivers.ebpf_sip]\nprots = [5061]\n");
    ringside.signal(libc::SIGHUP);
    eventually(&format!("the failed reload is counted\n{}", ringside.log()), || {
        ringside.internal("otelcol_config_reload_failures").filter(|failures| *failures == 1.0)
    });
    let log = ringside.log();
    assert!(log.contains("prots") && log.contains("ports"), "the log names the key and the help: {log}");
    let scrape = ringside.settled(before + call(&place));
    scrape.assert([("sdc_total", 2.0 * N), ("ser", 100.0)]);
    assert_eq!(ringside.health().expect("an answer").0, 200);
}

#[test]
fn ports_and_carriers_change_while_calls_and_counters_live_on() {
    let Some(_pass) = gate::shared("SIGHUP with new ports and carriers") else { return };
    let namespace = namespace();
    let old = loopback(&namespace, Family::V4);
    let new = on_port(&old, 6060);
    let ringside = Ringside::start(&namespace, &Config::on("lo").receiver("ports = [5060]"));
    call(&new);
    let before = call(&old);
    ringside.settled(before).assert([("packets_total", before as f64), ("sdc_total", N)]);

    let changed = Config::on("lo")
        .receiver("ports = [6060]")
        .enrich("carriers = [{ name = \"home\", cidrs = [\"127.0.0.0/8\"] }]");
    ringside.rewrite(&changed.toml());
    ringside.signal(libc::SIGHUP);
    eventually("the reload is done", || ringside.log().contains("configuration reloaded").then_some(()));
    call(&old);
    let after = call(&new);
    let scrape = ringside.settled(before + after);
    scrape.assert([
        ("packets_total", (before + after) as f64),
        ("sdc_total{carrier=\"other\"}", N),
        ("sdc_total{carrier=\"home\"}", N),
    ]);
    assert_eq!(ringside.internal("otelcol_config_restart_needed"), Some(0.0));
}

#[test]
fn a_key_that_needs_a_restart_is_named() {
    let Some(_pass) = gate::shared("SIGHUP with a key that needs a restart") else { return };
    let namespace = namespace();
    let ringside = Ringside::start(&namespace, &Config::on("lo"));
    ringside.rewrite(&Config::on("lo").receiver("promiscuous = true").toml());
    ringside.signal(libc::SIGHUP);
    eventually(&format!("the gauge stands\n{}", ringside.log()), || {
        ringside.internal("otelcol_config_restart_needed").filter(|needed| *needed == 1.0)
    });
    assert!(ringside.log().contains("promiscuous"), "{}", ringside.log());
}
