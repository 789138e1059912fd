//! SIPp as a queue: what is told of its callers (`sip-metrics.md` 4.8).

use integration::flows::{self, refused};
use integration::gate;
use integration::ringside::{Config, Ringside};
use integration::sipp::scenario::Scenario;
use integration::sipp::{Load, exchange};
use testnet::Family;

use crate::stage::{CALLS, loopback, namespace};

/// [`CALLS`] as a metric shows it.
const N: f64 = CALLS as f64;

#[test]
fn callers_of_a_queue_are_told_apart_by_how_their_wait_ended() {
    let Some(_pass) = gate::shared("queues") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    // One that answers, plays music, and is left; one that hangs up; one that transfers; one that says 182; one that is full.
    for (flow, end, waited) in [
        (Scenario::new(flows::ANSWERED), "abandoned", 0.3),
        (Scenario::new(flows::CALLEE_HANGS_UP), "ended", 0.2),
        (Scenario::new(flows::TRANSFERRED), "served", 0.3),
        (Scenario::new(flows::QUEUED), "abandoned", 0.3),
        (refused(486), "refused", 0.0),
    ] {
        let queues = "queues = [{ name = \"none\", match = \"nobody\" }, { name = \"line\", match = '^sip:callee@' }]";
        let ringside = Ringside::start(&namespace, &Config::on("lo").dialog(queues));
        let counts = exchange(&flow, place.caller, place.callee, Load::of(CALLS));
        let calls = format!("queue_calls_total{{queue=\"line\",end=\"{end}\"}}");
        ringside.reaches(&calls, N);
        let scrape = ringside.settled(counts.packets());
        scrape.assert([(calls.as_str(), N), ("queue_calls_total", N), ("queue_waiting", 0.0)]);
        let wait = scrape.value(&format!("queue_wait_seconds_sum{{queue=\"line\",end=\"{end}\"}}"));
        let mean = wait.expect("a histogram with samples") / N;
        assert!((waited * 0.99..waited + 2.0).contains(&mean), "{end}: {mean} s on average");
    }
}
