//! What changes while it runs: interfaces that come and go, reloads.

use receiver_ebpf_sip::Config;
use testnet::{Namespace, ip};

use crate::common::capture::{Tap, live};
use crate::common::{self, Helper, veth};
use crate::{PORT, on, send_over, send_to_port};

#[test]
fn any_sees_an_interface_made_after_the_start() {
    live("any_sees_an_interface_made_after_the_start", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::new(Config { interfaces: vec!["any".into()], ..on("lo") });
        veth("new");
        send_over("new-peer", "late");
        assert_eq!(tap.until(1), ["late"]);
    });
}

#[test]
fn a_named_interface_may_come_go_and_come_back() {
    live("a_named_interface_may_come_go_and_come_back", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::new(on("sip0"));
        assert!(tap.status().blocked.is_some_and(|why| why.contains("sip0")));
        for name in ["first", "second"] {
            veth("sip0");
            tap.wait_for(|tap| tap.status().blocked.is_none());
            send_over("sip0-peer", name);
            assert_eq!(tap.until(1), [name]);
            ip("link delete sip0");
            tap.wait_for(|tap| tap.status().blocked.is_some());
        }
    });
}

#[test]
fn only_named_interfaces_are_captured() {
    live("only_named_interfaces_are_captured", || {
        Namespace::new().expect("checked").enter();
        veth("wanted");
        veth("other");
        let mut tap = Tap::new(on("wanted"));
        send_over("other-peer", "unseen");
        send_over("wanted-peer", "seen");
        assert_eq!(tap.until(1), ["seen"]);
    });
}

#[test]
fn ports_and_interfaces_change_while_it_runs() {
    live("ports_and_interfaces_change_while_it_runs", || {
        Namespace::new().expect("checked").enter();
        veth("a");
        veth("b");
        let helper = Helper::new();
        let mut tap = Tap::new(on("a"));
        ports_and_interfaces_change(&mut tap, &helper);
    });
}

/// From `a` to another port and to `b`, then to every interface.
pub fn ports_and_interfaces_change(tap: &mut Tap, helper: &Helper) {
    assert!(tap.reconfigure(Config { ports: vec![PORT + 7], ..on("b") }).is_empty());
    helper.run(|| {
        send_to_port("a-peer", PORT + 7, "old-interface");
        send_to_port("b-peer", PORT, "old-port");
        send_to_port("b-peer", PORT + 7, "new");
    });
    assert_eq!(tap.until(1), ["new"]);
    assert!(tap.reconfigure(Config { interfaces: vec!["any".into()], ..on("b") }).is_empty());
    helper.run(|| send_to_port("a-peer", PORT, "any"));
    assert_eq!(tap.until(1), ["any"]);
}

#[test]
fn a_key_that_needs_a_restart_is_named_and_the_rest_is_applied() {
    live("a_key_that_needs_a_restart_is_named_and_the_rest_is_applied", || {
        Namespace::new().expect("checked").enter();
        veth("a");
        let mut tap = Tap::new(on("a"));
        let changed = Config { ports: vec![PORT + 1], promiscuous: true, ..on("a") };
        assert_eq!(tap.reconfigure(changed), ["promiscuous"]);
        send_to_port("a-peer", PORT + 1, "new-port");
        assert_eq!(tap.until(1), ["new-port"]);
    });
}

#[test]
fn promiscuous_mode_follows_the_interfaces() {
    live("promiscuous_mode_follows_the_interfaces", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::new(Config { promiscuous: true, interfaces: vec!["any".into()], ..on("any") });
        veth("p");
        tap.wait_for(|_| common::is_promiscuous("p"));
    });
}
