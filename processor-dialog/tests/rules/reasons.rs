//! 4.6 `reason_total`: Reason values, and causes derived from statuses.

use processor_dialog::Config;

use crate::expect::{expect, expect_with};

#[test]
fn every_value_counts_once_per_request() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 180
         1.0 alice -> bob CANCEL reason=\"SIP;cause=200;text=\\\"elsewhere\\\", Q.850;cause=26\"
         1.5 alice -> bob CANCEL again
         1.6 alice <- bob 487 of=INVITE reason=\"Q.850;cause=16\"
         2.1 alice <- bob 487 again",
        "reason_total{protocol=SIP,cause=200} 1; reason_total{protocol=Q.850,cause=26} 1; reason_total{protocol=Q.850,cause=16} 1",
    );
}

#[test]
fn a_bye_may_say_why() {
    expect("0.0 alice -> bob BYE ttag=b cseq=2 reason=\"Q.850 ;cause=38\"", "reason_total{protocol=Q.850,cause=38} 1");
}

#[test]
fn a_provisional_or_a_success_counts_none() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 183 reason=\"Q.850;cause=1\"
         0.9 alice <- bob 200 reason=\"Q.850;cause=2\"",
        "reason_total{protocol=Q.850,cause=1} 0; reason_total{protocol=Q.850,cause=2} 0",
    );
}

#[test]
fn a_status_stands_for_a_cause_only_where_configured_and_nothing_better_is_given() {
    let ladder = "0.0 alice -> bob INVITE
                  0.5 alice <- bob 486";
    expect(ladder, "reason_total{protocol=derived,cause=17} 0");
    let config = || Config { derive_causes: true, ..Config::default() };
    expect_with(config(), ladder, "reason_total{protocol=derived,cause=17} 1");
    expect_with(
        config(),
        "0.0 alice -> bob INVITE\n 0.5 alice <- bob 486 reason=\"Q.850;cause=19\"",
        "reason_total{protocol=derived,cause=17} 0; reason_total{protocol=Q.850,cause=19} 1",
    );
}

#[test]
fn every_final_of_a_fork_but_only_the_first_counts_its_reasons_and_challenges_do_too() {
    expect(
        "0.0 proxy -> bob INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
         0.1 proxy -> carol INVITE via=proxy/z9hG4bK2,alice/z9hG4bK0 ftag=a cseq=1
         0.5 proxy <- bob 486 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b reason=\"Q.850;cause=17\"
         1.0 proxy <- carol 503 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c reason=\"Q.850;cause=34\"",
        "reason_total{protocol=Q.850,cause=17} 1; reason_total{protocol=Q.850,cause=34} 0",
    );
    expect(
        "0.0 alice -> bob OPTIONS
         0.1 alice <- bob 503 reason=\"SIP;cause=503, Q.850;cause=41\" hdr=\"Reason: X;cause=3\"",
        "reason_total{protocol=SIP,cause=503} 1; reason_total{protocol=Q.850,cause=41} 1",
    );
}

#[test]
fn what_a_hop_below_says_is_not_counted_again() {
    expect(
        "0.0 alice -> proxy INVITE
         0.1 proxy -> bob INVITE fwd
         0.5 proxy <- bob 404 reason=\"Q.850;cause=1\"
         0.6 alice <- proxy 404 fwd
         0.7 alice -> proxy BYE ttag=b cseq=9 reason=\"Q.850;cause=16\"
         0.8 proxy -> bob BYE fwd
         0.9 alice -> proxy INFO ttag=b cseq=10 reason=\"Q.850;cause=99\"",
        "reason_total{protocol=Q.850,cause=1} 1; reason_total{protocol=Q.850,cause=16} 1; reason_total{protocol=Q.850,cause=99} 0",
    );
}
