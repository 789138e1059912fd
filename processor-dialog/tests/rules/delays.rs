//! 4.4, 4.6: which delays are measured, from where to where.

use crate::expect::expect;

#[test]
fn without_a_provisional_there_is_no_ttr_and_pdd_runs_to_the_answer() {
    expect(
        "0.0 alice -> bob INVITE
         0.7 alice <- bob 200",
        "ttr n=0; pdd n=1 sum=700; srd_seconds{result=success} n=1 sum=0.7; ring_seconds{result=answered} n=0",
    );
}

#[test]
fn a_failure_without_ringing_has_no_pdd_and_its_setup_delay_runs_to_the_final() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 100
         0.7 alice <- bob 408",
        "ttr n=1 sum=100; pdd n=0; srd_seconds{result=failure} n=1 sum=0.7",
    );
}

#[test]
fn an_untagged_provisional_gives_a_setup_delay_only_when_there_is_no_other() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 180 tag=-
         0.2 alice <- bob 183 tag=-
         2.0 alice <- bob 200 tag=b",
        "srd_seconds{result=success} n=1 sum=0.1; dialogs{state=early} 0; dialogs{state=confirmed} 1",
    );
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 180 tag=-
         0.2 alice <- bob 183 tag=c
         2.0 alice <- bob 200 tag=b",
        "srd_seconds{result=success} n=3 sum=2.3",
    );
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 180 tag=c
         0.2 alice <- bob 183 tag=-
         2.0 alice <- bob 200 tag=c",
        "srd_seconds{result=success} n=1 sum=0.1",
    );
}

#[test]
fn a_branch_that_rings_after_the_answer_gives_its_delay_at_once() {
    expect(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200 tag=b
         1.5 alice <- bob 180 tag=c",
        "srd_seconds{result=success} n=2 sum=2.5; dialogs{state=early} 1",
    );
}

#[test]
fn nothing_is_measured_of_an_attempt_that_was_never_decided() {
    expect(
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 180
       200.0 alice -> bob crlf",
        "srd_seconds{result=failure} n=0; ring_seconds{result=unanswered} n=0; pdd n=1 sum=1000",
    );
}

#[test]
fn retransmissions_never_move_an_end() {
    expect(
        "0.0 alice -> bob INVITE
         0.5 alice -> bob INVITE again
         0.6 alice <- bob 180 tag=b
         1.6 alice <- bob 180 again
         3.0 alice <- bob 200 tag=b
         3.5 alice <- bob 200 again
         9.0 alice -> bob BYE
         9.5 alice -> bob BYE again
         9.6 alice <- bob 200 of=BYE",
        "ttr n=1 sum=600; answer_delay_seconds n=1 sum=3; ring_seconds{result=answered} n=1 sum=2.4
         sdt_seconds{result=success} n=1 sum=6; sdd_seconds{result=success} n=1 sum=0.6; spd n=1 sum=6.6",
    );
}

#[test]
fn options_is_measured_to_its_first_response_of_any_class() {
    expect("0.0 alice -> bob OPTIONS\n 0.1 alice <- bob 100\n 0.2 alice <- bob 200", "ord n=1 sum=100");
    expect("0.0 alice -> bob OPTIONS\n 0.2 alice <- bob 404", "ord n=1 sum=200");
}
