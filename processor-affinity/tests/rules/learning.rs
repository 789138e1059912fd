//! Services that nobody listed.

use crate::scene::{LISTED, Scene};

/// When ladders begin.
const START: u64 = 1_767_225_600_000_000_000;

const CALLS: &str = "
    0.000 client -> vip INVITE call=a => pod1
    0.200 client <- vip 200 call=a tag=b <= pod1
    1.000 other -> vip INVITE call=b => pod2
    1.200 other <- vip 200 call=b tag=c <= pod2
    30.00 moved -> vip BYE call=a ttag=b => pod2
    30.10 moved <- vip 481 call=a of=BYE <= pod2
";

#[test]
fn a_request_seen_to_two_addresses_shows_a_service_and_its_backends() {
    let mut scene = Scene::new("");
    scene.play(CALLS);
    scene.settle();
    assert_eq!((scene.stated.len(), scene.steered.len()), (0, 0), "what was learned is in no metric and no record");
    let report = scene.report();
    let [service] = &report.services[..] else { panic!("{report:?}") };
    assert!(service.learned && &*service.name == "10.96.0.60:5060");
    let backends: Vec<_> = service.backends.iter().map(|backend| (&*backend.name, backend.dialogs)).collect();
    assert_eq!(backends, [("10.244.1.11:5060", 1), ("10.244.1.12:5060", 1)]);
    assert_eq!((service.dialogs, service.moved.dialogs, service.moved.source_port, service.moved.failed), (2, 1, 1, 1));
    assert_eq!((service.from.as_nanos(), service.until.as_nanos()), (START, START + 30_100_000_000));
    assert_eq!(service.by_call_id.moved, 0);
    assert_eq!(service.by_call_id.spread.iter().sum::<u64>(), 2);
}

#[test]
fn a_retransmission_teaches_nothing_backwards() {
    let mut scene = Scene::new("");
    scene.play(
        "0.00 client -> vip INVITE => pod1
         0.50 client -> vip INVITE again => pod1
         1.20 client -> vip INVITE again => pod1",
    );
    let report = scene.report();
    assert_eq!(report.services.len(), 1);
    assert_eq!((report.services[0].dialogs, report.services[0].backends.len()), (1, 1));
}

#[test]
fn the_same_payload_after_more_than_a_second_is_another_one() {
    let mut scene = Scene::new("");
    scene.play("0.00 client -> vip INVITE\n1.001 client -> pod1 INVITE copy");
    assert!(scene.report().services.is_empty());
    let mut within = Scene::new("");
    within.play("0.00 client -> vip INVITE\n1.000 client -> pod1 INVITE copy");
    assert_eq!(within.report().services.len(), 1);
}

#[test]
fn a_proxy_that_adds_its_via_is_no_service() {
    let mut scene = Scene::new("");
    scene.play("0.00 client -> vip INVITE\n0.01 vip -> pod1 INVITE fwd\n0.02 vip <- pod1 200 tag=b\n0.03 client <- vip 200 fwd");
    assert!(scene.report().services.is_empty());
    assert_eq!(scene.report().requests, 2);
}

#[test]
fn a_listed_service_takes_listed_backends_alone() {
    let mut scene = Scene::new(&LISTED.replace("learn = false", ""));
    scene.play("0.00 client -> vip INVITE => node\n0.10 client <- vip 200 tag=b");
    let report = scene.report();
    assert_eq!((report.services.len(), report.services[0].backends.len()), (1, 3));
    assert_eq!(report.services[0].unknown_backend, 1);
}

#[test]
fn addresses_may_be_hidden_and_then_names_that_are_addresses_are_too() {
    let mut scene = Scene::new("");
    scene.play(CALLS);
    let mut report = scene.report();
    report.show_addresses(|address| ([10, 0, 0, 0], address.port()).into());
    assert_eq!(&*report.services[0].name, "10.0.0.0:5060");
    assert!(report.services[0].backends.iter().all(|backend| &*backend.name == "10.0.0.0:5060"));
}
