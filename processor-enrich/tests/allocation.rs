//! Once pairs of labels and common User-Agents have been seen, giving labels does not call the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use pipeline::settings::Problems;
use pipeline::{Facts, FrameBatch, LabelSets, Processor, Slot};
use processor_enrich::{Carrier, Config, Enrich, UserAgent};

struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it is; the counter has no destructor and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn labels_are_given_without_allocation() {
    let config = Config {
        carriers: (0..50)
            .map(|n| Carrier {
                name: format!("c{n}"),
                cidrs: vec![format!("10.{n}.0.0/16"), format!("2001:db8:{n}::/48")],
            })
            .collect(),
        user_agents: (0..20).map(|n| UserAgent { regex: format!("(?i)^phone.*{n}"), label: format!("p{n}") }).collect(),
    };
    let settings = config.check(&mut Problems::default()).expect("settings");
    let mut enrich = Enrich::new(settings, Arc::new(LabelSets::new()));
    let (batch, mut facts) = (FrameBatch::default(), Facts::default());
    let mut round = |facts: &mut Facts| {
        facts.clear();
        for n in 0..200_u32 {
            let user_agent = [&b"Phone 1"[..], b"PHONE x 19 (beta)", b"Asterisk PBX", b""][n as usize % 4];
            facts.open(Slot(1 + n), [10, (n % 60) as u8, 0, 1].into(), user_agent);
        }
        enrich.process(&batch, facts);
    };
    round(&mut facts);
    let before = CALLS.get();
    for _ in 0..50 {
        round(&mut facts);
    }
    assert_eq!(CALLS.get() - before, 0);
}
