//! Calls whose messages are played in any order: what random tests are made of.

use ladder::Step;
use proptest::prelude::*;

/// Calls that share Call-ID and tags as far as possible, so that what is shuffled still meets.
const CALLS: [&str; 6] = [
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
    // The branch of another call, under this one's Call-ID.
    "0 alice -> bob INVITE branch=z9hG4bKsame ftag=a cseq=1
     0 alice <- bob 200 tag=b
     0 alice -> bob ACK ftag=a ttag=b cseq=1
     0 alice -> bob CANCEL branch=z9hG4bKsame ftag=a cseq=1
     0 alice <- bob 200 of=CANCEL
     0 alice -> bob BYE branch=z9hG4bKsame ftag=a ttag=b cseq=2
     0 alice <- bob 200 of=BYE",
    // The most ordinary one, and what is asked between calls.
    "0 alice -> bob INVITE ftag=a cseq=1
     0 alice <- bob 100
     0 alice <- bob 180 tag=b
     0 alice <- bob 200 tag=b
     0 alice -> bob ACK ftag=a ttag=b cseq=1
     0 alice -> bob BYE ftag=a ttag=b cseq=2
     0 alice <- bob 200 of=BYE
     0 alice -> bob OPTIONS ftag=o cseq=1
     0 alice <- bob 200 of=OPTIONS
     0 alice -> bob INVITE ftag=z cseq=1
     0 alice <- bob 183 tag=y
     0 alice <- bob 486 tag=y
     0 alice -> bob ACK ftag=z ttag=y cseq=1",
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
