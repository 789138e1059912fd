//! 4.8: calls to queues, and what is inferred of the wait. `support` is whoever is called `support`, `sales` any address at
//! `sales.example`.

use processor_dialog::{Config, Queue};

use crate::expect::{Labelled, Player};

fn player() -> Player {
    let queue = |name: &str, expression: &str| Queue { name: name.into(), expression: expression.into() };
    let queues = vec![queue("support", "^sips?:support@"), queue("sales", "@sales\\.example")];
    Player::new(Config { queues, ..Config::default() }, Labelled::No).with_queues()
}

/// Compares what is exported at the end of a ladder, in which `QUEUE` stands for the called party.
#[track_caller]
fn expect(ladder: &str, expected: &str) {
    let mut player = player();
    player.play(&ladder.replace("QUEUE", "to=sip:support@example.org"));
    player.settle();
    player.exported().expect(expected);
}

/// An answered call; the queue's tag is `q`.
const ANSWERED: &str = "
     0.0 alice -> bob INVITE ftag=a QUEUE
     0.1 alice <- bob 180 tag=q
     1.0 alice <- bob 200 tag=q
     1.1 alice -> bob ACK\n";

#[track_caller]
fn expect_after_answer(more: &str, expected: &str) {
    expect(&format!("{ANSWERED}{more}"), expected);
}

#[test]
fn a_caller_waits_from_the_invite_on_and_all_ends_exist() {
    let mut player = player();
    player.play(&ANSWERED.replace("QUEUE", "to=sip:support@example.org"));
    let exported = player.exported();
    exported.expect("queue_waiting{queue=support} 1");
    let ends =
        exported.numbers().filter(|(name, value)| name.starts_with("queue_calls_total{queue=support") && *value == 0.0);
    assert_eq!(ends.count(), 5);
}

#[test]
fn a_caller_who_hangs_up_has_abandoned_it() {
    expect_after_answer(
        "61.0 alice -> bob BYE
         61.1 alice <- bob 200 of=BYE",
        "queue_calls_total{queue=support,end=abandoned} 1; queue_wait_seconds{queue=support,end=abandoned} n=1 sum=60
         queue_waiting{queue=support} 0",
    );
}

#[test]
fn a_queue_that_hangs_up_has_ended_it() {
    expect_after_answer(
        "31.0 bob -> alice BYE
         31.1 bob <- alice 200",
        "queue_calls_total{queue=support,end=ended} 1; queue_wait_seconds{queue=support,end=ended} n=1 sum=30
         queue_waiting{queue=support} 0; queue_calls_total{queue=support,end=abandoned} 0",
    );
}

#[test]
fn a_refer_re_invite_or_update_from_the_queue_serves_it_and_what_follows_is_no_other_end() {
    for (moved, answer) in [("REFER", "202"), ("INVITE", "200"), ("UPDATE", "200")] {
        expect_after_answer(
            &format!(
                "41.0 bob -> alice {moved}
                 41.1 bob <- alice {answer} of={moved}
                 90.0 alice -> bob BYE ftag=a ttag=q cseq=9
                 90.1 alice <- bob 200 of=BYE"
            ),
            "queue_calls_total{queue=support,end=served} 1; queue_wait_seconds{queue=support,end=served} n=1 sum=40
             queue_calls_total{queue=support,end=abandoned} 0; queue_waiting{queue=support} 0",
        );
    }
}

#[test]
fn what_the_caller_sends_serves_nothing() {
    expect_after_answer(
        "11.0 alice -> bob INVITE ftag=a ttag=q cseq=2
         11.1 alice <- bob 200 tag=q
         12.0 alice -> bob REFER ftag=a ttag=q cseq=3
         12.1 alice <- bob 202 of=REFER
         13.0 bob -> alice INFO
         13.1 bob <- alice 200 of=INFO",
        "queue_calls_total{queue=support,end=served} 0; queue_waiting{queue=support} 1",
    );
}

#[test]
fn a_second_answer_is_that_of_an_agent() {
    expect_after_answer(
        "21.0 alice <- bob 200 of=INVITE tag=agent",
        "queue_calls_total{queue=support,end=served} 1; queue_wait_seconds{queue=support,end=served} n=1 sum=20",
    );
}

#[test]
fn after_a_182_another_tag_that_answers_is_an_agent_and_the_same_is_the_queue() {
    let queued = "0.0 alice -> bob INVITE ftag=a QUEUE
         2.0 alice <- bob 182 tag=q\n";
    expect(
        &format!("{queued} 32.0 alice <- bob 200 tag=agent"),
        "queue_calls_total{queue=support,end=served} 1; queue_wait_seconds{queue=support,end=served} n=1 sum=30",
    );
    expect(
        &format!(
            "{queued} 32.0 alice <- bob 200 tag=q
             33.0 alice -> bob ACK
             42.0 alice -> bob BYE
             42.1 alice <- bob 200 of=BYE"
        ),
        "queue_calls_total{queue=support,end=abandoned} 1; queue_wait_seconds{queue=support,end=abandoned} n=1 sum=10
         queue_calls_total{queue=support,end=served} 0",
    );
}

#[test]
fn a_caller_who_cancels_has_abandoned_it_since_its_182() {
    expect(
        "0.0 alice -> bob INVITE ftag=a QUEUE
         2.0 alice <- bob 182 tag=q
        12.0 alice -> bob CANCEL
        12.0 alice <- bob 200 of=CANCEL
        12.0 alice <- bob 487 of=INVITE tag=q",
        "queue_calls_total{queue=support,end=abandoned} 1; queue_wait_seconds{queue=support,end=abandoned} n=1 sum=10
         queue_waiting{queue=support} 0",
    );
    expect(
        "0.0 alice -> bob INVITE ftag=a QUEUE
         2.0 alice <- bob 180 tag=q
         7.0 alice -> bob BYE ftag=a ttag=q cseq=2
         7.1 alice <- bob 200 of=BYE
         7.2 alice <- bob 487 of=INVITE tag=q",
        "queue_calls_total{queue=support,end=abandoned} 1; queue_wait_seconds{queue=support,end=abandoned} n=1 sum=7.2",
    );
}

#[test]
fn a_final_that_is_none_of_the_others_refuses() {
    for status in [302, 404, 486, 503, 603] {
        expect(
            &format!("0.0 alice -> bob INVITE QUEUE\n 3.0 alice <- bob {status}"),
            "queue_calls_total{queue=support,end=refused} 1; queue_wait_seconds{queue=support,end=refused} n=1 sum=3
             queue_waiting{queue=support} 0",
        );
    }
}

#[test]
fn no_final_and_a_408_are_timeouts() {
    expect(
        "0.0 alice -> bob INVITE QUEUE
         3.0 alice <- bob 408",
        "queue_calls_total{queue=support,end=timeout} 1; queue_calls_total{queue=support,end=refused} 0",
    );
    expect(
        "0.0 alice -> bob INVITE QUEUE
        40.0 alice -> bob crlf",
        "queue_calls_total{queue=support,end=timeout} 1; queue_wait_seconds{queue=support,end=timeout} n=1 sum=32",
    );
    expect(
        "0.0 alice -> bob INVITE QUEUE
         5.0 alice <- bob 182 tag=q
       195.0 alice -> bob crlf",
        "queue_calls_total{queue=support,end=timeout} 1; queue_wait_seconds{queue=support,end=timeout} n=1 sum=185",
    );
}

#[test]
fn a_challenge_and_its_retry_are_one_call() {
    expect(
        "0.0 alice -> bob INVITE ftag=a cseq=1 QUEUE
         0.1 alice <- bob 407 tag=x
         0.2 alice -> bob ACK
         0.3 alice -> bob INVITE ftag=a cseq=2 QUEUE
         1.0 alice <- bob 200 tag=q
         1.1 alice -> bob ACK
        11.0 bob -> alice REFER",
        "queue_calls_total{queue=support,end=served} 1; queue_calls_total{queue=support,end=refused} 0
         queue_wait_seconds{queue=support,end=served} n=1 sum=10; queue_waiting{queue=support} 0",
    );
}

#[test]
fn of_what_passes_unseen_and_of_sessions_that_run_out_no_end_is_known() {
    expect(
        "0.0 alice -> bob INVITE ftag=a QUEUE
         1.0 alice -> bob ACK ftag=a ttag=q
         9.0 alice -> bob crlf",
        "session_outcomes_total{outcome=unseen} 1; queue_waiting{queue=support} 0; queue_calls_total{queue=support,end=timeout} 0",
    );
    expect(
        "0.0 alice -> bob INVITE ftag=a QUEUE
         1.0 alice <- bob 200 tag=q se=90
         1.1 alice -> bob ACK
        99.0 alice -> bob crlf",
        "sessions_ended_total{end=expired} 1; queue_waiting{queue=support} 0; queue_calls_total{queue=support,end=ended} 0",
    );
}

#[test]
fn a_caller_whose_answer_was_captured_long_before_does_not_wait_for_ever() {
    expect(
        "0.0 alice <- bob 202 of=INVITE branch=z9hG4bK1 cseq=1 ftag=a tag=-
         2.0 alice -> bob INVITE branch=z9hG4bK1 cseq=1 ftag=a ttag=- QUEUE
         9.0 alice -> bob crlf",
        "session_outcomes_total{outcome=answered} 1; queue_waiting{queue=support} 0",
    );
}

#[test]
fn the_request_uri_is_tried_before_to_and_the_first_entry_wins() {
    let mut player = player();
    let invite = "INVITE sip:support@sales.example SIP/2.0\\r\\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\\r\\n\
                  From: <sip:a@x>;tag=1\\r\\nTo: <sip:b@sales.example>\\r\\nCall-ID: @\\r\\nCSeq: 1 INVITE\\r\\n\\r\\n";
    let one = invite.replacen("Call-ID: @", "Call-ID: one", 1);
    let two = one.replacen("sip:support@sales", "sip:b@elsewhere", 1).replace("one", "two");
    let none = two.replace("sales.example", "other.example").replace("two", "none");
    for (at, raw) in [(0, one), (1, two), (2, none)] {
        player.play(&format!("{at}.0 alice -> bob raw=\"{raw}\""));
    }
    player.exported().expect("invite_total 3; queue_waiting{queue=support} 1; queue_waiting{queue=sales} 1");
}

#[test]
fn without_queues_nothing_is_counted() {
    let mut player = Player::new(Config::default(), Labelled::No).with_queues();
    player.play(&ANSWERED.replace("QUEUE", "to=sip:support@example.org"));
    assert_eq!(player.exported().numbers().find(|(name, _)| name.starts_with("queue_")), None);
}

#[test]
fn a_caller_who_makes_room_waits_no_longer() {
    let queues = vec![Queue { name: "support".into(), expression: "support".into() }];
    let mut player = Player::new(Config { queues, max_calls: 1, ..Config::default() }, Labelled::No).with_queues();
    let second = "
     9.0 alice -> bob INVITE call=second ftag=a QUEUE
     9.1 alice <- bob 200 call=second tag=q\n";
    player.play(&format!("{ANSWERED}{second}").replace("QUEUE", "to=sip:support@example.org"));
    player.exported().expect("evicted_total{table=dialogs} 1; queue_waiting{queue=support} 1");
}

#[test]
fn a_caller_whose_dialog_is_given_up_waits_no_longer() {
    let mut player = player();
    player.play(&ANSWERED.replace("QUEUE", "to=sip:support@example.org"));
    // Longer than a day, after which a dialog without session timer is given up.
    player.take(std::time::Duration::from_secs(100_000), None);
    player.exported().expect("queue_waiting{queue=support} 0; sessions_ended_total{end=max_age} 1");
}
