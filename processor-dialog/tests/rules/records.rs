//! Random traffic, whatever it is: what holds of every record and of all of them together.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use call_records::{self, Emit};
use pipeline::CallRecord;
use pipeline::call::Subject;
use pipeline::call::ladder::{Owner, SpanId};
use processor_dialog::Config;
use proptest::prelude::*;

use crate::expect::{Labelled, Player};
use crate::recorded::{all, ladder, spans};
use crate::traffic::{calls, played};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_message_has_one_place_every_span_a_parent_and_an_id_of_its_own(
        messages in played(),
        max_calls in prop::sample::select(vec![1usize, 3, 1000]),
        emit in prop::sample::select(vec![Emit::OnEnd, Emit::Progressive]),
        max_segment in prop::sample::select(vec![1u64, 60, 900]),
    ) {
        let max_segment = Duration::from_secs(max_segment);
        let calls_config = call_records::Config { emit, max_segment, ..call_records::Config::default() };
        let config = Config { max_calls, calls: calls_config, ..Config::default() };
        let mut player = Player::new(config, Labelled::No);
        let traffic = calls();
        let mut now = Duration::ZERO;
        for played in messages {
            now += Duration::from_millis(played.pause);
            let call = &traffic[played.call];
            player.take(now, Some(call[played.message % call.len()].clone()));
        }
        let records = player.drain();
        let exported = player.exported();
        let copies = exported.numbers().filter(|(series, _)| series.starts_with("capture_duplicates_total"));
        let copies: f64 = copies.map(|(_, count)| count).sum();
        check(&records, copies as u32)?;
    }
}

fn check(records: &[CallRecord], copies: u32) -> Result<(), TestCaseError> {
    // By the span of the call: what earlier pieces told.
    let mut told: HashMap<SpanId, Told> = HashMap::new();
    let mut unlisted = 0;
    for record in records {
        let before = told.entry(record.span).or_default();
        prop_assert_eq!(record.piece, before.pieces + 1);
        check_places(record)?;
        for span in all(record) {
            prop_assert!(before.spans.insert(span.id), "{}{}", spans(record), ladder(record));
            prop_assert!(record.start <= span.start, "{}{}", spans(record), ladder(record));
            prop_assert!(
                span.end.is_none_or(|end| span.start <= end && end <= record.until),
                "{}{}",
                spans(record),
                ladder(record)
            );
        }
        for span in all(record) {
            prop_assert!(
                span.parent == record.span || before.spans.contains(&span.parent),
                "{}{}",
                spans(record),
                ladder(record)
            );
        }
        if record.subject == Subject::Call {
            // Every span hangs below the call's, or what left before: none below itself.
            spans(record);
        }
        before.pieces += 1;
        before.listed += record.ladder.len() as u32;
        if record.last {
            if record.subject == Subject::Call {
                let listed = before.listed + record.ladder_cut + record.retransmissions;
                prop_assert!(
                    listed <= record.messages,
                    "{} of {}: {}{}",
                    listed,
                    record.messages,
                    spans(record),
                    ladder(record)
                );
                unlisted += record.messages - listed;
            }
            told.remove(&record.span);
        }
    }
    prop_assert!(unlisted <= copies, "{} messages are nowhere, {} were copies", unlisted, copies);
    prop_assert!(told.is_empty(), "every record has an end");
    Ok(())
}

#[derive(Default)]
struct Told {
    pieces: u32,
    spans: HashSet<SpanId>,
    listed: u32,
}

/// Indices lead somewhere, and time goes on.
fn check_places(record: &CallRecord) -> Result<(), TestCaseError> {
    let endpoint = |place: u16| usize::from(place) < record.endpoints.len();
    prop_assert!(endpoint(record.source) && endpoint(record.destination));
    prop_assert!(record.transactions.iter().all(|told| endpoint(told.source) && endpoint(told.destination)));
    prop_assert!(record.ladder.is_sorted_by_key(|told| told.at));
    for told in &record.ladder {
        prop_assert!(endpoint(told.source) && endpoint(told.destination));
        let owner = match told.owner {
            Owner::Transaction(place) => usize::from(place) < record.transactions.len(),
            Owner::Session(place) => usize::from(place) < record.sessions.len(),
            Owner::Call => true,
        };
        prop_assert!(owner, "{}{}", spans(record), ladder(record));
        if let Owner::Transaction(place) = told.owner {
            let of = &record.transactions[usize::from(place)];
            let is_of = told.method == of.method || told.method == sip::Method::Ack && of.method == sip::Method::Invite;
            prop_assert!(is_of, "{}{}", spans(record), ladder(record));
        }
    }
    Ok(())
}

/// Records are bounded in bytes: of a flood of INVITEs nothing is known but the request, and calls that were answered stay.
#[test]
fn a_flood_of_invites_costs_no_answered_call_its_record() {
    let config = || {
        let calls = call_records::Config { max_record_memory: 1 << 20, ..call_records::Config::default() };
        Config { calls, ..Config::default() }
    };
    let answered = |number: u32| {
        format!("0.{number} alice -> bob INVITE call=a{number}\n1.{number} alice <- bob 200 call=a{number}\n")
    };
    let flooded =
        |number: u32| format!("{}.{:04} carol -> bob INVITE call=f{number}\n", 10 + number / 10_000, number % 10_000);
    let ended = |number: u32| {
        format!("20.{number} alice -> bob BYE call=a{number}\n21.{number} alice <- bob 200 call=a{number}\n")
    };
    let ladder: String = (0..9)
        .map(answered)
        .chain((0..5000).map(flooded))
        .chain((0..9).map(ended))
        .chain(["400.0 alice -> bob crlf".to_owned()])
        .collect();
    let records = crate::expect::calls(config(), &ladder);
    let whole = records.iter().filter(|record| record.end == Some("bye")).count();
    assert_eq!((records.len(), whole), (5009, 9), "each leaves, one way or the other");
    let early = records.iter().filter(|record| record.outcome == "in_progress").count();
    assert!((3500..4900).contains(&early), "{early} of 5,000 left before anything was known of them");
    let roomy = crate::expect::calls(Config::default(), &ladder);
    assert!(roomy.iter().all(|record| record.outcome != "in_progress"), "without the bound none does");
}
