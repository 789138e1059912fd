//! Every status of the lists that say what is an error, and its neighbours.

use std::sync::Arc;

use wire::{Tap, Timestamp};

use super::*;
use crate::call::ladder::SpanId;
use crate::frame::Transport;

fn transaction(method: Method, status: Option<u16>) -> Transaction {
    Transaction {
        span: SpanId([1; 8]),
        parent: SpanId([2; 8]),
        method,
        cseq: 1,
        branch: "z9hG4bK1".into(),
        source: 0,
        destination: 1,
        transport: Transport::Udp,
        tap: Tap::Recipient,
        hop: false,
        in_dialog: false,
        start: Timestamp::ZERO,
        end: None,
        status,
        reason: None,
        cancelled: false,
        timed_out: false,
        retransmissions: 0,
        hops: 0,
        below_remote: false,
        rare: None,
    }
}

fn call(outcome: &'static str, status: Option<u16>) -> CallRecord {
    CallRecord {
        call_id: "a".into(),
        trace_id: [1; 16],
        span: SpanId([1; 8]),
        outcome,
        status,
        ..CallRecord::begun(Subject::Call, Timestamp::ZERO)
    }
}

#[test]
fn answers_that_tell_the_caller_what_to_do_are_no_errors_of_a_transaction() {
    let no_error = [401, 402, 404, 407, 410, 413, 415, 416, 420, 421, 422, 423, 480, 484, 486, 494, 600, 603];
    for status in 100..700 {
        let error = transaction(Method::Invite, Some(status)).error();
        let expected = (status >= 400 && !no_error.contains(&status)).then_some(ErrorType::Status(status));
        assert_eq!(error, expected, "{status}");
    }
}

#[test]
fn a_487_is_an_error_unless_its_invite_was_cancelled() {
    let mut invite = transaction(Method::Invite, Some(487));
    assert_eq!(invite.error(), Some(ErrorType::Status(487)));
    invite.cancelled = true;
    assert_eq!(invite.error(), None);
}

#[test]
fn a_transaction_without_a_final_is_an_error_once_it_timed_out() {
    let mut bye = transaction(Method::Bye, None);
    assert_eq!(bye.error(), None);
    bye.timed_out = true;
    assert_eq!(bye.error(), Some(ErrorType::Timeout));
}

#[test]
fn a_call_is_an_error_by_the_outcome_of_its_last_attempt() {
    for outcome in Outcome::ALL {
        let failed = matches!(
            outcome,
            Outcome::Ineffective
                | Outcome::Timeout
                | Outcome::NoFinal
                | Outcome::ChallengeAbandoned
                | Outcome::ClientError
                | Outcome::ServerError
                | Outcome::GlobalError
        );
        assert_eq!(call(outcome.as_str(), Some(499)).error().is_some(), failed, "{}", outcome.as_str());
    }
    assert_eq!(call(IN_PROGRESS, None).error(), None);
}

#[test]
fn the_error_of_a_call_names_the_status_or_why_there_is_none() {
    let text = |outcome: Outcome, status| call(outcome.as_str(), status).error().map(|error| error.to_string());
    assert_eq!(text(Outcome::Ineffective, Some(503)).as_deref(), Some("503"));
    assert_eq!(text(Outcome::Timeout, None).as_deref(), Some("timeout"));
    assert_eq!(text(Outcome::NoFinal, None).as_deref(), Some("timeout"));
    assert_eq!(text(Outcome::ChallengeAbandoned, Some(401)).as_deref(), Some("challenge_abandoned"));
    for status in [404, 410, 484] {
        assert_eq!(text(Outcome::ClientError, Some(status)), None);
    }
}

#[test]
fn an_offered_trace_is_joined_for_trusted_carriers_alone() {
    let mut record = call("answered", Some(200));
    let offered = crate::call::Offered {
        trace_id: [7; 16],
        parent: SpanId([8; 8]),
        trusted: Arc::from([Box::from("telecom-alpha")]),
    };
    record.offered = Some(Box::new(offered));
    assert_eq!(record.trace("telecom-alpha").id, [7; 16]);
    assert_eq!(record.trace("telecom-alpha").parent, Some(SpanId([8; 8])));
    assert_eq!(record.trace("other").id, [1; 16]);
    assert_eq!(record.trace("other").parent, None);
}
