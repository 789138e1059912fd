//! However many shards follow the calls: the same numbers, the same records, the same traces.
//!
//! But for messages of one transaction under two Call-IDs, which no agent may send (RFC 3261 §8.2.6.2): one shard knows
//! them by their branch, several do not see them together.

use std::path::PathBuf;
use std::time::Duration;

use ladder::Step;
use proptest::prelude::*;

use super::known::{Written, own, read, steps, traffic};

/// What several shards make of `captures` and one does not, and the other way round; nothing when it is the same.
fn differences(captures: &[PathBuf]) -> Vec<String> {
    let one = read(captures, 1);
    let differs = |shards| {
        let several = read(captures, shards);
        let series = [only_in(&several.series, &one.series), only_in(&one.series, &several.series)];
        let calls = [only_in(&several.calls, &one.calls), only_in(&one.calls, &several.calls)];
        let same = series.iter().all(Vec::is_empty) && calls.iter().all(Vec::is_empty);
        (!same).then(|| format!("{captures:?}, {shards} shards: {series:?} {calls:?}"))
    };
    [2, 3, 8].into_iter().filter_map(differs).collect()
}

#[track_caller]
fn check(captures: &[PathBuf]) {
    let differences = differences(captures);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Each capture alone.
#[track_caller]
fn check_each(captures: &[PathBuf]) {
    assert!(!captures.is_empty());
    captures.iter().for_each(|capture| check(std::slice::from_ref(capture)));
}

/// The first of them tell enough.
fn only_in<'a, T: PartialEq>(list: &'a [T], other: &[T]) -> Vec<&'a T> {
    list.iter().filter(|element| !other.contains(element)).take(3).collect()
}

#[test]
fn every_vector_comes_to_the_same() {
    let vectors = ["testdata/public-vectors", "testdata/media-vectors", "integration/cases"].map(own).concat();
    check_each(&vectors);
    // Merged by their clocks.
    check(&vectors);
}

/// They are not merged: many tell of the same call.
#[test]
fn every_public_case_comes_to_the_same() {
    check_each(&own("testdata/public-cases"));
}

#[test]
fn every_real_capture_comes_to_the_same() {
    let Some(captures) = corpus::captures("real captures on several shards") else { return };
    let captures: Vec<_> = captures.into_iter().map(|capture| capture.path).collect();
    check_each(&captures);
    check(&captures);
}

#[test]
fn torture_messages_come_to_the_same() {
    let Some(messages) = corpus::files("torture messages on several shards", "captures/torture-rfc4475") else {
        return;
    };
    let [source, destination] = ["alice", "bob"].map(ladder::endpoint::address);
    let step = |(index, path): (u64, PathBuf)| {
        let bytes = std::fs::read(path).expect("a message");
        // Many have one branch: each comes when the others are forgotten.
        Step { at: Duration::from_secs(1000 * index), source, destination, bytes }
    };
    let steps: Vec<Step> = (0..).zip(messages).map(step).collect();
    let capture = Written::new(&steps);
    check(std::slice::from_ref(&capture.0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn random_traffic_comes_to_the_same(traffic in traffic()) {
        let capture = Written::new(&steps(&traffic));
        check(std::slice::from_ref(&capture.0));
    }
}
