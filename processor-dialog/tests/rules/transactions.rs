//! 2.1 to 2.4: keys, repeats, lives of transactions, hops.

use processor_dialog::Config;

use crate::expect::{calls, expect};

#[test]
fn a_response_finds_its_request_although_addresses_changed() {
    expect(
        "0.0 alice -> bob OPTIONS branch=z9hG4bK1 cseq=1 ftag=a
         0.1 north@198.51.100.21:7000 -> south@192.0.2.10:9999 200 of=OPTIONS via=alice/z9hG4bK1 cseq=1 ftag=a",
        "options_total 1; 200_total 1; unmatched_total{kind=response} 0; ord n=1 sum=100",
    );
}

#[test]
fn a_branch_without_the_cookie_falls_back_to_the_headers() {
    expect(
        "0.0 alice -> bob OPTIONS branch=1 call=a
         0.1 alice -> bob OPTIONS branch=1 call=b
         0.2 alice <- bob 200 call=a
         0.3 alice <- bob 200 call=b",
        "options_total 2; 200_total 2; ord n=2 sum=400; retransmissions_total{kind=request,hop=first} 0",
    );
}

#[test]
fn a_cookie_and_nothing_else_is_not_unique() {
    expect(
        "0.0 alice -> bob OPTIONS branch=z9hG4bK call=a
         0.1 alice -> bob OPTIONS branch=z9hG4bK call=b",
        "options_total 2; retransmissions_total{kind=request,hop=first} 0",
    );
}

#[test]
fn the_same_item_on_the_same_path_is_a_retransmission_and_elsewhere_a_duplicate() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice -> bob INVITE again
         0.6 alice <- bob 180
         1.6 alice <- bob 180 again
         1.7 bob -> carol 180 copy",
        "packets_total 5; invite_total 1; 180_total 1; capture_duplicates_total 1
         retransmissions_total{kind=request,hop=first} 1; retransmissions_total{kind=response,hop=first} 1",
    );
}

#[test]
fn a_provisional_with_a_new_rseq_is_a_new_response() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 180 rseq=1 tag=b
         0.2 alice <- bob 180 rseq=2 tag=b
         0.3 alice <- bob 180 rseq=2 tag=b",
        "180_total 2; retransmissions_total{kind=response,hop=first} 1",
    );
}

#[test]
fn a_request_without_final_times_out_after_32_seconds_and_a_provisional_does_not_help() {
    expect(
        "0.0 alice -> bob OPTIONS
         5.0 alice <- bob 100
        31.9 alice -> bob crlf",
        "transaction_timeouts_total{method=OPTIONS} 0",
    );
    expect(
        "0.0 alice -> bob OPTIONS
         5.0 alice <- bob 100
        32.0 alice -> bob crlf",
        "transaction_timeouts_total{method=OPTIONS} 1; ord n=1 sum=5000",
    );
}

#[test]
fn a_response_after_the_timeout_is_late_and_one_after_64_seconds_an_orphan() {
    expect(
        "0.0 alice -> bob OPTIONS
        40.0 alice <- bob 200
        70.0 alice <- bob 500",
        "200_total 1; late_responses_total 1; 500_total 1; unmatched_total{kind=response} 1; ord n=0",
    );
}

#[test]
fn an_invite_answered_late_opens_no_dialog() {
    expect(
        "0.0 alice -> bob INVITE
        33.0 alice <- bob 200",
        "session_outcomes_total{outcome=timeout} 1; late_responses_total 1; sessions 0; dialogs{state=confirmed} 0
         transaction_timeouts_total{method=INVITE} 1; late_2xx_total 0; ser 0; isa 0; isa_rfc6076 100",
    );
}

#[test]
fn responses_without_a_request_count_once_per_logical_request_as_unmatched() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 180 branch=z9hG4bKother cseq=7
         0.2 alice <- bob 183 branch=z9hG4bKother cseq=7",
        "unmatched_total{kind=response} 1; 180_total 1; 183_total 1",
    );
}

#[test]
fn an_ack_that_belongs_to_nothing_is_unmatched_and_still_a_request() {
    expect("0.0 alice -> bob ACK ttag=b cseq=1", "unmatched_total{kind=ack} 1; ack_total 1; packets_total 1");
}

#[test]
fn the_ack_of_a_failure_counts_once_and_its_repeat_is_a_retransmission() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 486
         0.2 alice -> bob ACK
         0.6 alice <- bob 486 again
         0.7 alice -> bob ACK again",
        "ack_total 1; 486_total 1; retransmissions_total{kind=request,hop=first} 1
         retransmissions_total{kind=response,hop=first} 1; unmatched_total{kind=ack} 0",
    );
}

#[test]
fn a_hop_below_is_a_copy_whatever_was_seen_first() {
    let expected = "packets_total 7; invite_total 1; session_attempts_total 1; 180_total 1; 200_total 1; ser 100
        retransmissions_total{kind=request,hop=other} 0; unmatched_total{kind=response} 0";
    expect(
        "0.000 alice -> proxy INVITE
         0.001 alice <- proxy 100
         0.002 proxy -> bob INVITE fwd
         0.100 proxy <- bob 180
         0.101 alice <- proxy 180 fwd
         1.000 proxy <- bob 200
         1.001 alice <- proxy 200 fwd",
        expected,
    );
    // The tap below the proxy is ahead: its INVITE is seen before the caller's.
    expect(
        "0.000 proxy -> bob INVITE via=proxy/z9hG4bKdown,alice/z9hG4bKup ftag=a cseq=1
         0.002 alice -> proxy INVITE via=alice/z9hG4bKup ftag=a cseq=1
         0.003 alice <- proxy 100 via=alice/z9hG4bKup
         0.100 proxy <- bob 180 via=proxy/z9hG4bKdown,alice/z9hG4bKup tag=b
         0.101 alice <- proxy 180 via=alice/z9hG4bKup tag=b
         1.000 proxy <- bob 200 via=proxy/z9hG4bKdown,alice/z9hG4bKup tag=b
         1.001 alice <- proxy 200 via=alice/z9hG4bKup tag=b",
        expected,
    );
}

#[test]
fn a_new_root_above_keeps_the_earliest_time() {
    expect(
        "0.000 proxy -> bob INVITE via=proxy/z9hG4bKdown,alice/z9hG4bKup ftag=a cseq=1
         0.002 alice -> proxy INVITE via=alice/z9hG4bKup ftag=a cseq=1
         0.100 alice <- proxy 180 via=alice/z9hG4bKup tag=b",
        "pdd n=1 sum=100; invite_total 1",
    );
}

#[test]
fn a_retransmission_below_a_proxy_is_on_another_hop() {
    expect(
        "0.000 alice -> proxy INVITE
         0.001 proxy -> bob INVITE fwd
         0.501 proxy -> bob INVITE again",
        "retransmissions_total{kind=request,hop=other} 1; retransmissions_total{kind=request,hop=first} 0",
    );
}

#[test]
fn a_proxys_own_cancel_is_not_counted() {
    expect(
        "0.000 alice -> proxy INVITE
         0.001 proxy -> bob INVITE fwd
         0.100 proxy -> bob CANCEL
         0.110 proxy <- bob 200 of=CANCEL",
        "cancel_total 0; 200_total 0; packets_total 4",
    );
}

#[test]
fn a_cancel_without_a_known_invite_is_a_root() {
    expect("0.0 alice -> bob CANCEL cseq=1", "cancel_total 1");
}

#[test]
fn a_spiral_is_one_request() {
    expect(
        "0.000 alice -> proxy INVITE
         0.001 proxy -> carol INVITE fwd
         0.002 carol -> proxy INVITE fwd
         0.003 proxy -> bob INVITE fwd
         0.010 proxy <- bob 486
         0.011 carol <- proxy 486 fwd
         0.012 proxy <- carol 486 fwd
         0.013 alice <- proxy 486 fwd
        40.000 alice -> bob crlf",
        "invite_total 1; 486_total 1; session_attempts_total 1; session_outcomes_total{outcome=busy} 1
         request_via_depth n=1 sum=4",
    );
}

#[test]
fn a_request_under_the_branch_of_another_whose_responses_came_first_belongs_to_that() {
    // The branch of an INVITE is used again for one with another CSeq: nothing of the first is lost.
    expect(
        "0.0 alice <- bob 180 of=INVITE branch=z9hG4bKsame cseq=1 ftag=a tag=b
         0.1 alice -> bob INVITE branch=z9hG4bKother cseq=1 ftag=a ttag=-
         0.2 alice -> bob INVITE branch=z9hG4bKsame cseq=1 ftag=a ttag=-
         0.3 alice -> bob INVITE branch=z9hG4bKsame cseq=9 ftag=a ttag=-
       199.0 alice -> bob crlf",
        "invite_total 1; session_attempts_total 1; dialogs{state=early} 0; retransmissions_total{kind=request,hop=first} 1",
    );
}

#[test]
fn a_phone_of_rfc_2543_without_branches_and_tags_is_followed() {
    expect(
        "0.0 alice -> bob INVITE branch=- ftag=-
         0.5 alice -> bob INVITE again
         0.6 alice <- bob 180 tag=-
         2.0 alice <- bob 200 tag=-
         2.1 alice -> bob ACK branch=- ftag=- ttag=- cseq=1
         9.0 alice -> bob BYE branch=- ftag=- ttag=- cseq=2
         9.1 alice <- bob 200 of=BYE tag=-
        60.0 alice -> bob crlf",
        "invite_total 1; ack_total 1; bye_total 1; 200_total 2; session_outcomes_total{outcome=answered} 1; sessions 0; sdc_total 1
         sessions_ended_total{end=bye} 1; dialogs{state=early} 0; srd_seconds{result=success} n=1 sum=0.6; ack_missing_total 0
         retransmissions_total{kind=request,hop=first} 1; sdt_seconds{result=success} n=1 sum=7; unmatched_total{kind=ack} 0",
    );
    expect(
        "0.0 alice -> bob INVITE branch=- ftag=-
         0.6 alice <- bob 486 tag=-
         0.7 alice -> bob ACK branch=- ftag=- ttag=- cseq=1
         1.1 alice <- bob 486 again
         1.2 alice -> bob ACK again",
        "ack_total 1; 486_total 1; session_outcomes_total{outcome=busy} 1; unmatched_total{kind=ack} 0
         retransmissions_total{kind=request,hop=first} 1",
    );
}

#[test]
fn the_same_branch_from_two_senders_is_two_transactions() {
    expect(
        "0.0 alice -> proxy OPTIONS call=a branch=z9hG4bKsame
         0.1 bob -> proxy OPTIONS call=b branch=z9hG4bKsame
         0.2 alice <- proxy 200 call=a
         0.4 bob <- proxy 200 call=b",
        "options_total 2; ord n=2 sum=500",
    );
}

#[test]
fn the_hops_of_an_answer_nobody_saw_the_request_of_count_once() {
    expect(
        "0.000 proxy <- bob 486 of=INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 cseq=1 ftag=a tag=b
         0.001 alice <- proxy 486 of=INVITE via=alice/z9hG4bK0 cseq=1 ftag=a tag=b
         0.002 alice -> proxy ACK via=alice/z9hG4bK0 cseq=1 ftag=a ttag=b",
        "486_total 1; unmatched_total{kind=response} 1; unmatched_total{kind=ack} 0; ack_total 1; packets_total 3
         session_attempts_total 0; ser undefined",
    );
}

#[test]
fn the_lowest_hop_first_then_the_highest_then_the_one_between_is_one_request() {
    expect(
        "0.000 carol -> bob INVITE via=carol/z9hG4bK2,proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
         0.001 alice -> proxy INVITE via=alice/z9hG4bK0 ftag=a cseq=1
         0.002 proxy -> carol INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
         0.100 carol <- bob 180 via=carol/z9hG4bK2,proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
         0.101 proxy <- carol 180 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
         0.102 alice <- proxy 180 via=alice/z9hG4bK0 tag=b
         0.500 carol <- bob 486 via=carol/z9hG4bK2,proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
         0.501 proxy <- carol 486 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
         0.502 alice <- proxy 486 via=alice/z9hG4bK0 tag=b",
        "invite_total 1; 180_total 1; 486_total 1; pdd n=1 sum=102; session_outcomes_total{outcome=busy} 1
         ring_seconds{result=unanswered} n=1 sum=0.4; packets_total 9",
    );
}

#[test]
fn an_answer_to_a_cancel_and_a_timeout_of_it_are_like_any_other() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 100
         1.0 alice -> bob CANCEL
         1.5 alice -> bob CANCEL again
        33.0 alice -> bob crlf",
        "cancel_total 1; transaction_timeouts_total{method=CANCEL} 1; retransmissions_total{kind=request,hop=first} 1
         session_outcomes_total{outcome=no_final} 0",
    );
}

#[test]
fn a_second_observation_point_gives_neither_time_nor_counts() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 carol -> bob INVITE copy
         0.2 alice <- bob 486
         0.3 carol <- bob 486 copy
         0.4 alice -> bob ACK
         0.5 carol -> bob ACK copy",
        "packets_total 6; capture_duplicates_total 3; invite_total 1; 486_total 1; ack_total 1
         retransmissions_total{kind=request,hop=first} 0; retransmissions_total{kind=response,hop=first} 0",
    );
}

#[test]
fn a_probe_is_counted_as_one_and_as_nothing_else() {
    let probe = "call=4f@probe.ringside.invalid";
    let ladder = format!(
        "0.0 alice -> bob OPTIONS {probe}
         0.1 alice -> bob OPTIONS {probe} again
         0.2 alice <- bob 100 {probe}
         0.3 alice <- bob 404 tag=x {probe}
         0.4 carol -> bob OPTIONS branch=z9hG4bKo
        60.0 alice -> bob crlf"
    );
    expect(
        &ladder,
        "probe_messages_seen_total 4; packets_total 1; options_total 1; retransmissions_total 0; responses_total 0; \
         unmatched_total{kind=response} 0; transaction_timeouts_total{method=OPTIONS} 1; 404_total 0",
    );
    let records = calls(Config::default(), &ladder);
    assert!(records.iter().all(|record| !record.call_id.ends_with("invalid")), "a probe is no call");
}

#[test]
fn a_call_cannot_hide_behind_the_call_id_of_a_probe() {
    for method in ["INVITE", "REGISTER", "MESSAGE"] {
        expect(
            &format!(
                "0.0 alice -> bob {method} call=4f@probe.ringside.invalid
                 0.1 alice <- bob 403 of={method}"
            ),
            &format!("probe_messages_seen_total 0; packets_total 2; requests_total{{method={method}}} 1; 403_total 1"),
        );
    }
    expect(
        "0.0 alice -> bob OPTIONS call=4f@probe.ringside.invalid.example.net",
        "probe_messages_seen_total 0; options_total 1",
    );
}
