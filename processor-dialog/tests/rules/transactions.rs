//! 2.1 to 2.4: keys, repeats, lives of transactions, hops.

use crate::expect::expect;

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
        99.0 alice -> bob crlf",
        "invite_total 1; session_attempts_total 1; dialogs{state=early} 0; retransmissions_total{kind=request,hop=first} 1",
    );
}
