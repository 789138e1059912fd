//! 2.5: forks, above the tap and seen from below.

use crate::expect::{expect, expect_so_far};

#[test]
fn a_fork_above_the_tap_is_one_transaction_with_several_tags() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 180 tag=b1
         0.2 alice <- bob 180 tag=b2
         2.0 alice <- bob 200 tag=b2
         2.1 alice -> bob ACK ttag=b2
        33.9 alice -> bob crlf",
        "180_total 2; dialogs{state=early} 1; dialogs{state=confirmed} 1; srd_seconds{result=success} n=2 sum=0.3
         session_outcomes_total{outcome=answered} 1; sessions 1",
    );
}

#[test]
fn early_dialogs_of_losing_branches_end_32_seconds_after_the_answer() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 180 tag=b1
         0.2 alice <- bob 180 tag=b2
         2.0 alice <- bob 200 tag=b2
        34.0 alice -> bob crlf",
        "dialogs{state=early} 0; dialogs{state=confirmed} 1; ack_missing_total 1; sessions_ended_total{end=bye} 0",
    );
}

#[test]
fn two_answers_by_fork_are_two_sessions_of_one_attempt() {
    expect(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200 tag=b1
         1.1 alice <- bob 200 tag=b2
         1.2 alice -> bob ACK ttag=b1
         1.3 alice -> bob ACK ttag=b2
         1.4 alice -> bob BYE ttag=b2
         1.5 alice <- bob 200 of=BYE",
        "session_attempts_total 1; session_outcomes_total{outcome=answered} 1; ser 100; dialogs{state=confirmed} 1
         sessions 1; sdc_total 0; sessions_ended_total{end=bye} 1; sessions_completed_rfc6076_total 0
         srd_seconds{result=success} n=2 sum=2.1; answer_delay_seconds n=1 sum=1; spd n=0; sdt_seconds{result=success} n=0",
    );
}

const TWO_LEGS: &str = "
    0.000 proxy -> bob INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
    0.001 proxy -> carol INVITE via=proxy/z9hG4bK2,alice/z9hG4bK0 ftag=a cseq=1\n";

#[test]
fn legs_seen_from_below_wait_for_each_other_and_then_two_seconds() {
    let both = format!(
        "{TWO_LEGS}
         0.500 proxy <- bob 503 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
         1.000 proxy <- carol 486 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c\n"
    );
    expect_so_far(
        &format!("{both} 2.9 alice -> bob crlf"),
        "session_outcomes_total{outcome=busy} 0; 503_total 1; 486_total 1",
    );
    // 486 is of the lower class; the decision is dated by the last final.
    expect(
        &format!("{both} 3.0 alice -> bob crlf"),
        "session_outcomes_total{outcome=busy} 1; iss_total 0; srd_seconds{result=failure} n=1 sum=1; invite_total 1",
    );
}

#[test]
fn a_6xx_wins_over_any_other_failure() {
    expect(
        &format!(
            "{TWO_LEGS}
             0.500 proxy <- bob 404 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
             1.000 proxy <- carol 603 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c
             3.000 alice -> bob crlf"
        ),
        "session_outcomes_total{outcome=declined} 1",
    );
}

#[test]
fn within_a_class_a_challenge_goes_before_an_earlier_refusal() {
    expect(
        &format!(
            "{TWO_LEGS}
             0.500 proxy <- bob 404 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
             1.000 proxy <- carol 407 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c
            60.999 alice -> bob crlf"
        ),
        "session_outcomes_total{outcome=client_error} 0; session_outcomes_total{outcome=challenge_abandoned} 0",
    );
}

#[test]
fn an_answer_on_any_leg_decides_at_once() {
    expect(
        &format!(
            "{TWO_LEGS}
             0.500 proxy <- bob 486 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
             1.000 proxy <- carol 200 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c"
        ),
        "session_outcomes_total{outcome=answered} 1; ser 100; 486_total 1; invite_total 1",
    );
}

#[test]
fn a_new_leg_within_the_hold_is_waited_for() {
    expect(
        "0.000 proxy -> bob INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
         1.000 proxy <- bob 480 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
         2.500 proxy -> carol INVITE via=proxy/z9hG4bK2,alice/z9hG4bK0 ftag=a cseq=1
         5.000 proxy <- carol 200 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c",
        "session_outcomes_total{outcome=no_answer} 0; session_outcomes_total{outcome=answered} 1; invite_total 1
         answer_delay_seconds n=1 sum=5",
    );
}

#[test]
fn a_leg_that_never_answers_does_not_hide_the_others_failure() {
    expect(
        &format!(
            "{TWO_LEGS}
             0.500 proxy <- bob 486 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
            32.001 alice -> bob crlf"
        ),
        "session_outcomes_total{outcome=busy} 1; transaction_timeouts_total{method=INVITE} 0
         srd_seconds{result=failure} n=1 sum=0.5",
    );
}

#[test]
fn the_callers_next_invite_forces_the_decision() {
    expect(
        "0.000 proxy -> bob INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
         1.000 proxy <- bob 407 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
         1.100 proxy -> bob INVITE via=proxy/z9hG4bK3,alice/z9hG4bK4 ftag=a cseq=2
         1.500 proxy <- bob 200 via=proxy/z9hG4bK3,alice/z9hG4bK4 tag=c",
        "session_attempts_total 1; session_outcomes_total{outcome=answered} 1; invite_total 2; ser 50; ser_rfc6076 100
         answer_delay_seconds n=1 sum=1.5",
    );
}

#[test]
fn a_leg_with_one_via_is_decided_by_its_first_final() {
    expect(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 480",
        "session_outcomes_total{outcome=no_answer} 1",
    );
}
