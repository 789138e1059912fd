//! Every table has a bound, and what it turned away is counted.

use pipeline::{FrameBatch, SipFrame};
use wire::Timestamp;

use crate::scene::Scene;

const TURNED_AWAY: &str = "otelcol_processor_table_turned_away";
const HELD: &str = "otelcol_processor_table_entries";

/// An INVITE of its own, seen to a service and to a backend: addresses by number.
fn pair(scene: &mut Scene, at: u64, client: u32, service: u32, backend: u32, call: u32) {
    let message = format!(
        "INVITE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK{call}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n\
         Call-ID: {call}\r\nCSeq: 1 INVITE\r\n\r\n"
    );
    let address = |net: u8, number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        std::net::SocketAddr::from(([net, a, b, c], 5060))
    };
    let at = Timestamp::from_nanos(1_767_225_600_000_000_000 + at);
    let mut batch = FrameBatch { now: at, ..FrameBatch::default() };
    let client = address(192, client);
    batch.push(message.as_bytes(), SipFrame::datagram(client, address(10, service), at));
    batch.push(message.as_bytes(), SipFrame::datagram(client, address(11, backend), at));
    scene.batch(&batch);
}

#[test]
fn services_and_backends_beyond_the_bound_are_refused_the_newest_first() {
    let mut scene = Scene::new("max_services = 4\nmax_backends = 10");
    for number in 0..20 {
        pair(&mut scene, u64::from(number) * 1_000_000, 1, number, number, number);
    }
    assert_eq!((scene.report().services.len(), scene.number(TURNED_AWAY, "affinity_services")), (4, 16));
    for number in 0..20 {
        pair(&mut scene, u64::from(number) * 1_000_000, 1, 0, 100 + number, 100 + number);
    }
    assert_eq!((scene.number(HELD, "affinity_backends"), scene.number(TURNED_AWAY, "affinity_backends")), (10, 14));
    assert_eq!(&*scene.report().services[0].name, "10.0.0.0:5060", "the first stay");
}

#[test]
fn dialogs_flows_and_requests_beyond_the_bound_go_the_oldest_first() {
    let mut scene = Scene::new("max_dialogs = 50\nmax_flows = 20");
    for number in 0..1000 {
        pair(&mut scene, u64::from(number) * 1_000, number, 0, 0, number);
    }
    for (table, most) in [("dialogs", 50), ("flows", 20), ("transactions", 20), ("sightings", 20)] {
        let table = format!("affinity_{table}");
        assert_eq!(scene.number(HELD, &table), most, "{table}");
        assert_eq!(scene.number(TURNED_AWAY, &table), 1000 - most, "{table}");
    }
    assert_eq!(scene.report().services[0].dialogs, 1000);
}

#[test]
fn what_is_over_leaves_by_itself_and_is_not_counted_as_turned_away() {
    let mut scene = Scene::new("");
    for number in 0..500 {
        pair(&mut scene, u64::from(number) * 1_000_000, number, 0, 0, number);
    }
    // Nobody answered any: they are over with their requests.
    scene.pass(31);
    assert_eq!(scene.number(HELD, "affinity_dialogs"), 500);
    scene.pass(2);
    scene.pass(64);
    for table in ["affinity_dialogs", "affinity_transactions"] {
        assert_eq!((scene.number(HELD, table), scene.number(TURNED_AWAY, table)), (0, 0), "{table}");
    }
}

#[test]
fn a_call_is_forgotten_a_minute_after_its_end_and_half_a_day_without_one() {
    let mut scene = Scene::new("");
    scene.play(
        "0.0 client -> vip INVITE call=a => pod1
         0.1 client <- vip 200 call=a tag=b <= pod1
         0.2 client -> vip INVITE call=c => pod1
         0.3 client <- vip 200 call=c tag=d <= pod1
         9.0 client -> vip BYE call=a => pod1
         9.1 client <- vip 481 call=a of=BYE <= pod1",
    );
    let held = |scene: &Scene| scene.number(HELD, "affinity_dialogs");
    scene.pass(63);
    assert_eq!(held(&scene), 2);
    scene.pass(2);
    assert_eq!(held(&scene), 1);
    scene.pass(12 * 3600);
    assert_eq!(held(&scene), 0);
}
