//! The ladder of a record: every message once, at its first sighting on a hop, and whose event it is.

use call_records::{self, Ladder};
use processor_dialog::Config;

use crate::expect::{call, call_with, calls};
use crate::recorded::{ladder, same};

#[track_caller]
fn draws(text: &str, expected: &str) {
    same(&ladder(&call(text)), expected);
}

#[test]
fn each_message_is_an_event_of_its_transaction_and_the_ack_of_an_answer_one_of_the_session() {
    draws(
        "0.0 alice -> bob INVITE sdp
         0.1 alice <- bob 100
         0.5 alice <- bob 180
         2.0 alice <- bob 200 sdp
         2.1 alice -> bob ACK
         9.0 bob -> alice BYE
         9.1 bob <- alice 200",
        "
        0.0 > alice bob INVITE sdp of 1 INVITE
        0.1 < bob alice 100 of 1 INVITE
        0.5 < bob alice 180 of 1 INVITE
        2.0 < bob alice 200 sdp of 1 INVITE
        2.1 > alice bob ACK of session 1
        9.0 < bob alice BYE of 1 BYE
        9.1 > alice bob 200 of 1 BYE",
    );
}

#[test]
fn the_ack_of_a_failure_belongs_to_its_invite_and_a_cancel_to_itself() {
    draws(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 407
         0.6 alice -> bob ACK
         0.7 alice -> bob INVITE
         0.9 alice <- bob 180
         3.0 alice -> bob CANCEL
         3.1 alice <- bob 200
         3.2 alice <- bob 487
         3.3 alice -> bob ACK",
        "
        0.0 > alice bob INVITE of 1 INVITE
        0.5 < bob alice 407 of 1 INVITE
        0.6 > alice bob ACK of 1 INVITE
        0.7 > alice bob INVITE of 2 INVITE
        0.9 < bob alice 180 of 2 INVITE
        3.0 > alice bob CANCEL of 2 CANCEL
        3.1 < bob alice 200 of 2 CANCEL
        3.2 < bob alice 487 of 2 INVITE
        3.3 > alice bob ACK of 2 INVITE",
    );
}

#[test]
fn what_is_sent_again_is_a_number_on_its_first_sighting() {
    let text = "0.0 alice -> bob INVITE
         0.5 alice -> bob INVITE again
         1.5 alice -> bob INVITE again
         2.0 alice <- bob 180
         3.0 alice <- bob 200
         3.5 alice <- bob 200 again
         3.6 alice -> bob ACK
         3.7 alice -> bob ACK again
         9.0 alice -> bob BYE
         9.1 alice <- bob 200
         9.6 alice <- bob 200 again";
    draws(
        text,
        "
        0.0 > alice bob INVITE x2 of 1 INVITE
        2.0 < bob alice 180 of 1 INVITE
        3.0 < bob alice 200 x1 of 1 INVITE
        3.6 > alice bob ACK x1 of session 1
        9.0 > alice bob BYE of 2 BYE
        9.1 < bob alice 200 x1 of 2 BYE",
    );
    let record = call(text);
    assert_eq!((record.messages, record.retransmissions), (11, 5));
    let of_transactions: Vec<u32> = record.transactions.iter().map(|told| told.retransmissions).collect();
    assert_eq!(of_transactions, [3, 1], "the ACK of an answer is no transaction");
}

#[test]
fn a_failure_and_its_ack_sent_again_are_counted_in_the_invite() {
    let record = call(
        "0.0 alice -> bob INVITE
         0.5 alice <- bob 486
         1.0 alice <- bob 486 again
         1.1 alice -> bob ACK
         1.2 alice -> bob ACK again",
    );
    assert_eq!((record.retransmissions, record.transactions[0].retransmissions), (2, 2));
    let again: Vec<u16> = record.ladder.iter().map(|told| told.retransmissions).collect();
    assert_eq!(again, [0, 1, 1]);
}

#[test]
fn a_copy_at_a_second_observation_point_is_no_retransmission_and_is_not_listed_again() {
    let record = call(
        "0.0 alice -> bob INVITE
         0.1 alice -> carol INVITE copy
         1.0 alice <- bob 486
         1.1 dave <- carol 486 copy",
    );
    assert_eq!((record.messages, record.retransmissions, record.ladder.len()), (4, 0, 2));
}

#[test]
fn a_message_is_listed_once_on_each_hop() {
    draws(
        "0.0 alice -> proxy INVITE
         0.1 proxy -> bob INVITE fwd
         0.5 proxy <- bob 180
         0.6 alice <- proxy 180 fwd
         0.9 proxy <- bob 180 again
         2.0 proxy <- bob 200
         2.1 alice <- proxy 200 fwd
         2.2 alice -> proxy ACK
         2.3 proxy -> bob ACK fwd
         9.0 proxy <- bob BYE
         9.1 alice <- proxy BYE fwd
         9.2 alice -> proxy 200
         9.3 proxy -> bob 200 fwd",
        "
        0.0 > alice proxy INVITE of 1 INVITE
        0.1 > proxy bob INVITE of 1 INVITE hop
        0.5 < bob proxy 180 x1 of 1 INVITE hop
        0.6 < proxy alice 180 of 1 INVITE
        2.0 < bob proxy 200 of 1 INVITE hop
        2.1 < proxy alice 200 of 1 INVITE
        2.2 > alice proxy ACK of session 1
        2.3 > proxy bob ACK of session 1
        9.0 < bob proxy BYE of 1 BYE
        9.1 < proxy alice BYE of 1 BYE hop
        9.2 > alice proxy 200 of 1 BYE hop
        9.3 > proxy bob 200 of 1 BYE",
    );
}

#[test]
fn an_ack_without_the_answer_it_is_about_belongs_to_the_call() {
    draws(
        "0.0 alice -> bob INVITE
         2.1 alice -> bob ACK ttag=b",
        "
        0.0 > alice bob INVITE of 1 INVITE
        2.1 > alice bob ACK of call",
    );
}

#[test]
fn a_message_says_how_long_it_was_and_when_its_last_byte_came() {
    let steps = ladder::play("0.0 alice -> bob INVITE sdp\n 1.5 alice <- bob 486");
    let record = call("0.0 alice -> bob INVITE sdp\n 1.5 alice <- bob 486");
    let bytes: Vec<u32> = record.ladder.iter().map(|told| told.bytes).collect();
    assert_eq!(bytes, steps.iter().map(|step| step.bytes.len() as u32).collect::<Vec<_>>());
    assert_eq!(record.ladder[1].at, crate::recorded::at(1.5));
    assert_eq!((record.ladder[1].method, record.ladder[1].cseq), (sip::Method::Invite, 1));
}

#[test]
fn without_a_ladder_spans_stay_and_no_message_is_kept() {
    let calls = call_records::Config { ladder: Ladder::Off, ..call_records::Config::default() };
    let record = call_with(
        Config { calls, ..Config::default() },
        "0.0 alice -> bob INVITE\n 0.5 alice -> bob INVITE again\n 1.0 alice <- bob 486",
    );
    assert_eq!((record.ladder.len(), record.ladder_cut, record.messages, record.retransmissions), (0, 0, 3, 1));
    assert_eq!(record.transactions[0].retransmissions, 1);
    assert_eq!(record.ladder_form, pipeline::call::ladder::LadderForm::Off);
}

#[test]
fn a_flood_within_a_call_is_cut_and_its_end_is_in_the_ladder() {
    let mut text = String::from("0.0 alice -> bob INVITE\n 1.0 alice <- bob 200\n 1.1 alice -> bob ACK\n");
    for number in 0..400 {
        text += &format!("2.{number:03} alice -> bob INFO cseq={}\n", number + 10);
        text += &format!("2.{number:03} alice <- bob 200 of=INFO cseq={}\n", number + 10);
    }
    text += "9.0 alice -> bob BYE cseq=999\n 9.1 alice <- bob 200 of=BYE";
    let record = call(&text);
    assert_eq!(record.messages, 805);
    assert_eq!(record.ladder.len() as u32 + record.ladder_cut, 805);
    assert!(record.ladder.len() <= 256 && record.transactions.len() <= 64, "{}", record.ladder.len());
    assert_eq!(record.transactions.last().map(|told| told.method), Some(sip::Method::Bye));
    assert_eq!(record.ladder.last().and_then(|told| told.status), Some(200));
    assert_eq!((record.outcome, record.end), ("answered", Some("bye")));
}

#[test]
fn a_flood_of_addresses_tags_and_branches_is_cut() {
    let mut text = String::from("0.0 alice -> proxy INVITE branch=z9hG4bK0 cseq=1 ftag=a\n");
    for number in 0..200 {
        text += &format!("0.{number:03} n{number}@203.0.113.{number}:5060 -> alice INFO ftag=x ttag=a cseq={number}\n");
        text += &format!("0.{number:03} alice <- proxy 180 tag=t{number} of=INVITE cseq=1\n");
        text += &format!("0.{number:03} proxy -> bob INVITE via=proxy/z9hG4bKh{number},alice/z9hG4bK0 cseq=1 ftag=a\n");
    }
    let record = call(&text);
    assert!(record.endpoints.len() <= 32 && record.ringing.len() <= 32 && record.transactions.len() <= 64);
    assert_eq!(
        record.ladder.iter().map(|told| 1 + u32::from(told.retransmissions)).sum::<u32>() + record.ladder_cut,
        record.messages - record.retransmissions
            + record.ladder.iter().map(|told| u32::from(told.retransmissions)).sum::<u32>()
    );
}

#[test]
fn late_repeats_within_t4_are_in_the_record_and_later_ones_in_none() {
    let records = calls(
        Config::default(),
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 486
         7.9 alice -> bob ACK
         8.5 alice <- bob 486 again
         9.0 alice -> bob ACK again",
    );
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].messages, records[0].retransmissions, records[0].ladder.len()), (3, 0, 3));
    assert_eq!(records[0].until, crate::recorded::at(7.9));
}
