//! Whole call flows, as operators meet them, each with what every rule makes of it together.

use crate::expect::{expect, expect_labelled};

#[test]
fn a_cancel_over_a_proxy_counts_once_on_every_hop_count() {
    expect(
        "0.000 alice -> proxy INVITE
         0.001 alice <- proxy 100
         0.002 proxy -> bob INVITE fwd
         0.100 proxy <- bob 180
         0.101 alice <- proxy 180 fwd
         3.000 alice -> proxy CANCEL
         3.001 alice <- proxy 200 of=CANCEL
         3.002 proxy -> bob CANCEL
         3.003 proxy <- bob 200 of=CANCEL
         3.010 proxy <- bob 487 of=INVITE
         3.011 proxy -> bob ACK
         3.012 alice <- proxy 487 fwd of=INVITE
         3.013 alice -> proxy ACK
        40.000 alice -> bob crlf",
        "packets_total 13; invite_total 1; cancel_total 1; ack_total 1; 100_total 1; 180_total 1; 200_total 1; 487_total 1
         session_outcomes_total{outcome=cancelled} 1; session_attempts_total 1; ner_e425 100; ser 0; seer 0; isa 0; ner 100
         ttr n=1 sum=1; pdd n=1 sum=101; srd_seconds{result=failure} n=1 sum=0.101
         ring_seconds{result=unanswered} n=1 sum=2.911; dialogs{state=early} 0; unmatched_total{kind=ack} 0
         unmatched_total{kind=response} 0; request_via_depth n=1 sum=2; retransmissions_total{kind=request,hop=other} 0",
    );
}

#[test]
fn a_call_hung_up_by_the_callee_over_a_proxy_has_its_root_on_the_callees_side() {
    let call = "0.000 alice -> proxy INVITE ua=Phone
                0.002 proxy -> bob INVITE fwd
                1.000 proxy <- bob 200
                1.001 alice <- proxy 200 fwd
                1.100 alice -> proxy ACK
                1.101 proxy -> bob ACK fwd\n";
    let expected = "bye_total{carrier=192.0.2.10,ua_type=Phone} 1; 200_total{carrier=192.0.2.10,ua_type=Phone} 2
        sessions_ended_total{carrier=192.0.2.10,ua_type=Phone,end=bye} 1; ack_total{carrier=192.0.2.10,ua_type=Phone} 1
        packets_total{carrier=192.0.2.10,ua_type=Phone} 10; sdc_total{carrier=192.0.2.10,ua_type=Phone} 1
        short_calls_total{carrier=192.0.2.10,ua_type=Phone} 0";
    // The final that counts is the one the callee gets, last of all.
    expect_labelled(
        &format!(
            "{call}
             9.000 bob -> proxy BYE
             9.001 proxy -> alice BYE fwd
             9.100 proxy <- alice 200 of=BYE
             9.101 bob <- proxy 200 fwd of=BYE"
        ),
        &format!("{expected}; sdd_seconds{{carrier=192.0.2.10,ua_type=Phone,result=success}} n=1 sum=0.101"),
    );
    // The tap on the caller's side is ahead.
    expect_labelled(
        &format!(
            "{call}
             8.990 proxy -> alice BYE via=proxy/z9hG4bKd,bob/z9hG4bKu ftag=bob-tag ttag=alice-tag cseq=1
             9.000 bob -> proxy BYE via=bob/z9hG4bKu ftag=bob-tag ttag=alice-tag cseq=1
             9.090 proxy <- alice 200 of=BYE via=proxy/z9hG4bKd,bob/z9hG4bKu
             9.101 bob <- proxy 200 of=BYE via=bob/z9hG4bKu"
        ),
        &format!(
            "{expected}; sdd_seconds{{carrier=192.0.2.10,ua_type=Phone,result=success}} n=1 sum=0.111
             sdt_seconds{{carrier=192.0.2.10,ua_type=Phone,result=success}} n=1 sum=7.989"
        ),
    );
}

#[test]
fn a_cancelled_reinvite_leaves_the_session_up() {
    expect(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200 tag=b
         1.1 alice -> bob ACK
         9.0 alice -> bob INVITE
         9.1 alice <- bob 180
         9.2 alice -> bob CANCEL
         9.3 alice <- bob 200 of=CANCEL
         9.4 alice <- bob 487 of=INVITE
         9.5 alice -> bob ACK
        99.0 alice -> bob crlf",
        "invite_total 2; invite_initial_total 1; cancel_total 1; 487_total 1; 180_total 1; 200_total 2; ack_total 2
         session_outcomes_total{outcome=answered} 1; session_outcomes_total{outcome=cancelled} 0; sessions 1
         dialogs{state=confirmed} 1; dialogs{state=early} 0; ttr n=0; ring_seconds{result=answered} n=0; transaction_timeouts_total{method=CANCEL} 0",
    );
}

#[test]
fn requests_within_an_early_dialog_count_and_change_nothing() {
    expect_labelled(
        "0.0 alice -> bob INVITE ua=Phone
         0.1 alice <- bob 183 tag=b rseq=7
         0.2 alice -> bob PRACK ua=Else
         0.3 alice <- bob 401 of=PRACK
         0.4 alice -> bob PRACK ua=Else
         0.5 alice <- bob 200 of=PRACK
         0.6 alice <- bob UPDATE ua=Callee
         0.7 alice -> bob 200 of=UPDATE se=90
         0.8 alice <- bob 180 tag=b rseq=8
         0.9 alice -> bob PRACK ua=Else
         1.0 alice <- bob 481 of=PRACK
         2.0 alice <- bob 200 of=INVITE tag=b
         2.1 alice -> bob ACK
        99.0 alice -> bob crlf",
        "prack_total{carrier=192.0.2.10,ua_type=Phone} 3; update_total{carrier=192.0.2.10,ua_type=Phone} 1
         401_total{carrier=192.0.2.10,ua_type=Phone} 1; 481_total{carrier=192.0.2.10,ua_type=Phone} 1
         200_total{carrier=192.0.2.10,ua_type=Phone} 3; dialogs{carrier=192.0.2.10,ua_type=Phone,state=confirmed} 1
         srd_seconds{carrier=192.0.2.10,ua_type=Phone,result=success} n=1 sum=0.1; session_attempts_total{carrier=192.0.2.10,ua_type=Phone} 1
         ring_seconds{carrier=192.0.2.10,ua_type=Phone,result=answered} n=1 sum=1.2; sessions{carrier=192.0.2.10,ua_type=Phone} 1
         sessions_ended_total{carrier=192.0.2.10,ua_type=Phone,end=481} 0; pdd{carrier=192.0.2.10,ua_type=Phone} n=1 sum=100",
    );
}

#[test]
fn a_challenged_call_that_is_then_cancelled_is_one_cancelled_attempt() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 407 tag=x
         0.2 alice -> bob ACK
         0.3 alice -> bob INVITE
         0.5 alice <- bob 180 tag=b
         4.0 alice -> bob CANCEL
         4.1 alice <- bob 200 of=CANCEL
         4.2 alice <- bob 487 of=INVITE tag=b
         4.3 alice -> bob ACK
        99.0 alice -> bob crlf",
        "session_attempts_total 1; session_outcomes_total{outcome=cancelled} 1; session_outcomes_total{outcome=challenge_abandoned} 0
         invite_initial_total 2; cancel_total 1; ack_total 2; srd_seconds{result=failure} n=1 sum=0.5; ring_seconds{result=unanswered} n=1 sum=3.7
         pdd n=1 sum=200; ner_e425 100; ratio_input_total{input=TI} 2; ratio_input_total{input=ner} 1; ratio_input_total{input=rUser} 0",
    );
}

#[test]
fn a_chain_of_redirects_keeps_the_first_start_also_after_a_challenge() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 401
         0.2 alice -> bob ACK
         1.0 alice -> bob INVITE
         1.1 alice <- bob 302
         1.2 alice -> bob ACK
        30.0 alice -> bob INVITE
        30.1 alice <- bob 302
        30.2 alice -> bob ACK
        85.0 alice -> bob INVITE
        85.1 alice <- bob 407
        85.2 alice -> bob ACK
        90.0 alice -> bob INVITE
        90.5 alice <- bob 180 tag=b
        92.0 alice <- bob 200 tag=b",
        "session_attempts_total 3; session_outcomes_total{outcome=redirected} 2; session_outcomes_total{outcome=answered} 1
         invite_initial_total 5; ratio_input_total{input=N3xx} 2; ser 33.333333333; ser_rfc6076 100; asr_e425 33.333333333
         srd_seconds{result=success} n=1 sum=90.5; srd_seconds{result=failure} n=0; answer_delay_seconds n=1 sum=92
         pdd n=1 sum=500; ring_seconds{result=answered} n=1 sum=1.5",
    );
}

#[test]
fn a_redirect_is_inherited_for_less_than_a_minute() {
    let redirected = "0.0 alice -> bob INVITE
                      1.0 alice <- bob 302\n";
    expect(
        &format!("{redirected} 60.9 alice -> bob INVITE\n 61.5 alice <- bob 486"),
        "srd_seconds{result=failure} n=1 sum=61.5; session_attempts_total 2",
    );
    expect(
        &format!("{redirected} 61.0 alice -> bob INVITE\n 61.5 alice <- bob 486"),
        "srd_seconds{result=failure} n=1 sum=0.5; session_attempts_total 2",
    );
}

#[test]
fn a_glare_is_counted_on_both_sides_and_both_retries_refresh() {
    expect(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200 tag=b se=90
         1.1 alice -> bob ACK
        40.0 alice -> bob INVITE
        40.0 alice <- bob INVITE
        40.1 alice <- bob 491
        40.1 alice -> bob 491
        40.2 alice -> bob ACK
        40.2 alice <- bob ACK
        41.0 alice <- bob INVITE
        41.1 alice -> bob 200 se=90
        41.2 alice <- bob ACK
        44.0 alice -> bob INVITE
        44.1 alice <- bob 200 se=90
        44.2 alice -> bob ACK
       134.0 alice -> bob crlf",
        "491_total 0; responses_total{code=491} 2; invite_total 5; invite_initial_total 1; ack_total 5; session_attempts_total 1
         sessions_ended_total{end=expired} 0; sessions 1; dialogs{state=confirmed} 1; srd_seconds{result=success} n=1 sum=1",
    );
}

#[test]
fn a_retry_after_422_is_the_same_attempt() {
    expect(
        "0.0 alice -> bob INVITE se=60
         0.1 alice <- bob 422 tag=x hdr=\"Min-SE: 90\"
         0.2 alice -> bob ACK
         0.3 alice -> bob INVITE se=90
         0.5 alice <- bob 180 tag=b
         1.0 alice <- bob 200 tag=b se=90
         1.1 alice -> bob ACK
        91.0 alice -> bob crlf",
        "session_attempts_total 1; session_outcomes_total{outcome=answered} 1; sessions_ended_total{end=expired} 1; sdc_total 1
         scr 50; scr_rfc6076 0; answer_delay_seconds n=1 sum=1; responses_total{code=422} 1; dialogs{state=confirmed} 0",
    );
}

#[test]
fn three_legs_of_a_proxy_seen_from_below_are_one_attempt() {
    let legs = "0.000 proxy -> bob INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
                0.001 proxy -> carol INVITE via=proxy/z9hG4bK2,alice/z9hG4bK0 ftag=a cseq=1
                0.002 proxy -> dave INVITE via=proxy/z9hG4bK3,alice/z9hG4bK0 ftag=a cseq=1
                0.100 proxy <- bob 180 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
                0.200 proxy <- carol 180 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c
                0.300 proxy <- dave 486 via=proxy/z9hG4bK3,alice/z9hG4bK0 tag=d
                0.301 proxy -> dave ACK via=proxy/z9hG4bK3 ftag=a ttag=d cseq=1\n";
    // Carol answers; the proxy cancels Bob's leg.
    expect(
        &format!(
            "{legs}
             2.000 proxy <- carol 200 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c cseq=1
             2.001 proxy -> bob CANCEL via=proxy/z9hG4bK1 ftag=a cseq=1
             2.002 proxy <- bob 200 of=CANCEL via=proxy/z9hG4bK1
             2.010 proxy <- bob 487 of=INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
             2.011 proxy -> bob ACK via=proxy/z9hG4bK1 ftag=a ttag=b cseq=1
             2.100 proxy -> carol ACK via=proxy/z9hG4bK9,alice/z9hG4bK8 ftag=a ttag=c cseq=1
            33.999 alice -> bob crlf"
        ),
        "invite_total 1; session_attempts_total 1; session_outcomes_total{outcome=answered} 1; 180_total 2; 486_total 1; 487_total 1
         200_total 2; cancel_total 1; ack_total 3; dialogs{state=early} 1; dialogs{state=confirmed} 1
         srd_seconds{result=success} n=2 sum=0.3; ring_seconds{result=answered} n=1 sum=1.9; iss_total 0; packets_total 13",
    );
    // Nobody does; the caller cancels both that ring.
    expect(
        &format!(
            "{legs}
             2.000 proxy -> bob CANCEL via=proxy/z9hG4bK1 ftag=a cseq=1
             2.001 proxy -> carol CANCEL via=proxy/z9hG4bK2 ftag=a cseq=1
             2.100 proxy <- bob 487 of=INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b cseq=1
             2.200 proxy <- carol 487 of=INVITE via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c cseq=1
             4.200 alice -> bob crlf"
        ),
        // The proxy forwards the earliest of the 4xx, Dave's; the caller had given up.
        "session_outcomes_total{outcome=cancelled} 1; cancel_total 1; 487_total 2; srd_seconds{result=failure} n=2 sum=0.3
         ring_seconds{result=unanswered} n=1 sum=2.1; dialogs{state=early} 0",
    );
}

#[test]
fn a_serial_fork_within_two_seconds_is_one_attempt_and_later_another_one() {
    let call = |second: &str| {
        format!(
            "0.0 proxy -> bob INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
             0.1 proxy <- bob 180 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
             8.0 proxy <- bob 480 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
             {second} proxy -> carol INVITE via=proxy/z9hG4bK2,alice/z9hG4bK0 ftag=a cseq=1
            11.0 proxy <- carol 180 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c
            12.0 proxy <- carol 200 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c"
        )
    };
    expect(
        &call("9.9"),
        "session_outcomes_total{outcome=answered} 1; srd_seconds{result=success} n=2 sum=11.1; answer_delay_seconds n=1 sum=12
         ring_seconds{result=answered} n=1 sum=11.9; late_2xx_total 0; ser 100",
    );
    expect(
        &call("10.0"),
        "session_outcomes_total{outcome=no_answer} 1; session_outcomes_total{outcome=answered} 1; srd_seconds{result=failure} n=1 sum=0.1
         late_2xx_total 0; invite_total 2; 180_total 2; ring_seconds{result=unanswered} n=1 sum=7.9; sessions 1; dialogs{state=early} 0; ser 50",
    );
}

#[test]
fn a_capture_that_starts_with_the_answer_to_a_bye_says_only_that() {
    expect(
        "0.0 alice <- bob 200 of=BYE cseq=2 ftag=a tag=b branch=z9hG4bK1
         0.1 alice -> bob OPTIONS call=other
         0.2 alice <- bob 200 call=other",
        "200_total 2; unmatched_total{kind=response} 1; sessions_ended_total{end=bye} 0; sdc_total 0; bye_total 0; ser undefined; ord n=1 sum=100",
    );
}

#[test]
fn two_answers_to_an_invite_nobody_saw_are_two_unobserved_sessions() {
    expect_labelled(
        "0.0 alice <- bob 200 of=INVITE cseq=1 ftag=a tag=b branch=z9hG4bK1
         0.1 alice <- bob 200 of=INVITE cseq=1 ftag=a tag=c branch=z9hG4bK1
         0.2 alice <- bob 200 of=INVITE cseq=1 ftag=a tag=c branch=z9hG4bK1 again
         5.0 alice -> bob UPDATE ftag=a ttag=b cseq=2 ua=Phone
         5.1 alice <- bob 481 of=UPDATE
      1805.1 alice -> bob crlf",
        "unmatched_total{kind=response} 1; 200_total{carrier=other,ua_type=other} 2; sessions{carrier=other,ua_type=other} 0
         dialogs{carrier=other,ua_type=other,state=confirmed} 1; sessions_ended_total{carrier=other,ua_type=other,end=481} 1
         update_total{carrier=other,ua_type=other} 1; retransmissions_total{carrier=other,ua_type=other,kind=response,hop=first} 1",
    );
}

#[test]
fn two_calls_with_the_same_tags_are_told_apart_by_their_call_ids() {
    expect(
        "0.0 alice -> bob INVITE call=x ftag=same
         0.1 alice -> bob INVITE call=y ftag=same
         1.0 alice <- bob 200 call=x tag=same
         1.1 alice <- bob 200 call=y tag=same
         1.2 alice -> bob ACK call=x
         1.3 alice -> bob ACK call=y
         9.0 alice -> bob BYE call=x
         9.1 alice <- bob 200 call=x of=BYE
        40.0 alice -> bob crlf",
        "session_attempts_total 2; sessions 1; dialogs{state=confirmed} 1; sdc_total 1; scr 50; sdt_seconds{result=success} n=1 sum=8
         ack_missing_total 0",
    );
}

#[test]
fn an_unknown_method_is_counted_as_other_and_told_apart_by_its_name() {
    expect(
        "0.0 alice -> bob JUMP branch=z9hG4bK1 cseq=1
         0.1 alice -> bob STEP branch=z9hG4bK1 cseq=1
         0.2 alice <- bob 200 of=JUMP branch=z9hG4bK1
        32.1 alice -> bob crlf",
        "requests_total{method=OTHER} 2; 200_total 1; transaction_timeouts_total{method=OTHER} 1; unmatched_total{kind=response} 0",
    );
}

#[test]
fn a_late_second_answer_under_the_same_tag_as_the_failure_is_a_new_dialog() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 180 tag=b
         3.0 alice <- bob 486 tag=b
         3.1 alice -> bob ACK
         3.5 alice <- bob 200 tag=b
         3.6 alice <- bob 200 again
         3.7 alice -> bob ACK branch=z9hG4bKnew ttag=b
         9.0 alice <- bob BYE ftag=b ttag=alice-tag cseq=1
         9.1 alice -> bob 481 of=BYE",
        "session_outcomes_total{outcome=busy} 1; late_2xx_total 1; sessions_ended_total{end=481} 1; sessions 1; sdc_total 0
         sessions_completed_rfc6076_total 0; sdd_seconds{result=failure} n=0; ack_total 2; ack_missing_total 0; scr 0
         ratio_input_total{input=N200} 0; ratio_input_total{input=NUser} 1; retransmissions_total{kind=response,hop=first} 1",
    );
}

#[test]
fn no_response_is_ineffective_strictly_and_nothing_in_the_seed() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice -> bob INVITE again
        32.0 alice -> bob crlf
        33.0 alice <- bob 486
        33.1 alice -> bob ACK
        64.0 alice -> bob crlf",
        "session_outcomes_total{outcome=timeout} 1; transaction_timeouts_total{method=INVITE} 1; isa 0; isa_rfc6076 100; ner 100; ner_e425 0
         late_responses_total 1; 486_total 1; ack_total 1; srd_seconds{result=failure} n=0; request_via_depth n=1 sum=1; seer 0",
    );
}
