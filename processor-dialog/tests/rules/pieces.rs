//! When records leave: at the end, as pieces of calls that go on, at a drain.

use std::time::Duration;

use call_records::{self, Emit};
use pipeline::CallRecord;
use processor_dialog::Config;

use crate::expect::{Labelled, Player, calls, calls_for, wanted};
use crate::recorded::{at, ladder, same, spans};

fn with(calls: call_records::Config) -> Config {
    Config { calls, ..Config::default() }
}

fn progressive() -> Config {
    with(call_records::Config { emit: Emit::Progressive, ..call_records::Config::default() })
}

fn segments(max_segment: u64) -> Config {
    with(call_records::Config { max_segment: Duration::from_secs(max_segment), ..call_records::Config::default() })
}

/// How long after the last line the record of a call leaves, in tenths of a second.
#[track_caller]
fn leaves_after(ladder: &str) -> u64 {
    let mut player = Player::new(Config::default(), Labelled::No);
    let mut last = Duration::ZERO;
    for step in ladder::play(ladder) {
        last = step.at;
        player.take(step.at, Some(step));
    }
    for tenths in 0..3000 {
        player.take(last + Duration::from_millis(100 * tenths), None);
        if !player.left().is_empty() {
            return tenths;
        }
    }
    panic!("it never left");
}

#[test]
fn a_record_leaves_5_s_after_nothing_can_join_its_call_any_more() {
    // The next server may be tried for two seconds.
    for status in [404, 486, 487, 500, 603] {
        assert_eq!(leaves_after(&format!("0.0 alice -> bob INVITE\n 1.0 alice <- bob {status}")), 20 + 50, "{status}");
    }
    // RFC 3261 §8.1.3.5, §22: the next request may come for a minute.
    for status in [401, 407, 302] {
        assert_eq!(leaves_after(&format!("0.0 alice -> bob INVITE\n 1.0 alice <- bob {status}")), 650, "{status}");
    }
    assert_eq!(leaves_after("0.0 alice -> bob INVITE"), 320 + 20 + 50);
    assert_eq!(leaves_after("0.0 alice -> bob INVITE\n 1.0 alice <- bob 180"), 1850 + 20 + 50);
    let answered = "0.0 alice -> bob INVITE\n 1.0 alice <- bob 200\n";
    assert_eq!(leaves_after(&format!("{answered} 5.0 alice -> bob BYE\n 5.1 alice <- bob 200")), 50);
    assert_eq!(leaves_after(&format!("{answered} 5.0 alice -> bob BYE")), 320 + 20 + 50);
    assert_eq!(leaves_after("0.0 alice -> bob INVITE\n 1.0 alice <- bob 200 se=90"), 900 + 50);
}

#[test]
fn early_dialogs_that_lost_a_fork_do_not_delay_it() {
    let call = "0.0 alice -> bob INVITE
         0.5 alice <- bob 180 tag=b
         0.6 alice <- bob 180 tag=c
         1.0 alice <- bob 200 tag=b
         2.0 alice -> bob BYE ttag=b
         2.1 alice <- bob 200";
    assert_eq!(leaves_after(call), 50);
}

#[test]
fn an_invite_within_these_5_s_goes_on_with_the_record() {
    let records = calls(
        Config::default(),
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 486
         5.0 alice -> bob INVITE
         6.0 alice <- bob 200
         9.0 alice -> bob BYE
         9.1 alice <- bob 200
        99.0 alice -> bob crlf",
    );
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].outcome, records[0].transactions.len()), ("answered", 3));
}

#[test]
fn a_drain_tells_what_is_over_with_its_outcome_and_the_rest_as_in_progress() {
    let records = calls(
        Config::default(),
        "0.0 alice -> bob INVITE call=over
         1.0 alice <- bob 486 call=over
         1.1 alice -> bob INVITE call=up
         2.0 alice <- bob 200 call=up
         2.1 alice -> bob INVITE call=ringing
         2.2 alice <- bob 180 call=ringing
         2.3 alice -> bob INVITE call=challenged
         2.4 alice <- bob 401 call=challenged
         2.5 alice -> bob INVITE call=redirected
         2.6 alice <- bob 302 call=redirected
         2.7 alice -> bob INVITE call=tried-again
         2.8 alice <- bob 302 call=tried-again
         2.9 alice -> carol INVITE call=tried-again",
    );
    let mut told: Vec<_> = records.iter().map(|record| (&*record.call_id, record.outcome, record.last)).collect();
    told.sort_unstable();
    let expected = [
        ("challenged", "in_progress", true),
        ("over", "busy", true),
        ("redirected", "redirected", true),
        ("ringing", "in_progress", true),
        ("tried-again", "in_progress", true),
        ("up", "in_progress", true),
    ];
    assert_eq!(told, expected);
}

const ANSWERED: &str = "
     0.0 alice -> bob INVITE
     0.1 alice <- bob 407
     0.2 alice -> bob ACK
     0.3 alice -> bob INVITE
     0.5 alice <- bob 180
     2.0 alice <- bob 200
     2.1 alice -> bob ACK
     9.0 alice -> bob BYE
     9.1 alice <- bob 200";

#[test]
fn progressively_the_set_up_leaves_with_the_answer_and_the_rest_at_the_end() {
    let records = calls(progressive(), ANSWERED);
    let [first, last] = &records[..] else { panic!("{records:#?}") };
    assert_eq!((first.piece, first.last, last.piece, last.last), (1, false, 2, true));
    assert_eq!((first.span, first.trace_id), (last.span, last.trace_id));
    same(
        &spans(first),
        "
        call answered 0.0..2.0
          INVITE 407 0.0..0.1
          INVITE 200 0.3..2.0
            ringing 0.5..2.0 winner",
    );
    same(
        &spans(last),
        "
        call answered 0.0..9.1
          BYE 200 9.0..9.1 in-dialog
          session 2.0..9.0 bye by caller",
    );
    assert_eq!(first.ladder.len(), 6);
    same(
        &ladder(last),
        "
        2.1 > alice bob ACK of session 1
        9.0 > alice bob BYE of 3 BYE
        9.1 < bob alice 200 of 3 BYE",
    );
    assert_eq!(last.messages, 9, "the call as a whole");
}

#[test]
fn delays_are_told_once_over_all_pieces() {
    let whole = calls(Config::default(), ANSWERED).remove(0).measured;
    let pieces: Vec<_> = calls(progressive(), ANSWERED).into_iter().flat_map(|record| record.measured).collect();
    assert_eq!(pieces, whole);
    assert!(whole.len() >= 8, "{whole:?}");
}

#[test]
fn branches_that_are_still_open_at_the_answer_leave_later() {
    let records = calls(
        progressive(),
        "0.0 alice -> proxy INVITE
         0.1 proxy -> bob INVITE fwd
         0.2 proxy -> carol INVITE fwd
         2.0 proxy <- carol 200 tag=c
         2.1 alice <- proxy 200 tag=c
         2.2 proxy -> bob CANCEL
         2.3 proxy <- bob 200 of=CANCEL
         2.4 proxy <- bob 487 of=INVITE tag=b
         2.5 proxy -> bob ACK",
    );
    let [first, last] = &records[..] else { panic!("{records:#?}") };
    same(
        &spans(first),
        "
        call answered 0.0..2.1
          INVITE 200 0.0..2.1
            INVITE 200 0.2..2.0 hop",
    );
    same(
        &spans(last),
        "
        call in_progress 0.0..2.5
          session 2.1..
        elsewhere
          INVITE 487 0.1..2.4 hop cancelled
            CANCEL 200 2.2..2.3 hop",
    );
}

#[test]
fn what_is_sent_again_after_its_piece_left_is_counted_in_the_call_alone() {
    let records = calls(progressive(), "0.0 alice -> bob INVITE\n 1.0 alice <- bob 200\n 1.5 alice <- bob 200 again");
    assert_eq!(records.len(), 2);
    assert_eq!((records[1].retransmissions, records[1].messages, records[1].ladder.len()), (1, 3, 0));
}

#[test]
fn a_long_call_leaves_in_pieces_with_segments_that_are_linked() {
    let records = calls(
        segments(100),
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200
         1.1 alice -> bob ACK
        50.0 alice -> bob INFO
        50.1 alice <- bob 200
        99.9 alice -> bob INVITE
       100.1 alice <- bob 200
       100.2 alice -> bob ACK
       150.0 alice -> bob INFO
       150.1 alice <- bob 200
       250.0 alice -> bob BYE
       250.1 alice <- bob 200",
    );
    let told: Vec<(u32, bool)> = records.iter().map(|record| (record.piece, record.last)).collect();
    assert_eq!(told, [(1, false), (2, false), (3, true)]);
    same(
        &spans(&records[0]),
        "
        call answered 0.0..100.0
          INVITE 200 0.0..1.0
          session 1.0..100.0
            INFO 200 50.0..50.1 in-dialog",
    );
    same(
        &spans(&records[1]),
        "
        call answered 0.0..200.0
          session 100.0..200.0 segment 2
            INFO 200 150.0..150.1 in-dialog
        elsewhere
          INVITE 200 99.9..100.1 in-dialog",
    );
    same(
        &spans(&records[2]),
        "
        call answered 0.0..250.1
          BYE 200 250.0..250.1 in-dialog
          session 200.0..250.0 bye by caller segment 3",
    );
    let sessions: Vec<_> = records.iter().map(|record| &record.sessions[0]).collect();
    assert_eq!((sessions[0].previous, sessions[0].ended), (None, None));
    assert_eq!((sessions[1].previous, sessions[1].ended), (Some(sessions[0].span), None));
    assert_eq!((sessions[2].previous, sessions[2].ended), (Some(sessions[1].span), Some("bye")));
    assert_eq!((sessions[2].dialog_id, sessions[2].start), (sessions[0].dialog_id, at(200.0)));
    same(
        &ladder(&records[1]),
        "
        99.9 > alice bob INVITE of 3 INVITE
        100.1 < bob alice 200 of 3 INVITE
        100.2 > alice bob ACK of session 2
        150.0 > alice bob INFO of 4 INFO
        150.1 < bob alice 200 of 4 INFO",
    );
}

#[test]
fn pieces_of_a_long_call_take_what_they_told_along() {
    let mut ladder = String::from("0.0 alice -> bob INVITE\n 1.0 alice <- bob 200\n 1.1 alice -> bob ACK\n");
    for minute in 1..600 {
        ladder += &format!("{minute}0.0 alice -> bob OPTIONS\n {minute}0.1 alice <- bob 200\n");
    }
    let records = calls(segments(60), &ladder);
    assert!(records.len() > 90);
    let transactions: usize = records.iter().map(|record| record.transactions.len()).sum();
    let messages: usize = records.iter().map(|record| record.ladder.len()).sum();
    assert_eq!((transactions, messages), (600, 1201));
    assert!(records.iter().all(|record| record.transactions.len() < 10 && record.ladder_cut == 0));
}

#[test]
fn who_wants_whole_calls_gets_them_in_one_piece() {
    let whole = pipeline::CallsWanted { pieces: false, ..wanted() };
    let config = with(call_records::Config {
        emit: Emit::Progressive,
        max_segment: Duration::from_secs(1),
        ..call_records::Config::default()
    });
    let records: Vec<CallRecord> = calls_for(whole, config, ANSWERED);
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].transactions.len(), records[0].ladder.len(), records[0].last), (3, 9, true));
}

#[test]
fn a_call_turned_out_of_a_full_table_is_told_as_far_as_it_went() {
    let mut ladder = String::new();
    for call in 0..4 {
        ladder += &format!("{call}.0 alice -> bob INVITE call=c{call}\n {call}.1 alice <- bob 180 call=c{call}\n");
    }
    let mut player = Player::new(Config { max_calls: 3, ..Config::default() }, Labelled::No);
    for step in ladder::play(&ladder) {
        player.take(step.at, Some(step));
    }
    let told: Vec<_> = player.left().iter().map(|record| (&*record.call_id, record.outcome, record.last)).collect();
    assert_eq!(told, [("c0", "in_progress", true)]);
}

#[test]
fn times_are_those_of_the_wall_clock() {
    let mut player = Player::new(Config::default(), Labelled::No);
    player.wall_offset = 3_600_000_000_000;
    for step in
        ladder::play("0.0 alice -> bob INVITE\n 1.0 alice <- bob 200\n 2.0 alice -> bob BYE\n 3.0 alice <- bob 200")
    {
        player.take(step.at, Some(step));
    }
    let record = player.drain().remove(0);
    assert_eq!((record.start, record.until), (at(3600.0), at(3603.0)));
    assert_eq!((record.sessions[0].start, record.sessions[0].end), (at(3601.0), Some(at(3602.0))));
    assert_eq!(record.ladder[3].at, at(3603.0));
    assert_eq!(record.duration, Some(Duration::from_secs(1)));
}

#[test]
fn what_became_of_records_is_counted() {
    let mut ladder = String::from("0.0 alice -> bob OPTIONS call=o\n 0.1 alice <- bob 200 call=o\n");
    for call in 0..3 {
        ladder += &format!("{call}.2 alice -> bob INVITE call=c{call}\n {call}.3 alice <- bob 200 call=c{call}\n");
    }
    for number in 0..300 {
        ladder += &format!("3.{number:03} alice -> bob INFO call=c2 cseq={}\n", number + 9);
    }
    let mut player = Player::new(Config { max_calls: 2, ..progressive() }, Labelled::No);
    for step in ladder::play(&ladder) {
        player.take(step.at, Some(step));
    }
    player.drain();
    let expected = [("call", 3.0), ("piece", 3.0), ("request", 1.0)];
    for (kind, count) in expected {
        assert_eq!(player.told("otelcol_processor_call_records", kind), count, "{kind}");
    }
    assert_eq!(player.told("otelcol_processor_evicted_call_records", ""), 1.0);
    assert_eq!(player.told("otelcol_processor_cut_ladders", ""), 1.0);
}
