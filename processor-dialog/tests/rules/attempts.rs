//! 2.6: attempts joined over challenges, redirects, outcomes.

use processor_dialog::Config;

use crate::expect::{expect, expect_with};

/// A call that is refused with one status and not tried again.
fn refused(status: u16) -> String {
    format!(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 100
         0.5 alice <- bob {status}
         0.6 alice -> bob ACK"
    )
}

#[test]
fn each_status_has_its_outcome() {
    for (status, outcome) in [
        (302, "redirected"),
        (486, "busy"),
        (600, "busy"),
        (480, "no_answer"),
        (603, "declined"),
        (487, "client_error"),
        (408, "ineffective"),
        (500, "ineffective"),
        (503, "ineffective"),
        (504, "ineffective"),
        (404, "client_error"),
        (402, "client_error"),
        (501, "server_error"),
        (606, "global_error"),
    ] {
        expect(&refused(status), &format!("session_outcomes_total{{outcome={outcome}}} 1; session_attempts_total 1"));
    }
}

#[test]
fn ratios_take_the_statuses_the_standards_name() {
    expect(&refused(486), "ser 0; seer 100; isa 0; ner 100; seer_rfc6076 100; ner_e425 100; isa_rfc6076 0");
    expect(&refused(503), "ser 0; seer 0; isa 100; ner 0; isa_rfc6076 100; ner_e425 0; iss_total 1");
    expect(&refused(404), "ser 0; seer 0; isa 0; ner 100; seer_rfc6076 0; ner_e425 0; iss_total 0");
    expect(&refused(302), "ser undefined; ser_rfc6076 undefined; isa 0; asr 0; ner_e425 0");
}

#[test]
fn a_failover_is_one_of_two_per_invite_and_whole_per_attempt() {
    expect(
        "0.00 alice -> bob INVITE
         0.10 alice <- bob 503 tag=x
         0.11 alice -> bob ACK
         0.20 alice -> carol INVITE
         4.20 alice <- carol 200 tag=c",
        "ser 50; isa 50; asr 50; ser_rfc6076 100; isa_rfc6076 0; asr_e425 100; iss_total 1; 503_total 1
         session_attempts_total 1; session_outcomes_total{outcome=answered} 1; answer_delay_seconds n=1 sum=4.2",
    );
}

#[test]
fn a_challenge_and_its_retry_are_one_attempt_and_two_invites() {
    expect(
        "0.00 alice -> bob INVITE
         0.01 alice <- bob 100
         0.02 alice <- bob 407 tag=x
         0.03 alice -> bob ACK
         0.10 alice -> bob INVITE
         0.30 alice <- bob 180 tag=b
         2.00 alice <- bob 200 tag=b",
        "session_attempts_total 1; invite_initial_total 2; session_outcomes_total{outcome=answered} 1
         ser 50; ser_rfc6076 100; asr_e425 100; srd_seconds{result=success} n=1 sum=0.3; answer_delay_seconds n=1 sum=2
         ttr n=2 sum=210; pdd n=1 sum=200",
    );
}

#[test]
fn a_challenge_is_abandoned_after_60_seconds() {
    let challenged = "0.0 alice -> bob INVITE
                      1.0 alice <- bob 401\n";
    expect(&format!("{challenged} 60.9 alice -> bob crlf"), "session_outcomes_total{outcome=challenge_abandoned} 0");
    expect(
        &format!("{challenged} 61.0 alice -> bob crlf"),
        "session_outcomes_total{outcome=challenge_abandoned} 1; isa 0; seer_rfc6076 0; srd_seconds{result=failure} n=0",
    );
    // At equality the timer wins: the retry is an attempt of its own.
    expect(
        &format!("{challenged} 61.0 alice -> bob INVITE"),
        "session_outcomes_total{outcome=challenge_abandoned} 1; session_attempts_total 2",
    );
    expect(&format!("{challenged} 60.9 alice -> bob INVITE"), "session_attempts_total 1");
}

#[test]
fn whatever_the_cseq_an_invite_joins_as_long_as_there_is_no_outcome() {
    expect(
        "0.0 alice -> bob INVITE cseq=5
         0.1 alice <- bob 401
         0.2 alice -> bob INVITE cseq=4",
        "session_attempts_total 1",
    );
}

#[test]
fn every_retryable_status_waits_for_the_retry() {
    for status in [401, 407, 413, 415, 416, 420, 421, 422, 494] {
        expect(
            &format!(
                "0.0 alice -> bob INVITE
                 0.1 alice <- bob {status}
                 0.2 alice -> bob INVITE
                 0.3 alice <- bob 200"
            ),
            "session_attempts_total 1; session_outcomes_total{outcome=answered} 1",
        );
    }
}

#[test]
fn a_redirect_ends_the_attempt_and_the_next_inherits_its_start() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 302
         0.2 alice -> bob ACK
         1.0 alice -> bob INVITE
         1.5 alice <- bob 180
         3.0 alice <- bob 200",
        "session_attempts_total 2; session_outcomes_total{outcome=redirected} 1; session_outcomes_total{outcome=answered} 1
         ser 100; asr 50; srd_seconds{result=success} n=1 sum=1.5; answer_delay_seconds n=1 sum=3; pdd n=1 sum=500",
    );
}

#[test]
fn a_487_after_the_callers_cancel_is_cancelled() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 180
         3.0 alice -> bob CANCEL
         3.1 alice <- bob 200 of=CANCEL
         3.2 alice <- bob 487 of=INVITE
         3.3 alice -> bob ACK",
        "session_outcomes_total{outcome=cancelled} 1; srd_seconds{result=failure} n=1 sum=0.5; ner_e425 100; seer 0
         ring_seconds{result=unanswered} n=1 sum=2.7; dialogs{state=early} 0",
    );
}

#[test]
fn a_cancel_that_crosses_the_answer_changes_nothing() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 180 tag=b
         3.0 alice -> bob CANCEL
         3.1 alice <- bob 200 of=INVITE tag=b
         3.2 alice <- bob 481 of=CANCEL
        40.0 alice -> bob crlf",
        "session_outcomes_total{outcome=answered} 1; dialogs{state=confirmed} 1; sessions_ended_total{end=481} 0",
    );
}

#[test]
fn ringing_without_final_ends_185_seconds_after_the_last_provisional() {
    let ringing = "0.0 alice -> bob INVITE
                   1.0 alice <- bob 180
                  90.0 alice <- bob 180 again\n";
    expect(
        &format!("{ringing} 274.9 alice -> bob crlf"),
        "session_outcomes_total{outcome=no_final} 0; dialogs{state=early} 1",
    );
    expect(
        &format!("{ringing} 275 alice -> bob crlf"),
        "session_outcomes_total{outcome=no_final} 1; dialogs{state=early} 0; isa_rfc6076 0; transaction_timeouts_total{method=INVITE} 1",
    );
}

#[test]
fn a_late_answer_after_a_failure_keeps_the_outcome() {
    expect(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 480 tag=b
         1.5 alice <- bob 200 tag=b
         1.6 alice -> bob ACK ttag=b",
        "session_outcomes_total{outcome=no_answer} 1; session_outcomes_total{outcome=answered} 0; late_2xx_total 1
         dialogs{state=confirmed} 1; sessions 1; ser 0; answer_delay_seconds n=0",
    );
}

#[test]
fn a_2xx_other_than_200_answers_strictly_but_not_by_the_seed() {
    expect(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 202",
        "ser 0; ser_rfc6076 100; sessions 0; dialogs{state=confirmed} 1; session_outcomes_total{outcome=answered} 1",
    );
}

#[test]
fn ner_counts_408_and_487_only_when_it_rang() {
    let call = |ring: &str, status: u16| format!("0.0 alice -> bob INVITE\n{ring}\n 9.0 alice <- bob {status}");
    expect(&call("1.0 alice <- bob 180", 408), "ner_e425 100; isa_rfc6076 100");
    expect(&call("1.0 alice <- bob 183", 408), "ner_e425 0");
    expect(&call("1.0 alice <- bob 180", 487), "ner_e425 100; session_outcomes_total{outcome=client_error} 1");
}

#[test]
fn a_q850_cause_rules_the_ner_where_configured() {
    let ladder = "0.0 alice -> bob INVITE
                  1.0 alice <- bob 503 reason=\"Q.850;cause=17\"";
    expect(ladder, "ner_e425 0");
    expect_with(Config { ner_use_q850: true, ..Config::default() }, ladder, "ner_e425 100; isa_rfc6076 100");
}

#[test]
fn a_retransmitted_invite_and_an_unanswered_one_count_once_in_the_denominators() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice -> bob INVITE again
         1.5 alice -> bob INVITE again",
        "session_attempts_total 1; invite_total 1; ser 0; isa 0; isa_rfc6076 0; ratio_input_total{input=TI} 1",
    );
}
