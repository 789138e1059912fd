//! A load that goes on: once as many calls were seen as are then held, the thread of a shard never calls the
//! allocator, and what a day leaves in memory is what its first hour did.
//!
//! The chain is the real one without its receiver: parsed, followed, labelled, counted. No records of calls are made;
//! each of those is memory of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use ladder::traffic::Traffic;
use metrics::Registry;
use metrics::recorder::Recorder;
use pipeline::settings::Problems;
use pipeline::{Facts, FrameBatch, Processor, SipFrame};
use processor_dialog::Dialogs;
use processor_enrich::{Carrier, Enrich, UserAgent};
use wire::Timestamp;

struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it is; the counters have no destructor and allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        HELD.set(HELD.get() + layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An answered call; what follows it is asked between calls.
const CALL: &str = "
    0.000 alice -> proxy INVITE sdp ua=\"Phone 1\" call=@ branch=z9hG4bK-i@ ftag=f@
    0.001 alice <- proxy 100 call=@
    0.100 alice <- proxy 180 call=@ tag=t@
    3.000 alice <- proxy 200 sdp call=@ tag=t@
    3.020 alice -> proxy ACK call=@ branch=z9hG4bK-a@
   20.000 alice -> proxy INVITE call=b@ branch=z9hG4bK-c@ ftag=f@
   20.100 alice <- proxy 183 call=b@ tag=t@
   24.000 alice <- proxy 486 call=b@ tag=t@
   24.010 alice -> proxy ACK call=b@ branch=z9hG4bK-c@
   30.000 bob -> proxy OPTIONS call=o@ branch=z9hG4bK-o@
   30.001 bob <- proxy 200 call=o@
   40.000 bob -> proxy REGISTER call=r@ branch=z9hG4bK-r@ to=sip:@@example.net contact=\"<sip:@@192.0.2.1>;expires=60\"
   40.001 bob <- proxy 200 call=r@ contact=\"<sip:@@192.0.2.1>;expires=60\"
   50.000 alice -> proxy BYE call=@ branch=z9hG4bK-b@
   50.010 alice <- proxy 200 call=@ of=BYE";

/// Everything behind a receiver.
struct Shard {
    traffic: Traffic,
    batch: FrameBatch,
    dialogs: Dialogs,
    enrich: Enrich,
    facts: Facts,
    recorder: Recorder,
}

impl Shard {
    fn new(calls_per_second: u64) -> Self {
        let registry = Registry::new("sip_exporter");
        let labels = processor_enrich::Config {
            carriers: vec![Carrier { name: "east".to_owned(), cidrs: vec!["192.0.2.0/24".to_owned()] }],
            user_agents: vec![UserAgent { regex: "^Phone".to_owned(), label: "phone".to_owned() }],
        };
        let labels = labels.check(&mut Problems::default()).expect("sound settings");
        Self {
            traffic: Traffic::new(CALL, calls_per_second),
            batch: FrameBatch::default(),
            dialogs: Dialogs::new(processor_dialog::Config::default(), None),
            enrich: Enrich::new(labels, Arc::clone(registry.label_sets())),
            facts: Facts::default(),
            recorder: Recorder::new(registry.shard()),
        }
    }

    /// Takes the messages of so many new calls and what happens in old ones meanwhile.
    fn take(&mut self, calls: usize) {
        self.batch.clear();
        for _ in 0..calls {
            let at = EPOCH + self.traffic.now();
            let batch = &mut self.batch;
            batch.now = at;
            self.traffic.next_call(|bytes, source, destination| {
                batch.push(bytes, SipFrame::datagram(source, destination, at));
            });
        }
        self.facts.clear();
        self.dialogs.process(&self.batch, &mut self.facts);
        self.enrich.process(&self.batch, &mut self.facts);
        self.recorder.record(&self.batch, &self.facts);
    }
}

#[test]
fn a_million_messages_of_new_and_old_calls_do_not_call_the_allocator() {
    let mut shard = Shard::new(200);
    let messages = shard.traffic.messages();
    while shard.traffic.now() < Duration::from_secs(180) {
        shard.take(20);
    }
    let mut taken = 0;
    let before = CALLS.get();
    while taken < 1_000_000 {
        shard.take(20);
        taken += 20 * messages;
    }
    assert_eq!(CALLS.get() - before, 0);
}

#[test]
fn a_day_ends_with_the_memory_of_its_first_hour() {
    let mut shard = Shard::new(1);
    let mut peaks = Vec::new();
    for _ in 0..24 {
        let mut peak = 0;
        for _ in 0..3600 {
            shard.take(1);
            peak = peak.max(HELD.get());
        }
        peaks.push(peak);
    }
    assert_eq!(shard.traffic.now(), Duration::from_secs(24 * 3600));
    let (first, last) = (peaks[0], peaks[23]);
    assert!(last <= first + first / 50, "{first} bytes in the first hour, {last} in the last: {peaks:?}");
}

const EPOCH: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);
