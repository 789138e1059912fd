//! 3.1 to 3.4, 3.6: dialogs, their ends, the session timer, captures that start in mid-call.

use crate::expect::expect;

/// An answered call; its lines go on at 2 s.
const ANSWERED: &str = "
    0.0 alice -> bob INVITE
    0.5 alice <- bob 180 tag=b
    1.0 alice <- bob 200 tag=b
    1.1 alice -> bob ACK\n";

fn answered(rest: &str) -> String {
    format!("{ANSWERED}{rest}")
}

#[test]
fn a_bye_terminates_and_its_2xx_ends() {
    expect(&answered("9.0 alice -> bob BYE"), "dialogs{state=terminating} 1; dialogs{state=confirmed} 0; sessions 1");
    expect(
        &answered("9.0 alice -> bob BYE\n 9.1 alice <- bob 200"),
        "dialogs{state=terminating} 0; sessions_ended_total{end=bye} 1; sessions_completed_rfc6076_total 1; scr_rfc6076 100
         sdc_total 1; sessions 0; spd n=1 sum=8.1; sdt_seconds{result=success} n=1 sum=8; sdd_seconds{result=success} n=1 sum=0.1
         short_calls_total 0",
    );
}

#[test]
fn the_callee_may_hang_up() {
    expect(
        &answered("5.0 alice <- bob BYE\n 5.2 alice -> bob 200"),
        "sessions_ended_total{end=bye} 1; bye_total 1; short_calls_total 1; sdt_seconds{result=success} n=1 sum=4",
    );
}

#[test]
fn a_481_to_bye_completes_strictly_but_not_by_the_seed() {
    expect(
        &answered("9.0 alice -> bob BYE\n 9.1 alice <- bob 481"),
        "sessions_ended_total{end=481} 1; sessions_completed_rfc6076_total 1; sdc_total 0; sessions 1
         sdd_seconds{result=failure} n=1 sum=0.1; sdt_seconds{result=success} n=1 sum=8; spd n=0",
    );
}

#[test]
fn another_final_to_bye_is_an_error_even_a_408() {
    for status in [408, 500, 503] {
        expect(
            &answered(&format!("9.0 alice -> bob BYE\n 9.1 alice <- bob {status}")),
            "sessions_ended_total{end=bye_error} 1; sessions_completed_rfc6076_total 0; sdd_seconds{result=failure} n=1 sum=0.1
             sdt_seconds{result=success} n=1 sum=8",
        );
    }
}

#[test]
fn a_bye_without_final_times_out() {
    expect(
        &answered("9.0 alice -> bob BYE\n 41.0 alice -> bob crlf"),
        "sessions_ended_total{end=bye_timeout} 1; sdt_seconds{result=failure} n=1 sum=40; sdd_seconds{result=failure} n=0
         sessions 1; sdc_total 0; sessions_completed_rfc6076_total 0; transaction_timeouts_total{method=BYE} 1",
    );
}

#[test]
fn a_challenged_bye_waits_for_the_next() {
    let challenged = answered("9.0 alice -> bob BYE\n 9.1 alice <- bob 407\n");
    expect(
        &format!("{challenged} 10.0 alice -> bob BYE\n 10.5 alice <- bob 200"),
        "sessions_ended_total{end=bye} 1; sdt_seconds{result=success} n=1 sum=8; sdd_seconds{result=success} n=1 sum=1.5; bye_total 2",
    );
    expect(
        &format!("{challenged} 69.0 alice -> bob crlf"),
        "sessions_ended_total{end=bye_error} 0; dialogs{state=terminating} 1",
    );
    expect(
        &format!("{challenged} 69.1 alice -> bob crlf"),
        "sessions_ended_total{end=bye_error} 1; sdt_seconds{result=success} n=0; sdd_seconds{result=failure} n=0",
    );
}

#[test]
fn a_503_with_retry_after_is_recoverable() {
    expect(
        &answered(
            "9.0 alice -> bob BYE\n 9.1 alice <- bob 503 hdr=\"Retry-After: 2\"\n 11.0 alice -> bob BYE\n 11.1 alice <- bob 200",
        ),
        "sessions_ended_total{end=bye} 1; sessions_ended_total{end=bye_error} 0; sdt_seconds{result=success} n=1 sum=8",
    );
}

#[test]
fn of_two_crossing_byes_the_first_counts_for_times_and_the_first_2xx_ends() {
    expect(
        &answered(
            "9.0 alice -> bob BYE branch=z9hG4bKx
             9.1 alice <- bob BYE branch=z9hG4bKy
             9.2 alice -> bob 481 branch=z9hG4bKy
             9.3 alice <- bob 200 branch=z9hG4bKx",
        ),
        "sessions_ended_total{end=bye} 1; sessions_ended_total{end=481} 0; sdt_seconds{result=success} n=1 sum=8
         sdd_seconds{result=success} n=1 sum=0.3; bye_total 2",
    );
}

#[test]
fn a_bye_for_an_early_dialog_is_only_a_request() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 180 tag=b
         0.6 alice -> bob BYE
         0.7 alice <- bob 200 of=BYE",
        "bye_total 1; dialogs{state=early} 1; sessions_ended_total{end=bye} 0",
    );
}

#[test]
fn a_bye_after_the_end_has_no_effect() {
    expect(
        &answered("9.0 alice -> bob BYE\n 9.1 alice <- bob 200\n 12.0 alice <- bob BYE\n 12.1 alice -> bob 200"),
        "bye_total 2; sessions_ended_total{end=bye} 1; sdt_seconds{result=success} n=1 sum=8",
    );
}

/// What a dialog keeps of the BYE that ended it is all that tells these.
#[test]
fn a_bye_and_its_2xx_that_come_again_after_the_end_are_repeats_for_32_seconds() {
    let ended = answered("9.0 alice -> bob BYE\n 9.1 alice <- bob 200\n");
    let again = |at: u32| format!("{at}.0 alice -> bob BYE again\n {at}.1 alice <- bob 200 again of=BYE\n");
    expect(
        &format!("{ended}{}{}", again(10), again(40)),
        "bye_total 1; retransmissions_total{kind=request,hop=first} 2; retransmissions_total{kind=response,hop=first} 2
         sessions_ended_total{end=bye} 1; unmatched_total{kind=response} 0",
    );
    expect(
        &format!("{ended}{}", again(42)),
        "bye_total 2; retransmissions_total{kind=request,hop=first} 0; retransmissions_total{kind=response,hop=first} 0",
    );
    expect(
        &answered("9.0 alice -> proxy BYE\n 9.1 alice <- proxy 200\n 9.2 proxy -> bob BYE fwd"),
        "bye_total 1; retransmissions_total{kind=request,hop=first} 0; sessions_ended_total{end=bye} 1",
    );
}

#[test]
fn a_bye_for_an_unknown_dialog_is_only_a_request() {
    expect(
        "0.0 alice -> bob BYE ttag=b cseq=2
         0.1 alice <- bob 200",
        "bye_total 1; 200_total 1; sessions_ended_total{end=bye} 0; sdc_total 0",
    );
}

#[test]
fn an_answer_to_a_bye_that_was_not_seen_ends_the_session() {
    expect(
        &answered("9.1 alice <- bob 200 branch=z9hG4bKlost cseq=2 of=BYE"),
        "sessions_ended_total{end=bye} 1; sessions 0; sdc_total 1; unmatched_total{kind=response} 1; sdt_seconds{result=success} n=0",
    );
}

#[test]
fn a_rejected_call_ends_its_early_dialogs() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 180 tag=b
         0.6 alice <- bob 183 tag=c
         1.0 alice <- bob 486 tag=b",
        "dialogs{state=early} 0; session_outcomes_total{outcome=busy} 1; srd_seconds{result=failure} n=2 sum=1.1",
    );
}

#[test]
fn a_dialog_broken_by_a_reinvite_ends_half_an_hour_after_the_481_unless_a_bye_follows() {
    let broken = answered("9.0 alice -> bob INVITE\n 9.1 alice <- bob 481\n 9.2 alice -> bob ACK\n");
    expect(&format!("{broken} 1809.0 alice -> bob crlf"), "sessions_ended_total{end=481} 0");
    expect(
        &format!("{broken} 1809.1 alice -> bob crlf"),
        "sessions_ended_total{end=481} 1; sessions_completed_rfc6076_total 0; sdt_seconds{result=success} n=0",
    );
    // The user agents kept the call.
    expect(
        &format!("{broken} 20.0 alice -> bob INFO\n 20.1 alice <- bob 200\n 1900 alice -> bob crlf"),
        "sessions_ended_total{end=481} 0; dialogs{state=confirmed} 1",
    );
    expect(
        &format!("{broken} 10.0 alice -> bob BYE\n 10.1 alice <- bob 200\n 50 alice -> bob crlf"),
        "sessions_ended_total{end=481} 0; sessions_ended_total{end=bye} 1; sessions_completed_rfc6076_total 1",
    );
}

#[test]
fn a_408_or_a_timeout_of_an_update_breaks_it_too() {
    expect(
        &answered("9.0 alice -> bob UPDATE\n 9.1 alice <- bob 408\n 1809.1 alice -> bob crlf"),
        "sessions_ended_total{end=timeout} 1",
    );
    // The UPDATE times out at 41 s, the dialog is given up half an hour later.
    expect(&answered("9.0 alice -> bob UPDATE\n 1840.9 alice -> bob crlf"), "sessions_ended_total{end=timeout} 0");
    expect(&answered("9.0 alice -> bob UPDATE\n 1841.0 alice -> bob crlf"), "sessions_ended_total{end=timeout} 1");
}

#[test]
fn no_failure_of_any_other_request_within_it_ends_a_session() {
    for method in ["INFO", "OPTIONS", "MESSAGE", "NOTIFY", "REFER", "PRACK"] {
        for status in [408, 481] {
            let ladder = format!("9.0 alice -> bob {method}\n 9.1 alice <- bob {status}\n 9000 alice -> bob crlf");
            expect(
                &answered(&ladder),
                "sessions_ended_total{end=481} 0; sessions_ended_total{end=timeout} 0; dialogs{state=confirmed} 1",
            );
        }
        expect(&answered(&format!("9.0 alice -> bob {method}\n 9000 alice -> bob crlf")), "dialogs{state=confirmed} 1");
    }
}

#[test]
fn a_glare_or_a_refused_reinvite_leaves_the_session_as_it_was() {
    expect(
        &answered("9.0 alice -> bob INVITE\n 9.1 alice <- bob 491\n 9.2 alice -> bob ACK\n 99 alice -> bob crlf"),
        "dialogs{state=confirmed} 1; invite_total 2; invite_initial_total 1; session_attempts_total 1; ttr n=1 sum=500; ack_total 2",
    );
}

#[test]
fn the_session_timer_runs_from_the_latest_2xx() {
    let call = "0.0 alice -> bob INVITE se=90
                1.0 alice <- bob 200 tag=b se=90
                1.1 alice -> bob ACK\n";
    expect(&format!("{call} 90.9 alice -> bob crlf"), "sessions_ended_total{end=expired} 0");
    expect(
        &format!("{call} 91.0 alice -> bob crlf"),
        "sessions_ended_total{end=expired} 1; sessions_completed_rfc6076_total 0; sdc_total 1; sessions 0; spd n=0
         sdt_seconds{result=success} n=0; scr 100; scr_rfc6076 0",
    );
    expect(
        &format!("{call} 50 alice -> bob UPDATE\n 50.1 alice <- bob 200 se=120\n 170 alice -> bob crlf"),
        "sessions_ended_total{end=expired} 0",
    );
    expect(
        &format!("{call} 50 alice -> bob UPDATE\n 50.1 alice <- bob 200 se=120\n 170.1 alice -> bob crlf"),
        "sessions_ended_total{end=expired} 1",
    );
    // A refusal changes nothing.
    expect(
        &format!("{call} 50 alice -> bob UPDATE se=1800\n 50.1 alice <- bob 422 se=1800\n 91.0 alice -> bob crlf"),
        "sessions_ended_total{end=expired} 1",
    );
}

#[test]
fn without_a_session_timer_a_dialog_lives_a_day() {
    expect(
        &answered("86400.9 alice -> bob crlf"),
        "dialogs{state=confirmed} 1; sessions 0; sdc_total 1; sessions_ended_total{end=max_age} 0",
    );
    expect(
        &answered("86401 alice -> bob crlf"),
        "dialogs{state=confirmed} 0; sessions_ended_total{end=max_age} 1; sessions_completed_rfc6076_total 0",
    );
}

#[test]
fn a_missing_ack_is_noticed_after_32_seconds() {
    let call = "0.0 alice -> bob INVITE
                1.0 alice <- bob 200 tag=b\n";
    expect(&format!("{call} 32.9 alice -> bob crlf"), "ack_missing_total 0");
    expect(&format!("{call} 33.0 alice -> bob crlf"), "ack_missing_total 1");
    expect(&answered("33.0 alice -> bob crlf"), "ack_missing_total 0");
}

#[test]
fn an_answer_to_an_invite_nobody_saw_makes_an_unobserved_session() {
    expect(
        "0.0 alice <- bob 200 of=INVITE cseq=1 ftag=a tag=b branch=z9hG4bK1
         0.1 alice -> bob ACK ftag=a ttag=b cseq=1
         9.0 alice -> bob BYE ftag=a ttag=b cseq=2
         9.1 alice <- bob 200 of=BYE",
        "sessions_ended_total{end=bye} 1; sdc_total 0; sessions 0; spd n=0; sdt_seconds{result=success} n=0
         session_attempts_total 0; sessions_completed_rfc6076_total 0; unmatched_total{kind=response} 1; unmatched_total{kind=ack} 0",
    );
}

#[test]
fn requests_within_an_unobserved_dialog_keep_it_alive() {
    expect(
        "0.0 alice -> bob INVITE ftag=a ttag=b cseq=7
         0.1 alice <- bob 200 of=INVITE se=90
        90.2 alice -> bob crlf",
        "sessions_ended_total{end=expired} 1; invite_initial_total 0; sdc_total 0; sessions 0; ser undefined",
    );
}

#[test]
fn a_dialog_without_a_callees_tag_is_ended_and_acknowledged_without_one() {
    let call = "0.0 alice -> bob INVITE branch=- ftag=a
                1.0 alice <- bob 200 tag=-
                1.1 alice -> bob ACK branch=- ftag=a ttag=- cseq=1\n";
    expect(
        &format!("{call} 9.0 alice -> bob BYE branch=- ftag=a ttag=- cseq=2\n 9.1 alice <- bob 200 of=BYE tag=-"),
        "sessions_ended_total{end=bye} 1; sdc_total 1; sdt_seconds{result=success} n=1 sum=8; unmatched_total{kind=ack} 0",
    );
    // The callee may find its tag late.
    expect(
        &format!("{call} 9.0 alice -> bob BYE branch=- ftag=a ttag=- cseq=2\n 9.1 alice <- bob 200 of=BYE tag=b"),
        "sessions_ended_total{end=bye} 1; sdc_total 1",
    );
    expect(
        &format!("{call} 9.0 alice -> bob BYE branch=- ftag=a ttag=- cseq=2\n 42 alice -> bob crlf"),
        "sessions_ended_total{end=bye_timeout} 1; ack_missing_total 0",
    );
}

#[test]
fn a_bye_whose_refusal_was_seen_before_it_does_not_hang() {
    expect(
        &answered(
            "9.0 alice <- bob 481 of=BYE branch=z9hG4bKx cseq=2
             9.1 alice -> bob BYE branch=z9hG4bKx cseq=2",
        ),
        "dialogs{state=terminating} 0; sessions_ended_total{end=481} 1; bye_total 1",
    );
}

#[test]
fn a_bye_of_an_early_dialog_does_not_end_the_confirmed_one() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 180 tag=b
         1.0 alice -> bob BYE cseq=2
         1.5 alice <- bob 200 of=INVITE tag=b
        30.0 alice -> bob BYE cseq=3
        33.1 alice -> bob crlf",
        "dialogs{state=terminating} 1; transaction_timeouts_total{method=BYE} 1; sessions_ended_total{end=bye_timeout} 0",
    );
}

#[test]
fn the_answer_on_a_hop_that_was_not_seen_gives_way_to_the_callers() {
    expect(
        "0.000 alice -> proxy INVITE branch=z9hG4bK0
         1.000 proxy <- bob 200 of=INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 cseq=1 ftag=alice-tag tag=b
         1.001 alice <- proxy 200 via=alice/z9hG4bK0 tag=b cseq=1
         1.1 alice -> proxy ACK ftag=alice-tag ttag=b cseq=1
         9.0 alice -> proxy BYE ftag=alice-tag ttag=b cseq=2
         9.1 alice <- proxy 200 of=BYE",
        "sessions 0; sdc_total 1; scr 100; scr_rfc6076 100; spd n=1 sum=8.099; sessions_ended_total{end=bye} 1
         unmatched_total{kind=response} 1; dialogs{state=terminating} 0",
    );
}
