//! What records of calls take of memory: an allocator counts the bytes that are held, and how often it is asked.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pipeline::labels::Name;
use pipeline::{CallsWanted, Carrier, Facts, FrameBatch, Networks, Processor, SipFrame};
use processor_dialog::{Config, Dialogs};
use wire::Timestamp;

struct Counting;

// Of each thread alone: tests run beside each other.
thread_local! {
    /// Bytes this thread holds; below 0 where it gave back what another one took.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// How often this thread asked for memory.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get() + layout.size() as isize);
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An ordinary call; `@` stands for its number. The last two lines end it.
const CALL: &str = "
    0.000 alice -> bob INVITE sdp from=sip:+493012345678@carrier.example to=sip:+498987654321@carrier.example ua=\"Yealink SIP-T46S 66.84.0.15\" call=a84b4c76@-66710-192.0.2.10 branch=z9hG4bK-524287-1-@
    0.001 alice <- bob 100 call=a84b4c76@-66710-192.0.2.10
    0.100 alice <- bob 180 call=a84b4c76@-66710-192.0.2.10
    2.000 alice <- bob 200 sdp call=a84b4c76@-66710-192.0.2.10
    2.010 alice -> bob ACK call=a84b4c76@-66710-192.0.2.10 branch=z9hG4bK-524287-2-@
    9.000 alice -> bob BYE call=a84b4c76@-66710-192.0.2.10 branch=z9hG4bK-524287-3-@
    9.010 alice <- bob 200 call=a84b4c76@-66710-192.0.2.10 of=BYE";

const CALLS: usize = 5000;
const EPOCH: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

/// A batch of one message, or of none.
fn fill(batch: &mut FrameBatch, step: Option<&ladder::Step>, now: Duration) {
    batch.clear();
    batch.now = EPOCH + now;
    let Some(step) = step else { return };
    batch.push(&step.bytes, SipFrame::datagram(step.source, step.destination, batch.now));
}

/// Bytes held for each of [`CALLS`] calls while they are up, when all of their messages were seen, and in all when
/// every call is over and forgotten.
fn held(wanted: Option<CallsWanted>) -> [usize; 3] {
    held_by(Dialogs::new(Config::default(), wanted), CALLS)
}

/// The same of a processor, and of that many calls.
fn held_by(mut dialogs: Dialogs, calls: usize) -> [usize; 3] {
    let traffic: Vec<Vec<ladder::Step>> =
        (0..calls).map(|number| ladder::play(&CALL.replace('@', &format!("{number:06}")))).collect();
    let mut facts = Facts::default();
    let mut batch = FrameBatch::default();
    let mut take = |message: Option<usize>, now: Duration, dialogs: &mut Dialogs| {
        for call in &traffic {
            fill(&mut batch, message.map(|message| &call[message]), now);
            facts.clear();
            if message.is_none() {
                // What it grew to is not the processor's.
                facts = Facts::default();
            }
            dialogs.process(&batch, &mut facts);
        }
    };
    // Room that is reused, and what every process has.
    take(None, Duration::ZERO, &mut dialogs);
    let before = HELD.get();
    let since = || usize::try_from(HELD.get() - before).unwrap_or_default();
    let times: Vec<Duration> = traffic[0].iter().map(|step| step.at).collect();
    let mut play = |messages: std::ops::Range<usize>, dialogs: &mut Dialogs| {
        messages.for_each(|message| take(Some(message), times[message], dialogs));
        since() / calls
    };
    let up = play(0..5, &mut dialogs);
    let over = play(5..7, &mut dialogs);
    take(None, Duration::from_secs(100_000), &mut dialogs);
    take(None, Duration::from_secs(200_000), &mut dialogs);
    [up, over, since()]
}

#[test]
fn a_call_takes_at_most_420_bytes_in_the_32_s_after_its_answer_up_or_over() {
    // So many that the reserve of empty pages is little beside them.
    let [up, over, _] = held_by(Dialogs::new(Config::default(), None), 4 * CALLS);
    println!("{up} bytes while it is up, {over} when it is over");
    assert!(up <= 420 && over <= 420, "{up} bytes while it is up, {over} when it is over");
}

#[test]
fn a_call_with_its_ladder_takes_at_most_2_kib_and_gives_all_of_it_back() {
    let without = held(None);
    let wanted = CallsWanted { instance: "tests".into(), requests: true, pieces: true, number: None, watched: false };
    let with = held(Some(wanted));
    let up = with[0] - without[0];
    // While it is on record it does not rest; what its BYE adds to the tables is in this too.
    let over = with[1] - without[0];
    println!("{up} bytes while it is up, {over} when it is over; {without:?} without records");
    assert!(up <= 2048 && over <= 2560, "{up} bytes while it is up, {over} when it is over");
    // A reserve of pages, the same however many calls there were.
    let after = with[2].max(without[2]);
    assert!(after <= 2 << 20, "{after} bytes are held for nothing");
}

/// Every address is in the network of one carrier.
#[derive(Debug)]
struct Everywhere(Arc<str>);

impl Networks for Everywhere {
    fn carrier_of(&self, _: IpAddr) -> Option<Carrier<'_>> {
        Some(Carrier { name: Name(0), text: &self.0 })
    }
}

#[test]
fn an_attempt_over_a_trunk_takes_64_bytes() {
    let without = held(None);
    let mut dialogs = Dialogs::new(Config::default(), None);
    dialogs.set_networks(Some(Arc::new(Everywhere("carrier".into()))));
    let with = held_by(dialogs, CALLS);
    // In one direction and in the other.
    let each = (with[0] - without[0]) / 2;
    println!("{each} bytes while its call is up; {without:?} without carriers, {with:?} with them");
    // Places come in pages, the last of which is not full.
    assert!(each <= 66, "{each} bytes");
}

/// How often the allocator is asked for each call, from its first message until its record has left.
fn asked(wanted: CallsWanted) -> usize {
    let calls: Vec<Vec<ladder::Step>> =
        (0..200).map(|number| ladder::play(&CALL.replace('@', &format!("{number:06}")))).collect();
    let (mut dialogs, mut facts) = (Dialogs::new(Config::default(), Some(wanted)), Facts::default());
    let mut batch = FrameBatch::default();
    let (warm, counted) = calls.split_at(100);
    let mut at = Duration::ZERO;
    let mut play = |calls: &[Vec<ladder::Step>]| {
        let before = ASKED.get();
        let mut left = 0;
        for call in calls {
            for step in call.iter().map(Some).chain([None]) {
                let since = step.map_or(Duration::from_secs(20), |step| step.at);
                fill(&mut batch, step, at + since);
                facts.clear();
                dialogs.process(&batch, &mut facts);
            }
            left += facts.calls.len();
            at += Duration::from_secs(20);
        }
        assert_eq!(left, calls.len());
        ASKED.get() - before
    };
    play(warm);
    play(counted) / counted.len()
}

#[test]
fn a_record_asks_the_allocator_for_its_parts_and_nothing_else() {
    let wanted = CallsWanted { instance: "tests".into(), requests: true, pieces: true, number: None, watched: false };
    let ladder = asked(wanted.clone());
    let headers = asked(CallsWanted { watched: true, ..wanted });
    println!("{ladder} times for a call, {headers} with header fields");
    assert!(ladder <= 22 && headers <= 31, "{ladder} times for a call, {headers} with header fields");
}

/// What records are counted with is what they take, give or take a third: a flood stays within what it is given.
#[test]
fn records_of_a_flood_take_what_they_are_given() {
    let wanted = CallsWanted { instance: "tests".into(), requests: true, pieces: true, number: None, watched: false };
    let most = 4 << 20;
    let calls = call_records::Config { max_record_memory: most, ..call_records::Config::default() };
    let config = Config { calls, ..Config::default() };
    let [mut with, mut without] = [Some(wanted), None].map(|wanted| Dialogs::new(config.clone(), wanted));
    let flood = |dialogs: &mut Dialogs| {
        let (mut facts, mut batch) = (Facts::default(), FrameBatch::default());
        let before = HELD.get();
        for number in 0..20_000 {
            let step = &ladder::play(&format!("0.0 alice -> bob INVITE call=flood{number:06}@host.example"))[0];
            fill(&mut batch, Some(step), Duration::from_micros(number));
            facts.clear();
            dialogs.process(&batch, &mut facts);
        }
        drop((facts, batch));
        usize::try_from(HELD.get() - before).unwrap_or_default()
    };
    let bare = flood(&mut without);
    let records = flood(&mut with) - bare;
    println!("{records} bytes of {most}");
    assert!((most / 2..most + most / 3).contains(&records), "{records} bytes where {most} are given");
}
