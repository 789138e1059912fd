//! 4.5: registration attempts and bindings.

use crate::expect::expect;

#[test]
fn a_challenge_and_its_retry_are_one_attempt() {
    expect(
        "0.00 alice -> registrar REGISTER
         0.02 alice <- registrar 401
         0.10 alice -> registrar REGISTER ftag=other
         0.13 alice <- registrar 200 contact=\"<sip:1@a>;expires=60\"",
        "registration_attempts_total 1; registration_outcomes_total{outcome=success} 1; rrd n=1 sum=30; ira_rfc6076 0
         rrd_rfc6076_seconds n=1 sum=0.13; registrations_active 1; register_total 2; ser undefined",
    );
}

#[test]
fn each_final_has_its_outcome() {
    for (status, outcome, failed) in [
        (200, "success", 0),
        (302, "redirected", 0),
        (403, "failure", 100),
        (402, "auth_abandoned", 0),
        (503, "failure", 100),
        (600, "failure", 100),
    ] {
        expect(
            &format!("0.0 alice -> registrar REGISTER\n 0.1 alice <- registrar {status}"),
            &format!("registration_outcomes_total{{outcome={outcome}}} 1; ira_rfc6076 {failed}"),
        );
    }
}

#[test]
fn a_challenge_without_retry_is_abandoned() {
    for status in [401, 407, 423] {
        let ladder = format!("0.0 alice -> registrar REGISTER\n 0.1 alice <- registrar {status}\n");
        expect(&format!("{ladder} 60.0 alice -> bob crlf"), "registration_outcomes_total{outcome=auth_abandoned} 0");
        expect(
            &format!("{ladder} 60.1 alice -> bob crlf"),
            "registration_outcomes_total{outcome=auth_abandoned} 1; ira_rfc6076 0",
        );
    }
}

#[test]
fn a_redirected_registration_goes_on_with_its_first_time() {
    expect(
        "0.0 alice -> registrar REGISTER
         0.1 alice <- registrar 302
         1.0 alice -> registrar REGISTER
         1.2 alice <- registrar 200 contact=\"<sip:1@a>\"",
        "registration_attempts_total 2; registration_outcomes_total{outcome=redirected} 1; lrd n=1 sum=100
         registration_outcomes_total{outcome=success} 1; rrd n=1 sum=200; rrd_rfc6076_seconds n=1 sum=1.2",
    );
}

#[test]
fn a_2xx_replaces_the_whole_set() {
    expect(
        "0.0 alice -> registrar REGISTER
         0.1 alice <- registrar 200 contact=\"<sip:1@a>;expires=60, <sip:2@a>;expires=90, <sip:3@a>;expires=0\"",
        "registrations_active 2",
    );
    expect(
        "0.0 alice -> registrar REGISTER
         0.1 alice <- registrar 200 contact=\"<sip:1@a>;expires=60, <sip:2@a>;expires=90\"
         5.0 alice -> registrar REGISTER
         5.1 alice <- registrar 200 contact=\"<sip:1@a>;expires=60\"
        70.0 alice -> bob crlf",
        "registrations_active 0; registrations_expired_total 1",
    );
    expect(
        "0.0 alice -> registrar REGISTER
         0.1 alice <- registrar 200 contact=\"<sip:1@a>;expires=60\"
         5.0 alice -> registrar REGISTER contact=* expires=0
         5.1 alice <- registrar 200 contact=none
        99.0 alice -> bob crlf",
        "registrations_active 0; registrations_expired_total 0",
    );
}

#[test]
fn a_lifetime_comes_from_the_contact_then_the_header_then_is_an_hour() {
    let answer = |words: &str, until: &str| {
        format!(
            "0.0 alice -> registrar REGISTER\n 0.5 alice <- registrar 200 contact=\"<sip:1@a>\" {words}\n {until} alice -> bob crlf"
        )
    };
    expect(&answer("expires=100", "100.4"), "registrations_active 1");
    expect(&answer("expires=100", "100.5"), "registrations_active 0; registrations_expired_total 1");
    expect(&answer("", "3600.4"), "registrations_active 1");
    expect(&answer("", "3600.5"), "registrations_active 0");
}

#[test]
fn addresses_of_record_differ_by_user_and_not_by_case_of_the_host() {
    expect(
        "0.0 alice -> registrar REGISTER call=a to=sip:1@Example.com
         0.1 alice <- registrar 200 call=a contact=\"<sip:1@a>\"
         1.0 alice -> registrar REGISTER call=b to=sip:1@example.com;transport=udp
         1.1 alice <- registrar 200 call=b contact=\"<sip:1@A;ob>\"
         2.0 alice -> registrar REGISTER call=c to=sip:2@example.com
         2.1 alice <- registrar 200 call=c contact=\"<sip:2@c>\"",
        "registrations_active 2; registration_attempts_total 3",
    );
}

#[test]
fn a_registration_over_a_proxy_is_measured_where_the_phone_is() {
    expect(
        "0.000 alice -> proxy REGISTER
         0.001 proxy -> registrar REGISTER fwd
         0.010 proxy <- registrar 401
         0.011 alice <- proxy 401 fwd
         0.100 alice -> proxy REGISTER
         0.101 proxy -> registrar REGISTER fwd
         0.110 proxy <- registrar 200 contact=\"<sip:1@a>;expires=60\"
         0.112 alice <- proxy 200 fwd",
        "register_total 2; registration_attempts_total 1; registration_outcomes_total{outcome=success} 1; 401_total 1; 200_total 1
         rrd n=1 sum=12; rrd_rfc6076_seconds n=1 sum=0.112; registrations_active 1; packets_total 8",
    );
}

#[test]
fn an_interval_too_brief_is_tried_again_within_the_attempt() {
    expect(
        "0.0 alice -> registrar REGISTER expires=10
         0.1 alice <- registrar 423 hdr=\"Min-Expires: 60\"
         0.2 alice -> registrar REGISTER expires=60
         0.3 alice <- registrar 401
         0.4 alice -> registrar REGISTER expires=60
         0.5 alice <- registrar 200 expires=60 contact=\"<sip:1@a>\"
        60.4 alice -> registrar crlf",
        "registration_attempts_total 1; registration_outcomes_total{outcome=success} 1; rrd n=1 sum=100; registrations_active 1
         rrd_rfc6076_seconds n=1 sum=0.5; registrations_expired_total 0; register_total 3",
    );
}

#[test]
fn wrong_credentials_end_in_a_failure() {
    expect(
        "0.0 alice -> registrar REGISTER
         0.1 alice <- registrar 401
         0.2 alice -> registrar REGISTER
         0.3 alice <- registrar 403",
        "registration_attempts_total 1; registration_outcomes_total{outcome=failure} 1; ira_rfc6076 100; rrd n=0",
    );
}

#[test]
fn a_redirect_and_then_a_challenge_keep_the_first_start() {
    expect(
        "0.0 alice -> registrar REGISTER
         0.1 alice <- registrar 302
         1.0 alice -> registrar REGISTER
         1.1 alice <- registrar 401
         2.0 alice -> registrar REGISTER
         2.5 alice <- registrar 200 contact=none",
        "registration_attempts_total 2; registration_outcomes_total{outcome=redirected} 1; registration_outcomes_total{outcome=success} 1
         rrd_rfc6076_seconds n=1 sum=2.5; rrd n=1 sum=500; lrd n=1 sum=100; ira_rfc6076 0; registrations_active 0",
    );
}

#[test]
fn an_answer_after_the_timeout_binds_nothing() {
    expect(
        "0.0 alice -> registrar REGISTER
        32.5 alice <- registrar 200 contact=\"<sip:1@a>\"",
        "registration_outcomes_total{outcome=timeout} 1; ira_rfc6076 100; late_responses_total 1; registrations_active 0; rrd n=0
         transaction_timeouts_total{method=REGISTER} 1; rrd_rfc6076_seconds n=0",
    );
}

#[test]
fn refreshes_and_removals_are_attempts_of_their_own() {
    expect(
        "0.0 alice -> registrar REGISTER expires=60
         0.1 alice <- registrar 200 expires=60 contact=\"<sip:1@a>\"
        50.0 alice -> registrar REGISTER expires=60 ftag=new
        50.1 alice <- registrar 200 expires=60 contact=\"<sip:1@a>\"
        90.0 alice -> registrar REGISTER ftag=newer contact=\"<sip:1@a>;expires=0\"
        90.1 alice <- registrar 200 contact=none
       200.0 alice -> registrar crlf",
        "registration_attempts_total 3; registration_outcomes_total{outcome=success} 3; registrations_active 0; registrations_expired_total 0
         rrd n=3 sum=300",
    );
}

#[test]
fn two_phones_of_one_call_id_replace_only_their_own_bindings() {
    expect(
        "0.0 alice -> registrar REGISTER to=sip:1@r
         0.1 alice <- registrar 200 contact=\"<sip:1@a>;expires=60\"
         1.0 alice -> registrar REGISTER to=sip:2@r
         1.1 alice <- registrar 200 contact=\"<sip:2@a>;expires=90\"
        60.1 alice -> registrar crlf",
        "registration_attempts_total 2; registrations_active 1; registrations_expired_total 1",
    );
}

#[test]
fn a_retransmitted_registration_counts_once_and_does_not_refresh() {
    expect(
        "0.0 alice -> registrar REGISTER
         0.5 alice -> registrar REGISTER again
         0.6 alice <- registrar 200 contact=\"<sip:1@a>;expires=5\"
         3.0 alice -> registrar REGISTER again
         3.1 alice <- registrar 200 again
         5.6 alice -> registrar crlf",
        "register_total 1; rrd n=1 sum=600; registrations_active 0; registrations_expired_total 1
         retransmissions_total{kind=request,hop=first} 2; retransmissions_total{kind=response,hop=first} 1",
    );
}

#[test]
fn an_answer_without_its_request_binds_under_no_labels_and_is_no_attempt() {
    expect(
        "0.0 alice <- registrar 200 of=REGISTER cseq=1 ftag=a branch=z9hG4bKx contact=\"<sip:1@a>;expires=60\"",
        "registrations_active 1; registration_attempts_total 0; rrd n=0; unmatched_total{kind=response} 1; ira_rfc6076 undefined",
    );
}
