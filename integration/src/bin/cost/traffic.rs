//! Answered calls at an even rate, from datagrams made beforehand: nobody waits for anybody, so the rate holds whatever
//! else the machine does, and what was sent is known to the last message.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use integration::sipp::{Counts, Load};
use ladder::Step;
use testnet::Namespace;

/// In place of the number of a call.
const NUMBER: &str = "00number00";

/// What a call is, its times in milliseconds.
const CALL: &str = "
      0.000 alice@127.0.0.1:5061 -> bob@127.0.0.1:5060 INVITE sdp ua=\"SIPp 3.7\" call=NUMBER-66710-192.0.2.10 branch=z9hG4bK-i-NUMBER
      0.001 alice <- bob 100 call=NUMBER-66710-192.0.2.10
      0.002 alice <- bob 180 call=NUMBER-66710-192.0.2.10
      0.100 alice <- bob 200 sdp call=NUMBER-66710-192.0.2.10
      0.101 alice -> bob ACK call=NUMBER-66710-192.0.2.10 branch=z9hG4bK-a-NUMBER
      0.400 alice -> bob BYE call=NUMBER-66710-192.0.2.10 branch=z9hG4bK-b-NUMBER
      0.401 alice <- bob 200 call=NUMBER-66710-192.0.2.10 of=BYE";

/// Messages before the BYE.
pub const UP: usize = 5;

/// The messages of calls of which only the first so many are sent.
pub fn call(messages: usize) -> Vec<Step> {
    let mut steps = ladder::play(&CALL.replace("NUMBER", NUMBER));
    steps.truncate(messages);
    steps
}

/// One message of a call.
pub fn bytes(step: &Step, call: u32) -> Vec<u8> {
    let text = std::str::from_utf8(&step.bytes).expect("ladders are text");
    text.replace(NUMBER, &format!("{call:010}")).into_bytes()
}

/// Places them. Returns what was sent, as SIPp would count it.
pub fn place(namespace: &Namespace, load: Load) -> Counts {
    let steps = call(usize::MAX);
    namespace.run(|| {
        let [alice, bob] = [5061, 5060].map(|port| UdpSocket::bind(("127.0.0.1", port)).expect("ports are free here"));
        let late =
            |step: &Step| u64::try_from(step.at.as_millis()).expect("milliseconds") * u64::from(load.rate) / 1000;
        let begun = Instant::now();
        let longest = steps.iter().map(late).max().unwrap_or(0);
        for tick in 0..u64::from(load.calls) + longest {
            let due = Duration::from_secs_f64(tick as f64 / f64::from(load.rate));
            // Coarser than the clock of sleeping threads, finer than a scrape.
            if let Some(early) = due.checked_sub(begun.elapsed()).filter(|early| *early > Duration::from_millis(1)) {
                thread::sleep(early);
            }
            for step in &steps {
                let Some(number) = tick.checked_sub(late(step)).and_then(|number| u32::try_from(number).ok()) else {
                    continue;
                };
                if number < load.calls {
                    let from = if step.source.port() == 5060 { &bob } else { &alice };
                    from.send_to(&bytes(step, number), step.destination).expect("loopback takes it");
                }
            }
        }
    });
    let calls = u64::from(load.calls);
    let names = ["INVITE", "100", "180", "200", "ACK", "BYE"];
    let sent: BTreeMap<_, _> =
        names.map(|name| (name.to_owned(), if name == "200" { 2 * calls } else { calls })).into();
    Counts { sent, resent: BTreeMap::new() }
}
