//! 3.5: the seed's session store.

use crate::expect::expect;

const ANSWERED: &str = "
    0.0 alice -> bob INVITE
    1.0 alice <- bob 200 tag=b
    1.1 alice -> bob ACK\n";

#[test]
fn a_session_without_timer_completes_after_half_an_hour() {
    expect(&format!("{ANSWERED} 1800.9 alice -> bob crlf"), "sessions 1; sdc_total 0");
    expect(
        &format!("{ANSWERED} 1801.0 alice -> bob crlf"),
        "sessions 0; sdc_total 1; dialogs{state=confirmed} 1; spd n=0",
    );
}

#[test]
fn every_refresh_starts_the_half_hour_anew() {
    expect(
        &format!("{ANSWERED} 1000 alice -> bob INVITE\n 1000.5 alice <- bob 200 of=INVITE\n 2800 alice -> bob crlf"),
        "sessions 1; sdc_total 0",
    );
}

#[test]
fn a_bye_after_expiry_has_no_effect() {
    expect(
        &format!("{ANSWERED} 1900 alice -> bob BYE\n 1900.1 alice <- bob 200"),
        "sdc_total 1; spd n=0; sessions 0; sessions_ended_total{end=bye} 1; sdt_seconds{result=success} n=1 sum=1899",
    );
}

#[test]
fn a_lost_bye_leaves_the_session_until_expiry() {
    expect(
        &format!("{ANSWERED} 9 alice -> bob BYE\n 100 alice -> bob crlf"),
        "sessions 1; sessions_ended_total{end=bye_timeout} 1",
    );
    expect(&format!("{ANSWERED} 9 alice -> bob BYE\n 1801 alice -> bob crlf"), "sessions 0; sdc_total 1");
}

#[test]
fn a_bye_answered_by_another_2xx_does_not_complete_it() {
    expect(
        &format!("{ANSWERED} 9 alice -> bob BYE\n 9.1 alice <- bob 202"),
        "sessions 1; sdc_total 0; sessions_ended_total{end=bye} 1",
    );
}

#[test]
fn a_session_that_outlived_its_dialog_and_is_then_hung_up_leaves_nothing_behind() {
    expect(
        &format!(
            "{ANSWERED} 9 alice -> bob BYE\n 200 alice -> bob BYE\n 200.1 alice <- bob 200 of=BYE cseq=3
             201 alice -> bob INFO ttag=b cseq=9"
        ),
        "sessions 0; sdc_total 1; spd n=1 sum=199.1; sessions_ended_total{end=bye_timeout} 1",
    );
}
