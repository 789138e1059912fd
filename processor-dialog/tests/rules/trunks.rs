//! 4.7: trunks, both directions. Carriers: `office` is alice, `alpha` bob and carol, `beta` dave; the proxy is ours.

use pipeline::event::Direction;
use processor_dialog::Config;

use crate::expect::{Labelled, Player, expect_trunks};

/// Compares before the end: what waits for something that may still follow is not decided.
#[track_caller]
fn expect_so_far(ladder: &str, expected: &str) {
    let mut player = Player::new(Config::default(), Labelled::No).with_carriers();
    player.play(ladder);
    player.exported().expect(expected);
}

const REFUSED_THEN_ANSWERED: &str = "
     0.000 alice -> proxy INVITE
     0.001 alice <- proxy 100
     0.002 proxy -> bob INVITE fwd
     0.102 proxy <- bob 503
     0.103 proxy -> bob ACK
     0.110 proxy -> dave INVITE fwd branch=z9hG4bKsecond
     1.110 proxy <- dave 180
     1.111 alice <- proxy 180 fwd
     4.110 proxy <- dave 200
     4.111 alice <- proxy 200 fwd
     4.130 alice -> proxy ACK
     4.131 proxy -> dave ACK fwd
    64.111 alice -> proxy BYE
    64.112 proxy -> dave BYE fwd
    64.130 proxy <- dave 200 of=BYE
    64.131 alice <- proxy 200 fwd of=BYE\n";

#[test]
fn the_worked_example_of_the_specification() {
    expect_trunks(
        &format!(
            "{REFUSED_THEN_ANSWERED}
             70.000 dave -> proxy INVITE call=in
             70.002 proxy -> alice INVITE fwd call=in
             70.100 proxy <- alice 486 call=in
             70.101 proxy -> alice ACK call=in
             70.102 dave <- proxy 486 fwd call=in
             70.110 dave -> proxy ACK call=in"
        ),
        "trunk_attempts_total{carrier=office,direction=in} 1; trunk_attempts_total{carrier=alpha,direction=out} 1
         trunk_attempts_total{carrier=beta,direction=out} 1; trunk_attempts_total{carrier=beta,direction=in} 1
         trunk_attempts_total{carrier=office,direction=out} 1; trunk_attempts_total{carrier=alpha,direction=in} 0
         trunk_outcomes_total{carrier=office,direction=in,outcome=answered} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=ineffective} 1
         trunk_outcomes_total{carrier=beta,direction=out,outcome=answered} 1
         trunk_outcomes_total{carrier=beta,direction=in,outcome=busy} 1
         trunk_outcomes_total{carrier=office,direction=out,outcome=busy} 1
         trunk_setup_seconds{carrier=office,direction=in} n=1 sum=1.111
         trunk_setup_seconds{carrier=beta,direction=out} n=1 sum=1
         trunk_setup_seconds{carrier=alpha,direction=out} n=0; trunk_setup_seconds{carrier=beta,direction=in} n=0
         trunk_call_seconds{carrier=office,direction=in} n=1 sum=60
         trunk_call_seconds{carrier=beta,direction=out} n=1 sum=60.001
         trunk_calls{carrier=office,direction=in} 0; trunk_calls{carrier=beta,direction=out} 0
         session_attempts_total 2; session_outcomes_total{outcome=answered} 1; session_outcomes_total{outcome=busy} 1
         session_outcomes_total{outcome=ineffective} 0",
    );
}

#[test]
fn a_refusal_is_an_outcome_two_seconds_after_it() {
    let refused = "0.0 proxy -> bob INVITE\n 0.1 proxy <- bob 503\n 0.2 proxy -> bob ACK\n";
    expect_so_far(
        &format!("{refused} 2.0 alice -> bob crlf"),
        "trunk_attempts_total{carrier=alpha,direction=out} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=ineffective} 0",
    );
    expect_so_far(
        &format!("{refused} 2.1 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=ineffective} 1",
    );
}

#[test]
fn nothing_exists_without_carriers() {
    let mut player = Player::new(Config::default(), Labelled::No);
    player.play(REFUSED_THEN_ANSWERED);
    player.settle();
    let trunks = |(name, _): &(&str, f64)| name.starts_with("trunk_");
    assert_eq!(player.exported().numbers().find(trunks), None);
}

#[test]
fn every_outcome_exists_once_there_is_an_attempt_in_that_direction() {
    let mut player = Player::new(Config::default(), Labelled::No).with_carriers();
    player.play("0.0 proxy -> bob INVITE");
    let exported = player.exported();
    let outcomes: Vec<_> =
        exported.numbers().filter(|(name, _)| name.starts_with("trunk_outcomes_total{carrier=alpha")).collect();
    assert!(outcomes.iter().all(|(name, value)| name.contains("direction=out") && *value == 0.0), "{outcomes:?}");
    assert_eq!(outcomes.len(), 14);
}

#[test]
fn an_invite_between_two_carriers_counts_for_both() {
    expect_trunks(
        "0.0 bob -> dave INVITE
         0.5 bob <- dave 183
         2.0 bob <- dave 200
         2.1 bob -> dave ACK
         9.0 dave -> bob BYE
         9.1 dave <- bob 200",
        "trunk_attempts_total{carrier=alpha,direction=in} 1; trunk_attempts_total{carrier=beta,direction=out} 1
         trunk_outcomes_total{carrier=alpha,direction=in,outcome=answered} 1
         trunk_outcomes_total{carrier=beta,direction=out,outcome=answered} 1
         trunk_setup_seconds{carrier=alpha,direction=in} n=1 sum=0.5
         trunk_setup_seconds{carrier=beta,direction=out} n=1 sum=0.5
         trunk_call_seconds{carrier=alpha,direction=in} n=1 sum=7
         trunk_call_seconds{carrier=beta,direction=out} n=1 sum=7",
    );
}

#[test]
fn a_second_server_of_the_same_carrier_joins_and_another_carrier_does_not() {
    expect_trunks(
        "0.0 alice -> proxy INVITE
         0.1 proxy -> bob INVITE fwd branch=z9hG4bK1
         0.2 proxy <- bob 503
         0.3 proxy -> carol INVITE fwd branch=z9hG4bK2
         0.4 proxy <- carol 503
         0.5 proxy -> dave INVITE fwd branch=z9hG4bK3
         0.6 proxy <- dave 486
         0.7 alice <- proxy 486 fwd
         9.0 alice -> proxy crlf",
        "trunk_attempts_total{carrier=alpha,direction=out} 1; trunk_attempts_total{carrier=beta,direction=out} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=ineffective} 1
         trunk_outcomes_total{carrier=beta,direction=out,outcome=busy} 1
         trunk_outcomes_total{carrier=office,direction=in,outcome=busy} 1",
    );
}

#[test]
fn a_second_server_that_answers_answers_the_attempt_from_its_first_invite() {
    expect_trunks(
        "0.0 proxy -> bob INVITE cseq=1 ftag=a branch=z9hG4bK1
         0.2 proxy <- bob 503
         1.0 proxy -> carol INVITE cseq=1 ftag=a branch=z9hG4bK2
         1.5 proxy <- carol 180
         3.0 proxy <- carol 200
        40.0 alice -> bob crlf",
        "trunk_attempts_total{carrier=alpha,direction=out} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=answered} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=ineffective} 0
         trunk_setup_seconds{carrier=alpha,direction=out} n=1 sum=1.5; trunk_calls{carrier=alpha,direction=out} 1",
    );
}

#[test]
fn of_a_fork_to_two_addresses_the_last_final_decides_and_not_the_best() {
    expect_trunks(
        "0.0 proxy -> bob INVITE via=proxy/z9hG4bK1,alice/z9hG4bK0 ftag=a cseq=1
         0.0 proxy -> carol INVITE via=proxy/z9hG4bK2,alice/z9hG4bK0 ftag=a cseq=1
         0.5 proxy <- bob 603 via=proxy/z9hG4bK1,alice/z9hG4bK0 tag=b
         1.0 proxy <- carol 480 via=proxy/z9hG4bK2,alice/z9hG4bK0 tag=c
         9.0 alice -> bob crlf",
        "trunk_attempts_total{carrier=alpha,direction=out} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=no_answer} 1
         session_outcomes_total{outcome=declined} 1",
    );
}

#[test]
fn a_redirect_ends_it_at_once_and_the_next_inherits_its_start() {
    let redirected = "0.0 proxy -> bob INVITE
         0.1 proxy <- bob 302
         0.2 proxy -> bob ACK\n";
    expect_so_far(redirected, "trunk_outcomes_total{carrier=alpha,direction=out,outcome=redirected} 1");
    expect_trunks(
        &format!(
            "{redirected} 59.0 proxy -> carol INVITE
             60.0 proxy <- carol 180
             61.0 proxy <- carol 200"
        ),
        "trunk_attempts_total{carrier=alpha,direction=out} 2
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=redirected} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=answered} 1
         trunk_setup_seconds{carrier=alpha,direction=out} n=1 sum=60",
    );
    expect_trunks(
        &format!("{redirected} 61.0 proxy -> carol INVITE\n 62.0 proxy <- carol 180"),
        "trunk_attempts_total{carrier=alpha,direction=out} 2; trunk_setup_seconds{carrier=alpha,direction=out} n=1 sum=1",
    );
}

#[test]
fn a_challenge_waits_a_minute_for_its_retry() {
    let challenged = "0.0 proxy -> bob INVITE
         0.1 proxy <- bob 407
         0.2 proxy -> bob ACK\n";
    expect_trunks(
        &format!("{challenged} 50.0 proxy -> bob INVITE\n 51.0 proxy <- bob 200"),
        "trunk_attempts_total{carrier=alpha,direction=out} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=answered} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=challenge_abandoned} 0
         trunk_setup_seconds{carrier=alpha,direction=out} n=1 sum=51",
    );
    expect_trunks(
        &format!("{challenged} 60.0 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=challenge_abandoned} 0",
    );
    expect_trunks(
        &format!("{challenged} 60.1 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=challenge_abandoned} 1",
    );
}

#[test]
fn more_digits_join_and_without_them_the_capture_ends_it() {
    let incomplete = "0.0 proxy -> bob INVITE
         0.1 proxy <- bob 484
         0.2 proxy -> bob ACK\n";
    expect_so_far(
        &format!("{incomplete} 60.0 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=client_error} 0",
    );
    expect_trunks(incomplete, "trunk_outcomes_total{carrier=alpha,direction=out,outcome=client_error} 1");
    expect_trunks(
        &format!("{incomplete} 5.0 proxy -> bob INVITE\n 5.1 proxy <- bob 200"),
        "trunk_attempts_total{carrier=alpha,direction=out} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=answered} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=client_error} 0",
    );
}

#[test]
fn a_losing_branch_that_its_proxy_cancels_is_cancelled() {
    expect_trunks(
        "0.0 alice -> proxy INVITE
         0.1 proxy -> bob INVITE fwd branch=z9hG4bK1
         0.1 proxy -> dave INVITE fwd branch=z9hG4bK2
         0.5 proxy <- bob 180
         0.6 proxy <- dave 180
         2.0 proxy <- dave 200 of=INVITE
         2.1 alice <- proxy 200 fwd
         2.2 proxy -> bob CANCEL
         2.3 proxy <- bob 200 of=CANCEL
         2.4 proxy <- bob 487 of=INVITE
         9.0 alice -> proxy crlf",
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=cancelled} 1
         trunk_outcomes_total{carrier=beta,direction=out,outcome=answered} 1
         trunk_outcomes_total{carrier=office,direction=in,outcome=answered} 1
         session_outcomes_total{outcome=cancelled} 0; session_outcomes_total{outcome=answered} 1",
    );
}

#[test]
fn a_cancel_after_its_487_counts_and_a_refused_one_does_not() {
    expect_trunks(
        "0.0 proxy -> bob INVITE
         0.5 proxy <- bob 180
         2.1 proxy <- bob 487 of=INVITE
         2.2 proxy -> bob CANCEL",
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=cancelled} 1",
    );
    expect_trunks(
        "0.0 proxy -> bob INVITE
         0.5 proxy <- bob 180
         2.0 proxy -> bob CANCEL
         2.1 proxy <- bob 481 of=CANCEL
         5.0 proxy <- bob 486 of=INVITE",
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=busy} 1",
    );
}

#[test]
fn silence_times_out_after_32_seconds() {
    let silent = "0.0 proxy -> bob INVITE\n";
    expect_so_far(
        &format!("{silent} 33.9 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=timeout} 0",
    );
    expect_so_far(
        &format!("{silent} 34.0 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=timeout} 1",
    );
}

#[test]
fn a_hop_times_out_although_another_carrier_answered() {
    expect_trunks(
        "0.0 alice -> proxy INVITE
         0.1 proxy -> bob INVITE fwd branch=z9hG4bK1
         4.0 proxy -> dave INVITE fwd branch=z9hG4bK2
         5.0 proxy <- dave 200 of=INVITE
         5.1 alice <- proxy 200 fwd
        34.1 alice -> proxy crlf",
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=timeout} 1
         trunk_outcomes_total{carrier=beta,direction=out,outcome=answered} 1; transaction_timeouts_total{method=INVITE} 0",
    );
}

#[test]
fn of_timeouts_only_that_of_the_newest_counts() {
    expect_so_far(
        "0.0 proxy -> bob INVITE cseq=1 ftag=a branch=z9hG4bK1
         4.0 proxy -> carol INVITE cseq=1 ftag=a branch=z9hG4bK2
         5.0 proxy <- carol 480
         7.0 alice -> bob crlf",
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=no_answer} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=timeout} 0",
    );
    // One that works on is waited for, but its own timeout decides nothing.
    let works = "0.0 proxy -> bob INVITE cseq=1 ftag=a branch=z9hG4bK1
         1.0 proxy <- bob 100
         4.0 proxy -> carol INVITE cseq=1 ftag=a branch=z9hG4bK2
         5.0 proxy <- carol 480\n";
    expect_so_far(
        &format!("{works} 185.9 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=no_answer} 0",
    );
    expect_so_far(
        &format!("{works} 186.0 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=no_answer} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=no_final} 0",
    );
}

#[test]
fn a_provisional_gives_185_seconds_and_a_repeated_one_again() {
    let ringing = "0.0 proxy -> bob INVITE
         0.1 proxy <- bob 100
        60.0 proxy <- bob 183
       120.0 proxy <- bob 183 again\n";
    expect_so_far(
        &format!("{ringing} 306.9 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=no_final} 0",
    );
    expect_so_far(
        &format!("{ringing} 307.0 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=no_final} 1
         trunk_setup_seconds{carrier=alpha,direction=out} n=1 sum=60",
    );
}

#[test]
fn given_up_and_acknowledged_it_is_over_after_32_seconds() {
    let given_up = "0.0 proxy -> bob INVITE
         0.1 proxy <- bob 180
         5.0 proxy -> bob CANCEL
         5.1 proxy <- bob 200 of=CANCEL
        20.0 proxy <- bob 180 again\n";
    expect_so_far(
        &format!("{given_up} 38.9 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=cancelled} 0",
    );
    expect_so_far(
        &format!("{given_up} 39.0 alice -> bob crlf"),
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=cancelled} 1",
    );
    // A 1xx that comes only then gives it no more time either.
    expect_so_far(
        "0.0 proxy -> bob INVITE
         5.0 proxy -> bob CANCEL
         5.1 proxy <- bob 200 of=CANCEL
        20.0 proxy <- bob 180 of=INVITE
        39.0 alice -> bob crlf",
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=cancelled} 1",
    );
}

#[test]
fn a_caller_that_hangs_up_before_the_answer_gives_up_its_own_trunk() {
    expect_trunks(
        "0.0 alice -> proxy INVITE
         0.1 alice <- proxy 180
         3.0 alice -> proxy BYE
         3.1 alice <- proxy 200 of=BYE
         3.2 alice <- proxy 487 of=INVITE",
        "trunk_outcomes_total{carrier=office,direction=in,outcome=cancelled} 1",
    );
}

#[test]
fn an_answer_that_passes_unseen_is_unseen_on_the_trunk_too() {
    expect_trunks(
        "0.0 alice -> bob INVITE
         1.0 alice -> bob ACK ttag=b
         9.0 alice -> bob crlf",
        "trunk_outcomes_total{carrier=office,direction=in,outcome=unseen} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=unseen} 1",
    );
}

#[test]
fn a_recording_session_is_no_trunk_attempt() {
    expect_trunks(
        "0.0 proxy -> bob INVITE hdr=\"Require: siprec\" hdr=\"Content-Type: multipart/mixed\"
         0.1 proxy <- bob 200",
        "recording_sessions_total 1; trunk_attempts_total{carrier=alpha,direction=out} 0",
    );
}

#[test]
fn in_dialog_invites_are_no_trunk_attempts() {
    expect_trunks(
        "0.0 proxy -> bob INVITE
         0.1 proxy <- bob 200
         0.2 proxy -> bob ACK
         5.0 proxy -> bob INVITE
         5.1 proxy <- bob 200
         5.2 proxy -> bob ACK",
        "trunk_attempts_total{carrier=alpha,direction=out} 1; trunk_calls{carrier=alpha,direction=out} 1",
    );
}

#[test]
fn of_several_pairs_of_addresses_the_first_that_matches_decides_for_each_direction() {
    // A balancer that adds no Via: the same transaction comes from the office and goes on to alpha.
    expect_trunks(
        "0.000 alice -> proxy INVITE branch=z9hG4bK0 ftag=a cseq=1
         0.001 proxy -> bob INVITE copy
         0.002 proxy -> dave INVITE copy
         1.000 proxy <- bob 180 via=alice/z9hG4bK0
         1.001 alice <- proxy 180 copy
         2.000 proxy <- bob 200 via=alice/z9hG4bK0
         2.001 alice <- proxy 200 copy",
        "trunk_attempts_total{carrier=office,direction=in} 1; trunk_attempts_total{carrier=alpha,direction=out} 1
         trunk_attempts_total{carrier=beta,direction=out} 0
         trunk_outcomes_total{carrier=office,direction=in,outcome=answered} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=answered} 1
         trunk_setup_seconds{carrier=alpha,direction=out} n=1 sum=1",
    );
}

#[test]
fn a_late_answer_changes_nothing() {
    expect_trunks(
        "0.0 proxy -> bob INVITE
         0.1 proxy <- bob 503
         3.0 proxy <- bob 200",
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=ineffective} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=answered} 0; trunk_calls{carrier=alpha,direction=out} 0",
    );
    expect_trunks(
        "0.0 proxy -> bob INVITE
        33.0 proxy <- bob 200
        40.0 alice -> bob crlf",
        "trunk_outcomes_total{carrier=alpha,direction=out,outcome=timeout} 1
         trunk_outcomes_total{carrier=alpha,direction=out,outcome=answered} 0; trunk_calls{carrier=alpha,direction=out} 0",
    );
}

#[test]
fn a_call_ends_with_its_dialog_however_that_ends() {
    // The BYE is never answered.
    expect_trunks(
        "0.0 proxy -> bob INVITE
         1.0 proxy <- bob 200
         1.1 proxy -> bob ACK
        11.0 proxy -> bob BYE
        45.0 alice -> bob crlf",
        "trunk_calls{carrier=alpha,direction=out} 0; trunk_call_seconds{carrier=alpha,direction=out} n=1 sum=10",
    );
    // The session timer runs out: there is no BYE.
    expect_trunks(
        "0.0 proxy -> bob INVITE
         1.0 proxy <- bob 200 se=90
         1.1 proxy -> bob ACK
        91.0 alice -> bob crlf",
        "trunk_calls{carrier=alpha,direction=out} 0; trunk_call_seconds{carrier=alpha,direction=out} n=0
         sessions_ended_total{end=expired} 1",
    );
}

#[test]
fn a_call_whose_answer_reached_nobody_ends_when_its_invite_is_forgotten() {
    let answered = "0.0 alice -> proxy INVITE
         0.1 proxy -> bob INVITE fwd branch=z9hG4bK1
         1.0 proxy <- bob 200 of=INVITE
         1.1 alice <- proxy 486 of=INVITE\n";
    expect_trunks(
        &format!("{answered} 20.0 alice -> proxy crlf"),
        "trunk_calls{carrier=alpha,direction=out} 1; trunk_outcomes_total{carrier=alpha,direction=out,outcome=answered} 1",
    );
    let mut player = Player::new(Config::default(), Labelled::No).with_carriers();
    player.play(&format!("{answered} 120.0 alice -> proxy crlf"));
    player.exported().expect(
        "trunk_calls{carrier=alpha,direction=out} 0; trunk_call_seconds{carrier=alpha,direction=out} n=0
         trunk_outcomes_total{carrier=office,direction=in,outcome=busy} 1",
    );
    assert_eq!(player.held().iter().map(|(_, held)| held).sum::<f64>(), 0.0, "{:?}", player.held());
}

#[test]
fn nothing_is_held_once_all_is_over() {
    let mut player = Player::new(Config::default(), Labelled::No).with_carriers();
    player.play(&format!("{REFUSED_THEN_ANSWERED} 200.0 alice -> proxy crlf"));
    assert_eq!(player.held().iter().map(|(_, held)| held).sum::<f64>(), 0.0, "{:?}", player.held());
}

#[test]
fn a_record_says_of_each_invite_over_which_trunks_it_went() {
    let mut player = Player::new(Config::default(), Labelled::No).with_carriers();
    player.play(REFUSED_THEN_ANSWERED);
    let calls = player.drain();
    assert_eq!(calls.len(), 1);
    let told: Vec<String> = (calls[0].transactions.iter())
        .map(|transaction| {
            let carriers = transaction.carriers();
            let trunks: String =
                carriers.map(|(direction, carrier)| format!(" {} {carrier}", direction.as_str())).collect();
            format!("{}{trunks}", transaction.method.as_str())
        })
        .collect();
    assert_eq!(told, ["INVITE in office", "INVITE out alpha", "INVITE out beta", "BYE", "BYE"]);
}

#[test]
fn a_record_has_both_ends_of_an_invite_also_where_they_show_apart() {
    for ladder in [
        "0.0 bob -> dave INVITE\n 0.1 bob <- dave 486\n 0.2 bob -> dave ACK\n 9.0 bob -> dave crlf",
        "0.0 bob -> proxy INVITE branch=z9hG4bK0 ftag=a cseq=1
         0.1 proxy -> dave INVITE copy
         0.2 proxy <- dave 486 via=bob/z9hG4bK0
         9.0 bob -> dave crlf",
    ] {
        let mut player = Player::new(Config::default(), Labelled::No).with_carriers();
        player.play(ladder);
        let calls = player.drain();
        let invite = &calls[0].transactions[0];
        let carrier = |direction| invite.carrier(direction).map(|carrier| &**carrier);
        assert_eq!((carrier(Direction::In), carrier(Direction::Out)), (Some("alpha"), Some("beta")));
    }
}
