//! Whatever comes, in whatever order: nothing panics, no gauge is ever negative, and when everything is long over
//! nothing is held any more.

use std::time::Duration;

use ladder::Step;
use processor_dialog::Config;
use proptest::prelude::*;

use crate::expect::{Labelled, Player};

/// Calls that share Call-ID and tags as far as possible, so that what is shuffled still meets.
const CALLS: [&str; 4] = [
    // A challenged call over a proxy, ringing, cancelled, answered on a fork, refreshed, hung up by both.
    "0 alice -> proxy INVITE ftag=a cseq=1
     0 alice <- proxy 407 tag=x reason=\"Q.850;cause=21\"
     0 alice -> proxy ACK
     0 alice -> proxy INVITE ftag=a cseq=2 se=90
     0 proxy -> bob INVITE fwd
     0 proxy -> carol INVITE via=proxy/z9hG4bKfork,alice cseq=2 ftag=a
     0 proxy <- bob 180 tag=b rseq=1
     0 alice <- proxy 180 fwd
     0 alice -> proxy PRACK ftag=a ttag=b cseq=3
     0 alice <- proxy 481 of=PRACK
     0 proxy <- carol 183 tag=c
     0 alice -> proxy CANCEL cseq=2
     0 alice <- proxy 200 of=CANCEL
     0 proxy <- carol 200 of=INVITE tag=c
     0 proxy <- bob 200 of=INVITE tag=b se=90
     0 alice <- proxy 200 fwd of=INVITE
     0 alice <- proxy 487 of=INVITE tag=b
     0 alice -> bob ACK ftag=a ttag=b cseq=2
     0 alice -> bob UPDATE ftag=a ttag=b cseq=4
     0 alice <- bob 200 of=UPDATE
     0 alice -> bob INVITE ftag=a ttag=b cseq=5
     0 alice <- bob 491 of=INVITE tag=b
     0 alice -> bob INFO ftag=a ttag=b cseq=6
     0 alice <- bob 408 of=INFO
     0 alice -> bob BYE ftag=a ttag=b cseq=7
     0 alice <- bob 401 of=BYE
     0 alice -> bob BYE ftag=a ttag=b cseq=8
     0 bob -> alice BYE ftag=b ttag=a cseq=1
     0 bob <- alice 481 of=BYE
     0 alice <- bob 200 of=BYE",
    // Redirected, refused by two legs seen from below, answered late.
    "0 alice -> bob INVITE ftag=a cseq=1
     0 alice <- bob 302
     0 proxy -> bob INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=2
     0 proxy -> carol INVITE via=proxy/z9hG4bK2,alice/z9hG4bK0 ftag=a cseq=2
     0 proxy <- bob 486 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b cseq=2
     0 proxy <- carol 503 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c cseq=2
     0 proxy <- carol 200 of=INVITE via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c cseq=2
     0 alice -> proxy INVITE via=alice/z9hG4bK0 ftag=a cseq=2",
    // The same branch under other requests: keys that disagree.
    "0 alice -> bob INVITE branch=z9hG4bKsame ftag=a cseq=1
     0 alice <- bob 180 tag=b
     0 alice -> bob INVITE branch=z9hG4bKsame ftag=a cseq=9
     0 alice -> bob BYE branch=z9hG4bKsame ftag=a ttag=b cseq=2
     0 alice <- bob 200 of=BYE
     0 alice -> bob OPTIONS branch=- ftag=- cseq=1
     0 alice <- bob 200 of=OPTIONS tag=-
     0 alice -> bob BYE branch=- ftag=a ttag=- cseq=3
     0 alice <- bob 481 of=BYE tag=-
     0 alice <- bob 202 of=INVITE tag=- cseq=1",
    "0 alice -> registrar REGISTER cseq=1
     0 alice <- registrar 401
     0 alice -> registrar REGISTER cseq=2
     0 alice <- registrar 302
     0 alice -> registrar REGISTER cseq=3
     0 alice <- registrar 200 contact=\"<sip:1@a>;expires=60, <sip:2@a>;expires=90\"
     0 alice -> registrar REGISTER cseq=4
     0 alice <- registrar 423
     0 alice -> registrar REGISTER cseq=5
     0 alice <- registrar 200 contact=none cseq=5",
];

/// Time that passes before a message: within a transaction, and across each timer.
const PAUSES: [u64; 12] = [0, 0, 1, 5, 20, 100, 500, 2_000, 31_999, 32_000, 60_000, 185_000];

#[derive(Clone, Debug)]
pub struct Played {
    pub call: usize,
    /// Where the message stands in its call.
    pub message: usize,
    /// Milliseconds before it.
    pub pause: u64,
}

pub fn played() -> impl Strategy<Value = Vec<Played>> {
    // Mostly in order, with gaps, repeats and steps back.
    let one = (
        0..CALLS.len(),
        prop::sample::select(vec![0usize, 0, 1, 1, 1, 1, 1, 2, 3, 29]),
        prop::sample::select(PAUSES.to_vec()),
    );
    prop::collection::vec(one, 1..150).prop_map(|steps| {
        let mut next = [0usize; CALLS.len()];
        steps
            .into_iter()
            .map(|(call, by, pause)| {
                next[call] += by;
                Played { call, message: next[call], pause }
            })
            .collect()
    })
}

/// The calls, each under a Call-ID of its own, as messages.
pub fn calls() -> Vec<Vec<Step>> {
    let named =
        |(i, call): (usize, &&str)| -> String { call.lines().map(|line| format!("{line} call=c{i}\n")).collect() };
    CALLS.iter().enumerate().map(|call| ladder::play(&named(call))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn gauges_are_never_negative_ratios_keep_their_order_and_in_the_end_nothing_is_held(
        messages in played(),
        max_calls in prop::sample::select(vec![1usize, 2, 3, 1000]),
    ) {
        let calls = calls();
        let mut player = Player::new(Config { max_calls, ..Config::default() }, Labelled::Yes);
        let mut now = Duration::ZERO;
        for (i, played) in messages.into_iter().enumerate() {
            now += Duration::from_millis(played.pause);
            let call = &calls[played.call];
            player.take(now, Some(call[played.message % call.len()].clone()));
            if i % 8 == 0 {
                check(&player)?;
            }
        }
        // Longer than any timer: a day for a dialog without session timer.
        for _ in 0..4 {
            now += Duration::from_secs(100_000);
            player.take(now, None);
        }
        check(&player)?;
        for (table, held) in player.held() {
            prop_assert_eq!((table.as_str(), held), (table.as_str(), 0.0));
        }
        for (series, value) in player.exported().numbers() {
            if GAUGES.iter().any(|gauge| series.starts_with(gauge)) {
                prop_assert_eq!((series, value), (series, 0.0));
            }
        }
    }
}

/// What holds at any time (`sip-metrics.md` 4.3).
fn check(player: &Player) -> Result<(), TestCaseError> {
    let exported = player.exported();
    let numbers: std::collections::BTreeMap<&str, f64> = exported.numbers().collect();
    for (series, value) in &numbers {
        prop_assert!(*value >= 0.0, "{} is {}", series, value);
        for (greater, smaller) in ORDER {
            if let Some(labels) = series.strip_prefix(smaller).filter(|labels| labels.starts_with('{'))
                && let Some(other) = numbers.get(format!("{greater}{labels}").as_str())
            {
                prop_assert!(other >= value, "{} is {}, {} is {}", greater, other, series, value);
            }
        }
    }
    Ok(())
}

const GAUGES: [&str; 3] = ["dialogs{", "sessions{", "registrations_active{"];

/// The first is never below the second.
const ORDER: [(&str, &str); 8] = [
    ("seer", "ser"),
    ("ser", "asr"),
    ("asr", "scr"),
    ("seer_rfc6076", "ser_rfc6076"),
    ("ser_rfc6076", "asr_e425"),
    ("asr_e425", "scr_rfc6076"),
    ("ner_e425", "asr_e425"),
    ("invite_total", "invite_initial_total"),
];
