//! 0.4: whose labels everything has.

use crate::expect::expect_labelled;

#[test]
fn everything_in_a_call_has_the_labels_of_its_invite() {
    expect_labelled(
        "0.0 alice -> bob INVITE ua=Phone
         0.5 alice <- bob 180
         1.0 alice <- bob 200
         1.1 alice -> bob ACK ua=Other
         9.0 alice <- bob BYE ua=Callee
         9.1 alice -> bob 200",
        "packets_total{carrier=192.0.2.10,ua_type=Phone} 6; bye_total{carrier=192.0.2.10,ua_type=Phone} 1
         ack_total{carrier=192.0.2.10,ua_type=Phone} 1; 200_total{carrier=192.0.2.10,ua_type=Phone} 2
         sdc_total{carrier=192.0.2.10,ua_type=Phone} 1; sessions_ended_total{carrier=192.0.2.10,ua_type=Phone,end=bye} 1
         ser{carrier=192.0.2.10,ua_type=Phone} 100; dialogs{carrier=192.0.2.10,ua_type=Phone,state=confirmed} 0",
    );
}

#[test]
fn a_retry_has_its_own_source_but_the_attempt_keeps_the_first() {
    expect_labelled(
        "0.0 alice -> bob INVITE ua=First
         0.1 alice <- bob 401
         0.2 alice -> bob INVITE ua=Second
         1.0 alice <- bob 200",
        "invite_total{carrier=192.0.2.10,ua_type=First} 1; invite_total{carrier=192.0.2.10,ua_type=Second} 1
         session_outcomes_total{carrier=192.0.2.10,ua_type=First,outcome=answered} 1
         ratio_input_total{carrier=192.0.2.10,ua_type=Second,input=N200} 1
         answer_delay_seconds{carrier=192.0.2.10,ua_type=First} n=1 sum=1; sessions{carrier=192.0.2.10,ua_type=Second} 1
         dialogs{carrier=192.0.2.10,ua_type=First,state=confirmed} 1",
    );
}

#[test]
fn cancel_and_the_ack_of_a_failure_have_the_labels_of_their_invite() {
    expect_labelled(
        "0.0 alice -> bob INVITE ua=Phone
         0.1 alice <- bob 180
         0.2 alice -> bob CANCEL ua=Else
         0.3 alice <- bob 487 of=INVITE
         0.4 alice -> bob ACK ua=Else",
        "cancel_total{carrier=192.0.2.10,ua_type=Phone} 1; ack_total{carrier=192.0.2.10,ua_type=Phone} 1",
    );
}

#[test]
fn a_request_of_an_unknown_dialog_has_its_own_source_and_an_orphan_response_none() {
    expect_labelled(
        "0.0 alice -> bob BYE ttag=x cseq=3 ua=Phone
         1.0 carol -> bob INFO ttag=y cseq=3 call=other
         2.0 carol <- bob 200 call=third of=INVITE cseq=1 ftag=q tag=z branch=z9hG4bKq",
        "bye_total{carrier=192.0.2.10,ua_type=Phone} 1; 200_total{carrier=other,ua_type=other} 1
         sessions{carrier=other,ua_type=other} 1",
    );
}

#[test]
fn a_late_request_of_an_ended_dialog_still_has_its_labels() {
    expect_labelled(
        "0.0 alice -> bob INVITE ua=Phone
         1.0 alice <- bob 200
         1.1 alice -> bob ACK
         9.0 alice -> bob BYE
         9.1 alice <- bob 200
        20.0 alice <- bob BYE ua=Callee",
        "bye_total{carrier=192.0.2.10,ua_type=Phone} 2",
    );
}

#[test]
fn a_binding_has_the_labels_of_the_register_that_refreshed_it() {
    expect_labelled(
        "0.0 alice -> registrar REGISTER ua=Old to=sip:1@r
         0.1 alice <- registrar 200 contact=\"<sip:1@a>;expires=60\"
         9.0 alice -> registrar REGISTER ua=New to=sip:1@r
         9.1 alice <- registrar 200 contact=\"<sip:1@a>;expires=60\"",
        "registrations_active{carrier=192.0.2.10,ua_type=Old} 0; registrations_active{carrier=192.0.2.10,ua_type=New} 1",
    );
}
