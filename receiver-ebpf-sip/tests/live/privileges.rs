//! What each capability is needed for, and that none is needed once it runs.

use std::thread;

use caps::Capability;
use pipeline::{Receiver, ReceiverError};
use receiver_ebpf_sip::capabilities::{CapabilityError, drop_of_this_thread};
use receiver_ebpf_sip::{Config, EbpfSipReceiver, drop_capabilities};
use testnet::Namespace;

use crate::changes::ports_and_interfaces_change;
use crate::common::capture::{Tap, live};
use crate::common::{self, Helper, veth};
use crate::{PORT, on, send_over, send_to_port};

#[test]
fn the_classic_filter_follows_ports_and_interfaces_too() {
    live("the_classic_filter_follows_ports_and_interfaces_too", || {
        Namespace::new().expect("checked").enter();
        veth("a");
        veth("b");
        let helper = Helper::new();
        common::become_nobody_with(&[Capability::CAP_NET_RAW]);
        let mut tap = Tap::new(on("a"));
        drop_of_this_thread().expect("dropping needs no permission");
        assert_eq!(tap.kind(), "classic");
        ports_and_interfaces_change(&mut tap, &helper);
    });
}

#[test]
fn two_capabilities_start_it_and_none_keep_it_going() {
    live("two_capabilities_start_it_and_none_keep_it_going", || {
        Namespace::new().expect("checked").enter();
        veth("a");
        veth("b");
        let helper = Helper::new();
        common::become_nobody_with(&[Capability::CAP_NET_RAW, Capability::CAP_BPF]);
        let mut tap = Tap::new(Config { promiscuous: true, ..on("a") });
        assert_eq!(tap.kind(), "ebpf");
        helper.run(|| send_over("a-peer", "with"));
        assert_eq!(tap.until(1), ["with"]);

        drop_of_this_thread().expect("dropping needs no permission");
        helper.run(|| send_over("a-peer", "without"));
        assert_eq!(tap.until(1), ["without"]);
        assert!(tap.kept() >= 2, "counters can be read");
        ports_and_interfaces_change_promiscuously(&mut tap, &helper);
    });
}

/// As [`ports_and_interfaces_change`], and an interface that comes is made promiscuous.
fn ports_and_interfaces_change_promiscuously(tap: &mut Tap, helper: &Helper) {
    let config = |interface| Config { promiscuous: true, ..on(interface) };
    assert!(tap.reconfigure(Config { ports: vec![PORT, PORT + 7], ..config("late") }).is_empty());
    helper.run(|| veth("late"));
    tap.wait_for(|tap| tap.status().blocked.is_none());
    assert!(common::is_promiscuous("late"));
    helper.run(|| {
        send_over("a-peer", "old-interface");
        send_to_port("late-peer", PORT + 7, "new");
    });
    assert_eq!(tap.until(1), ["new"]);
}

#[test]
fn without_cap_net_raw_the_error_names_it_and_the_command() {
    thread::spawn(|| {
        drop_of_this_thread().expect("dropping needs no permission");
        let error = EbpfSipReceiver::new(on("lo")).start().expect_err("no capability, no capture");
        assert!(matches!(error, ReceiverError::Privilege { .. }), "{error}");
        let text = error.to_string();
        for word in ["CAP_NET_RAW", "setcap cap_net_raw,cap_bpf+ep ", "ringside replay"] {
            assert!(text.contains(word), "{text}");
        }
    })
    .join()
    .expect("the thread asserts");
}

#[test]
fn dropping_too_late_is_an_error() {
    live("dropping_too_late_is_an_error", || {
        // Lives through the check, with its capabilities.
        let _helper = Helper::new();
        let error = drop_capabilities().expect_err("a thread has capabilities");
        assert!(matches!(error, CapabilityError::OtherThreads(others) if others > 0), "{error}");
    });
}
