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
