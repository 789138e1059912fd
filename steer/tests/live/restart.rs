//! What outlives the daemon: links and maps are pinned, and a later daemon takes them over.

use std::path::PathBuf;

use affinity::steer::{Capacity, Mode};
use integration::balanced::Rules;
use steer::kernel::{Kernel, now, programs_on};
use testnet::Family;

use crate::calls::{Backends, Calls, Outcome};
use crate::node::{DEVICES, PODS, Steered, assert_no_programs, capacity, index, lab};

/// A folder for pins, removed with what is in it when dropped.
struct Pins(PathBuf);

impl Pins {
    /// `None` where there is no BPF file system, which is said.
    fn new(test: &str) -> Option<Self> {
        let folder = PathBuf::from(format!("/sys/fs/bpf/ringside-{test}-{}", std::process::id()));
        match std::fs::create_dir(&folder) {
            Ok(()) => Some(Self(folder)),
            Err(error) => {
                testnet::skipped(test, &format!("{}: {error}", folder.display()));
                None
            }
        }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn calls_go_on_while_a_daemon_is_gone_and_another_takes_over() {
    let test = "calls_go_on_while_a_daemon_is_gone_and_another_takes_over";
    let (Some((_pass, lab)), Some(pins)) = (lab(test, Family::V4, Rules::Nobody), Pins::new("restart")) else { return };
    let backends = Backends::start(&lab, PODS);
    let Some(steered) = Steered::new(test, &lab, Mode::Active, Some(&pins.0)) else { return };
    let mut calls = Calls::new(&lab, "pinned", 10);
    assert_eq!(calls.begin(0..200).answered, 200);
    // Nothing of it ends but the process: pins hold programs, links and maps.
    drop(steered);
    assert_eq!(calls.end(0..50, true), Outcome { ended: 50, ..Outcome::default() });
    assert_eq!(calls.begin(200..250).answered, 50, "within the time of grace new calls are steered too");

    let Some(steered) = Steered::new(test, &lab, Mode::Active, Some(&pins.0)) else { return };
    for device in DEVICES.map(|device| index(&lab.node, device)) {
        let programs = lab.node.run(|| programs_on(device)).expect("the kernel says");
        // Linux before 6.6 names none.
        assert!(
            programs.is_empty() || programs == ["steer_ingress", "steer_egress"],
            "replaced, not doubled: {programs:?}"
        );
    }
    assert_eq!(calls.end(50..250, true), Outcome { ended: 200, ..Outcome::default() });
    let translated = steered.counters().general(affinity::steer::General::Translated);
    assert_eq!(translated, 500, "counters go on too");

    lab.node.run(|| steered.ask(|steering| steering.detach_all())).expect("pins of our own");
    assert_no_programs(&lab);
    (calls.name, calls.patience) = ("later", std::time::Duration::from_millis(20));
    assert_eq!(calls.begin(0..5), Outcome { silent: 5, ..Outcome::default() }, "nobody translates any more");
    let left: Vec<_> = std::fs::read_dir(&pins.0).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
    backends.finish();
}

#[test]
fn calls_go_on_in_larger_maps() {
    let test = "calls_go_on_in_larger_maps";
    let (Some((_pass, lab)), Some(pins)) = (lab(test, Family::V4, Rules::Nobody), Pins::new("larger")) else { return };
    let backends = Backends::start(&lab, PODS);
    let Some(steered) = Steered::new(test, &lab, Mode::Active, Some(&pins.0)) else { return };
    let calls = Calls::new(&lab, "copied", 10);
    assert_eq!(calls.begin(0..200).answered, 200);
    drop(steered);
    let larger = Capacity { dialogs: 50_000, flows: 30_000, ..capacity() };
    let Some(steered) = Steered::with_capacity(test, &lab, Mode::Active, Some(&pins.0), larger) else { return };
    let census = lab.node.run(|| steered.ask(|steering| steering.sweep(now()))).expect("maps of our own");
    assert_eq!(census.dialogs.values().sum::<u64>(), 200);
    assert_eq!(calls.end(0..200, true), Outcome { ended: 200, ..Outcome::default() });
    let folders: Vec<_> =
        std::fs::read_dir(&pins.0).expect("the folder").map(|entry| entry.expect("one").file_name()).collect();
    assert_eq!(folders, ["v2"]);
    lab.node.run(|| steered.ask(|steering| steering.detach_all())).expect("pins of our own");
    assert_no_programs(&lab);
    backends.finish();
}

/// The maps that are copied are laid out as before: only the name of their folder tells.
#[test]
fn calls_go_on_in_maps_of_a_later_layout() {
    let test = "calls_go_on_in_maps_of_a_later_layout";
    let (Some((_pass, lab)), Some(pins)) = (lab(test, Family::V4, Rules::Nobody), Pins::new("layout")) else { return };
    let backends = Backends::start(&lab, PODS);
    let Some(steered) = Steered::new(test, &lab, Mode::Active, Some(&pins.0)) else { return };
    let calls = Calls::new(&lab, "earlier", 10);
    assert_eq!(calls.begin(0..200).answered, 200);
    drop(steered);
    std::fs::rename(pins.0.join("v2"), pins.0.join("v1")).expect("it is there");
    let Some(steered) = Steered::new(test, &lab, Mode::Active, Some(&pins.0)) else { return };
    for device in DEVICES.map(|device| index(&lab.node, device)) {
        let programs = lab.node.run(|| programs_on(device)).expect("the kernel says");
        assert!(programs.is_empty() || programs == ["steer_ingress", "steer_egress"], "{programs:?}");
    }
    assert_eq!(calls.end(0..200, true), Outcome { ended: 200, ..Outcome::default() });
    assert!(!pins.0.join("v1").exists() && !pins.0.join("outgrown").exists());
    lab.node.run(|| steered.ask(|steering| steering.detach_all())).expect("pins of our own");
    assert_no_programs(&lab);
    backends.finish();
}

/// Only the name of the folder tells that the programs are of another layout.
#[test]
fn programs_of_a_later_layout_are_taken_off_at_the_start_and_by_detach() {
    let test = "programs_of_a_later_layout_are_taken_off_at_the_start_and_by_detach";
    let (Some((_pass, lab)), Some(pins)) = (lab(test, Family::V4, Rules::Nobody), Pins::new("back")) else { return };
    let folders = || -> Vec<_> {
        std::fs::read_dir(&pins.0).expect("the folder").map(|entry| entry.expect("one").file_name()).collect()
    };
    let Some(later) = Steered::new(test, &lab, Mode::Active, Some(&pins.0)) else { return };
    drop(later);
    std::fs::rename(pins.0.join("v2"), pins.0.join("v9")).expect("it is there");
    let Some(steered) = Steered::new(test, &lab, Mode::Active, Some(&pins.0)) else { return };
    assert_eq!(folders(), ["v2"]);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(2);
    for device in DEVICES.map(|device| index(&lab.node, device)) {
        let programs = || lab.node.run(|| programs_on(device)).expect("the kernel says");
        // The kernel takes them off a moment after their pins are gone.
        while programs().len() > 2 && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        let programs = programs();
        assert!(programs.is_empty() || programs == ["steer_ingress", "steer_egress"], "{programs:?}");
    }
    // An earlier one that is started beside it would leave these.
    std::fs::rename(pins.0.join("v2"), pins.0.join("v9")).expect("it is there");
    lab.node.run(|| steered.ask(|steering| steering.detach_all())).expect("pins of our own");
    assert_no_programs(&lab);
    assert!(folders().is_empty(), "{:?}", folders());
}

#[test]
fn a_device_that_comes_later_is_attached_and_one_that_goes_is_forgotten() {
    let test = "a_device_that_comes_later_is_attached_and_one_that_goes_is_forgotten";
    let (Some((_pass, lab)), Some(pins)) = (lab(test, Family::V4, Rules::Nobody), Pins::new("later")) else { return };
    let Some(steered) = Steered::new(test, &lab, Mode::Observe, Some(&pins.0)) else { return };
    lab.node.ip("link add late type veth peer name other");
    let late = index(&lab.node, "late");
    lab.node.run(|| steered.ask(|steering| steering.attach(late, &[]))).expect("it can be attached");
    assert!(steered.ask(|steering| steering.attached()).contains(&late));
    lab.node.ip("link del late");
    lab.node.run(|| steered.ask(|steering| steering.sweep(0))).expect("maps of our own");
    assert!(!steered.ask(|steering| steering.attached()).contains(&late));
    lab.node.run(|| steered.ask(|steering| steering.detach_all())).expect("pins of our own");
}

#[test]
fn a_device_without_ethernet_or_with_programs_of_others_is_refused() {
    let test = "a_device_without_ethernet_or_with_programs_of_others_is_refused";
    let Some((_pass, lab)) = lab(test, Family::V4, Rules::Nobody) else { return };
    let Some(steered) = Steered::new(test, &lab, Mode::Observe, None) else { return };
    lab.node.ip("tuntap add dev plain mode tun");
    let tun = index(&lab.node, "plain");
    let refused = lab.node.run(|| steered.ask(|steering| steering.attach(tun, &[]))).expect_err("it has no Ethernet");
    assert_eq!(refused.to_string(), format!("packets of device {tun} have no Ethernet header"));
    let tc = |arguments: &str| {
        let arguments: Vec<String> = arguments.split(' ').map(|word| word.replace('&', " ")).collect();
        lab.node.command("tc").args(&arguments).status().is_ok_and(|done| done.success())
    };
    lab.node.ip("link add late type veth peer name other");
    let late = index(&lab.node, "late");
    if !tc("qdisc add dev late clsact") {
        return testnet::skipped(test, "there is no tc that knows clsact");
    }
    let attach = |beside: &[String]| lab.node.run(|| steered.ask(|steering| steering.attach(late, beside)));
    attach(&[]).expect("there is a hook, and nothing in it");
    lab.node.run(|| steered.ask(|steering| steering.detach(late))).expect("it is ours");
    assert!(tc("filter add dev late egress bpf da bytecode 1,6&0&0&4294967295,"));
    let refused = attach(&[]).expect_err("somebody is there");
    assert_eq!(refused.to_string(), format!("device {late} has programs of others: ?"));
    attach(&["?".to_owned()]).expect("it may be there");
}
