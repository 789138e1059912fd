//! What a record tells of a call: which spans, below which, from when to when.

use crate::expect::{call, calls};
use crate::recorded::{at, same, spans};
use processor_dialog::Config;

#[track_caller]
fn tells(ladder: &str, expected: &str) {
    same(&spans(&call(ladder)), expected);
}

#[test]
fn an_answered_call_is_an_invite_that_rang_a_session_and_a_bye() {
    tells(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 100
         0.5 alice <- bob 180
         2.0 alice <- bob 200
         2.1 alice -> bob ACK
         9.0 alice -> bob BYE
         9.1 alice <- bob 200",
        "
        call answered 0.0..9.1
          INVITE 200 0.0..2.0
            ringing 0.5..2.0 winner
          BYE 200 9.0..9.1 in-dialog
          session 2.0..9.0 bye by caller",
    );
}

#[test]
fn a_retry_after_a_challenge_or_a_redirect_is_a_sibling() {
    tells(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 407
         0.2 alice -> bob ACK
         0.3 alice -> bob INVITE
         0.4 alice <- bob 302
         0.5 alice -> bob ACK
         0.6 alice -> carol INVITE
         0.8 alice <- carol 486
         0.9 alice -> carol ACK",
        "
        call busy 0.0..0.9
          INVITE 407 0.0..0.1
          INVITE 302 0.3..0.4
          INVITE 486 0.6..0.8",
    );
}

#[test]
fn hops_are_below_the_transaction_above_them_however_many() {
    tells(
        "0.0 alice -> proxy INVITE
         0.1 proxy -> dave INVITE fwd
         0.2 dave -> bob INVITE fwd
         0.5 dave <- bob 180
         0.6 proxy <- dave 180 fwd
         0.7 alice <- proxy 180 fwd
         2.0 dave <- bob 200
         2.1 proxy <- dave 200 fwd
         2.2 alice <- proxy 200 fwd
         2.3 alice -> bob ACK
         9.0 bob -> alice BYE
         9.1 bob <- alice 200",
        "
        call answered 0.0..9.1
          INVITE 200 0.0..2.2
            INVITE 200 0.1..2.1 hop
              INVITE 200 0.2..2.0 hop
            ringing 0.7..2.2 winner
          BYE 200 9.0..9.1 in-dialog
          session 2.2..9.0 bye by callee",
    );
}

#[test]
fn a_hop_above_that_shows_itself_later_is_the_parent_all_the_same() {
    tells(
        "0.1 proxy -> bob INVITE via=proxy/z9hG4bKp,alice/z9hG4bKa ftag=a cseq=1
         0.2 alice -> proxy INVITE branch=z9hG4bKa ftag=a cseq=1
         0.5 proxy <- bob 486 via=proxy/z9hG4bKp,alice/z9hG4bKa cseq=1 tag=b
         0.6 alice <- proxy 486 cseq=1 tag=b",
        "
        call busy 0.1..0.6
          INVITE 486 0.2..0.6
            INVITE 486 0.1..0.5 hop",
    );
}

#[test]
fn a_fork_rings_once_for_each_tag_and_the_winner_is_marked() {
    tells(
        "0.0 alice -> proxy INVITE
         0.1 proxy -> bob INVITE fwd
         0.2 proxy -> carol INVITE fwd
         0.5 proxy <- bob 180 tag=b
         0.6 alice <- proxy 180 tag=b
         0.7 proxy <- carol 183 tag=c sdp
         0.8 alice <- proxy 183 tag=c sdp
         2.0 proxy <- carol 200 tag=c
         2.1 alice <- proxy 200 tag=c
         2.2 proxy -> bob CANCEL
         2.3 proxy <- bob 200 of=CANCEL
         2.4 proxy <- bob 487 of=INVITE tag=b
         2.5 proxy -> bob ACK
         2.6 alice -> carol ACK ttag=c
         9.0 alice -> carol BYE ttag=c
         9.1 alice <- carol 200",
        "
        call answered 0.0..9.1
          INVITE 200 0.0..2.1
            INVITE 487 0.1..2.4 hop cancelled
              CANCEL 200 2.2..2.3 hop
            INVITE 200 0.2..2.0 hop
            ringing 0.6..2.1
            early media 0.8..2.1 winner
          BYE 200 9.0..9.1 in-dialog
          session 2.1..9.0 bye by caller",
    );
}

#[test]
fn branches_of_a_fork_whose_parent_is_not_seen_are_siblings() {
    tells(
        "0.0 proxy -> bob INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
         0.1 proxy -> carol INVITE via=proxy/z9hG4bK2,alice/z9hG4bK0 ftag=a cseq=1
         0.5 proxy <- bob 180 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b cseq=1
         0.6 proxy <- carol 180 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c cseq=1
         1.0 proxy <- bob 486 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b cseq=1
         1.5 proxy <- carol 480 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c cseq=1
        20.0 alice -> bob crlf",
        "
        call busy 0.0..1.5
          INVITE 486 0.0..1.0
            ringing 0.5..1.0
          INVITE 480 0.1..1.5
            ringing 0.6..1.5",
    );
}

#[test]
fn a_cancel_is_part_of_its_invite_and_ends_the_ringing() {
    tells(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 180
         3.0 alice -> bob CANCEL
         3.1 alice <- bob 200
         3.2 alice <- bob 487
         3.3 alice -> bob ACK",
        "
        call cancelled 0.0..3.3
          INVITE 487 0.0..3.2 cancelled
            CANCEL 200 3.0..3.1
            ringing 0.5..3.0",
    );
}

#[test]
fn requests_before_the_answer_are_part_of_the_invite_and_those_after_it_of_the_session() {
    tells(
        "0.0 alice -> bob INVITE sdp
         0.5 alice <- bob 183 rseq=1 sdp
         0.6 alice -> bob PRACK
         0.7 alice <- bob 200
         1.0 alice -> bob UPDATE sdp
         1.1 alice <- bob 200
         2.0 alice <- bob 200 of=INVITE
         2.1 alice -> bob ACK
         3.0 bob -> alice INVITE sdp
         3.1 bob <- alice 200 sdp
         3.2 bob -> alice ACK
         4.0 alice -> bob INFO
         4.1 alice <- bob 200
         5.0 alice -> bob UPDATE
         5.1 alice <- bob 491
         9.0 bob -> alice BYE
         9.1 bob <- alice 200",
        "
        call answered 0.0..9.1
          INVITE 200 0.0..2.0
            PRACK 200 0.6..0.7 in-dialog
            UPDATE 200 1.0..1.1 in-dialog
            early media 0.5..2.0 winner
          BYE 200 9.0..9.1 in-dialog
          session 2.0..9.0 bye by callee
            INVITE 200 3.0..3.1 in-dialog
            INFO 200 4.0..4.1 in-dialog
            UPDATE 491 5.0..5.1 in-dialog",
    );
}

#[test]
fn a_183_without_a_description_rings_and_a_tagless_180_is_no_early_dialog() {
    tells(
        "0.0 alice -> bob INVITE
         0.4 alice <- bob 180 tag=-
         0.5 alice <- bob 183 tag=b
         0.6 alice <- bob 180 tag=b
         1.0 alice <- bob 603 tag=b",
        "
        call declined 0.0..1.0
          INVITE 603 0.0..1.0
            ringing 0.5..1.0",
    );
}

#[test]
fn what_gets_no_final_is_timed_out_and_the_call_lasts_until_then() {
    tells(
        "0.0 alice -> bob INVITE
         0.5 alice -> bob INVITE again
         1.5 alice -> bob INVITE again
        99.0 alice -> bob crlf",
        "
        call timeout 0.0..32.0
          INVITE 0.0..32.0 timed-out x2",
    );
    tells(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 180
       299.0 alice -> bob crlf",
        "
        call no_final 0.0..185.5
          INVITE 0.0..185.5 timed-out
            ringing 0.5..185.5",
    );
    tells(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200
         1.1 alice -> bob ACK
         5.0 alice -> bob BYE
        99.0 alice -> bob crlf",
        "
        call answered 0.0..37.0
          INVITE 200 0.0..1.0
          BYE 5.0..37.0 in-dialog timed-out
          session 1.0..5.0 bye_timeout by caller",
    );
}

#[test]
fn what_has_no_final_when_the_call_is_over_got_none_wherever_it_was() {
    // A gateway that says nothing, and the next one.
    let failover = "0.0 alice -> proxy INVITE
         0.1 proxy -> bob INVITE fwd
         4.1 proxy -> carol INVITE fwd
         5.0 proxy <- carol 200
         5.1 alice <- proxy 200 fwd
         5.2 alice -> carol ACK
         9.0 alice -> carol BYE
         9.1 alice <- carol 200";
    let spans = "
        call answered 0.0..9.1
          INVITE 200 0.0..5.1
            INVITE 0.1..9.1 hop timed-out
            INVITE 200 4.1..5.0 hop
          BYE 200 9.0..9.1 in-dialog
          session 5.1..9.0 bye by caller";
    tells(&format!("{failover}\n 20.0 alice -> bob crlf"), spans);
    // It was given up long before a long call is over (RFC 3261 §17.1.1.2).
    let long = failover.replace(" 9.0 ", "90.0 ").replace(" 9.1 ", "90.1 ");
    let record = call(&format!("{long}\n 99.0 alice -> bob crlf"));
    assert_eq!(record.transactions[1].end, Some(at(32.1)), "{record:#?}");
    let rang = long.replace("4.1 proxy", "0.2 proxy <- bob 180\n 4.1 proxy");
    let record = call(&format!("{rang}\n 99.0 alice -> bob crlf"));
    assert_eq!(record.transactions[1].end, Some(at(90.1)), "it may ring for three minutes: {record:#?}");
    // Nobody knows yet while the call is up.
    let up =
        call(failover.rsplit_once("\n").and_then(|(rest, _)| rest.rsplit_once("\n")).expect("it ends with a BYE").0);
    assert!(up.transactions.iter().all(|told| !told.timed_out), "{up:#?}");
}

#[test]
fn crossing_byes_are_two_transactions_and_the_first_hangs_up() {
    tells(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200
         1.1 alice -> bob ACK
         5.0 alice -> bob BYE
         5.1 bob -> alice BYE
         5.2 alice <- bob 481
         5.3 bob <- alice 200",
        "
        call answered 0.0..5.3
          INVITE 200 0.0..1.0
          BYE 481 5.0..5.2 in-dialog
          BYE 200 5.1..5.3 in-dialog
          session 1.0..5.0 bye by caller",
    );
}

#[test]
fn a_challenged_bye_and_its_retry_are_siblings_and_the_first_hung_up() {
    tells(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200
         5.0 alice -> bob BYE
         5.1 alice <- bob 401
         5.2 alice -> bob BYE
         5.3 alice <- bob 200",
        "
        call answered 0.0..5.3
          INVITE 200 0.0..1.0
          BYE 401 5.0..5.1 in-dialog
          BYE 200 5.2..5.3 in-dialog
          session 1.0..5.0 bye by caller",
    );
}

#[test]
fn two_answers_of_a_fork_are_two_sessions_and_the_call_lasts_as_long_as_the_longer() {
    tells(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200 tag=b1
         1.1 alice <- bob 200 tag=b2
         1.2 alice -> bob ACK ttag=b1
         1.3 alice -> bob ACK ttag=b2
         2.0 alice -> bob BYE ttag=b2 cseq=2
         2.1 alice <- bob 200 cseq=2
         9.0 alice -> bob BYE ttag=b1 cseq=3
         9.1 alice <- bob 200 cseq=3",
        "
        call answered 0.0..9.1
          INVITE 200 0.0..1.0
          BYE 200 2.0..2.1 in-dialog
          BYE 200 9.0..9.1 in-dialog
          session 1.0..9.0 bye by caller
          session 1.1..2.0 bye by caller",
    );
}

#[test]
fn an_answer_after_a_failure_is_a_session_and_the_outcome_stays() {
    tells(
        "0.0 proxy -> bob INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
         0.5 proxy <- bob 408 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b cseq=1
         3.0 proxy <- bob 200 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b cseq=1 of=INVITE
         4.0 alice -> bob BYE ftag=a ttag=b cseq=2
         4.1 alice <- bob 200",
        "
        call ineffective 0.0..4.1
          INVITE 408 0.0..0.5
          BYE 200 4.0..4.1 in-dialog
          session 3.0..4.0 bye by caller",
    );
}

#[test]
fn a_response_seen_before_its_request_begins_no_call_and_does_not_hide_it() {
    tells(
        "0.0 alice <- bob 180 of=INVITE branch=z9hG4bKx cseq=1 ftag=a tag=b
         0.1 alice -> bob INVITE branch=z9hG4bKx cseq=1 ftag=a ttag=-
         1.0 alice <- bob 486 branch=z9hG4bKx cseq=1 tag=b",
        "
        call busy 0.1..1.0
          INVITE 486 0.1..1.0
            ringing 0.1..1.0",
    );
}

#[test]
fn a_response_on_a_hop_whose_request_was_not_seen_is_a_transaction_below_its_parent() {
    tells(
        "0.0 alice -> proxy INVITE branch=z9hG4bKa ftag=a cseq=1
         0.5 proxy <- bob 486 of=INVITE via=proxy/z9hG4bKp,alice/z9hG4bKa cseq=1 tag=b ftag=a
         0.6 alice <- proxy 486 tag=b",
        "
        call busy 0.0..0.6
          INVITE 486 0.0..0.6
            INVITE 486 0.5..0.5 hop",
    );
}

#[test]
fn a_request_seen_after_its_response_belongs_to_the_same_transaction() {
    tells(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200
         3.0 alice <- bob 200 of=INFO branch=z9hG4bKi cseq=7
         3.1 alice -> bob INFO branch=z9hG4bKi cseq=7
         9.0 alice -> bob BYE
         9.1 alice <- bob 200",
        "
        call answered 0.0..9.1
          INVITE 200 0.0..1.0
          BYE 200 9.0..9.1 in-dialog
          session 1.0..9.0 bye by caller
            INFO 200 3.1..3.1 in-dialog",
    );
}

#[test]
fn a_capture_that_begins_within_a_call_has_no_record_of_it() {
    let records = calls(
        Config::default(),
        "0.0 alice -> bob INVITE ttag=b cseq=7
         0.1 alice <- bob 200
         0.2 alice -> bob ACK
         5.0 alice <- bob BYE
         5.1 alice -> bob 200",
    );
    assert_eq!(records.len(), 0);
}

#[test]
fn a_session_that_runs_out_ends_the_call_then() {
    tells(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200 se=90
       200.0 alice -> bob crlf",
        "
        call answered 0.0..91.0
          INVITE 200 0.0..1.0
          session 1.0..91.0 expired",
    );
}

#[test]
fn a_call_in_progress_tells_what_is_so_far() {
    tells(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 180
         1.0 alice <- bob 200
         2.0 alice -> bob INFO",
        "
        call in_progress 0.0..2.0
          INVITE 200 0.0..1.0
            ringing 0.5..1.0 winner
          session 1.0..
            INFO 2.0.. in-dialog",
    );
}
