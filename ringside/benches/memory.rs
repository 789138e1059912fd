//! What calls take of memory: 10,000, 100,000 and 1,000,000 of them, up, then over, then forgotten.
//!
//! `cargo bench -p ringside --bench memory -- NUMBER [trunks]`. Bytes asked of the allocator, which is the program's, and
//! resident ones; what one number leaves resident, the next one in a run has at hand. `trunks`: each call goes over two.

#[path = "../src/allocator.rs"]
mod allocator;

use std::alloc::{GlobalAlloc, Layout};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use allocator::Allocator;
use ladder::traffic::Traffic;
use pipeline::settings::Problems;
use pipeline::{Facts, FrameBatch, Processor, SipFrame};
use processor_dialog::{Config, Dialogs};
use processor_enrich::{Carrier, Enrich};
use wire::Timestamp;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the program's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { Allocator.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { Allocator.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An ordinary call: it begins, it ends.
const BEGIN: &str = "
    0.000 alice -> bob INVITE sdp ua=\"Yealink SIP-T46S 66.84.0.15\" call=@ branch=z9hG4bK-i@ cseq=1 ftag=f@
    0.000 alice <- bob 100 call=@
    0.000 alice <- bob 180 call=@ tag=t@
    0.000 alice <- bob 200 sdp call=@ tag=t@
    0.000 alice -> bob ACK call=@ branch=z9hG4bK-a@";
const END: &str = "
    0.000 alice -> bob BYE call=@ branch=z9hG4bK-b@ cseq=2 ftag=f@ ttag=t@
    0.000 alice <- bob 200 call=@ of=BYE";

struct Shard {
    dialogs: Dialogs,
    facts: Facts,
    batch: FrameBatch,
}

impl Shard {
    fn new(calls: usize, trunks: bool) -> Self {
        let config = Config { max_calls: calls.max(500_000), ..Config::default() };
        let mut dialogs = Dialogs::new(config, None);
        if trunks {
            let carrier = |name: &str, cidr: &str| Carrier { name: name.into(), cidrs: vec![cidr.into()] };
            let carriers = vec![carrier("home", "192.0.2.0/24"), carrier("east", "198.51.100.0/24")];
            let labels = processor_enrich::Config { carriers, ..processor_enrich::Config::default() };
            let labels = labels.check(&mut Problems::default()).expect("sound settings");
            dialogs.set_networks(Enrich::new(labels, Arc::default()).networks());
        }
        Self { dialogs, facts: Facts::default(), batch: FrameBatch::default() }
    }

    /// So many calls go on by what `ladder` says, one after another, so many a second.
    fn play(&mut self, ladder: &str, calls: usize, per_second: u64) {
        let start = self.batch.now;
        let mut traffic = Traffic::new(ladder, per_second);
        for _ in 0..calls {
            let at = start + traffic.now();
            let batch = &mut self.batch;
            batch.clear();
            batch.now = at;
            traffic.next_call(|bytes, source, destination| {
                batch.push(bytes, SipFrame::datagram(source, destination, at));
            });
            self.facts.clear();
            self.dialogs.process(&self.batch, &mut self.facts);
        }
    }

    /// Time passes without a message.
    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds * 100 {
            self.batch.clear();
            self.batch.now = self.batch.now + Duration::from_millis(10);
            self.facts.clear();
            self.dialogs.process(&self.batch, &mut self.facts);
        }
    }
}

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let trunks = std::env::args().any(|arg| arg == "trunks");
    let numbers = if asked.is_empty() { vec![10_000, 100_000, 1_000_000] } else { asked };
    println!("bytes per call: asked of the allocator / resident");
    println!("calls      up for a moment   up for 40 s       over              (of which all are forgotten: MiB)");
    for calls in numbers {
        let mut shard = Shard::new(calls, trunks);
        shard.batch.now = Timestamp::from_nanos(1_767_225_600_000_000_000);
        let before = (HELD.load(Ordering::Relaxed), resident());
        let per_call = || {
            let (held, resident) = (HELD.load(Ordering::Relaxed), resident());
            format!("{:>6} / {:<6}", held.saturating_sub(before.0) / calls, resident.saturating_sub(before.1) / calls)
        };
        shard.play(BEGIN, calls, 20_000);
        shard.wait(3);
        let young = per_call();
        shard.wait(40);
        let up = per_call();
        // Within the 32 s for which all of them are remembered.
        shard.play(END, calls, 100_000);
        let over = per_call();
        shard.wait(40);
        let after = (HELD.load(Ordering::Relaxed).saturating_sub(before.0), resident().saturating_sub(before.1));
        let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        println!("{calls:<10} {young}   {up}   {over}   {:.1} / {:.1}", mib(after.0), mib(after.1));
    }
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize = statm.split(' ').nth(1).and_then(|field| field.parse().ok()).expect("a number of pages");
    pages * 4096
}
