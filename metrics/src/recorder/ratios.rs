//! Which event enters which numerator and denominator: RFC 6076 §4, ITU-T E.425 §1, and the seed's reading
//! (`sip-metrics.md` 4.2, 4.3). The formulas themselves are in [`crate::Ratio`].
//!
//! A denominator counts when the request is first seen, a numerator when its event happens, so that calls in
//! flight are in the denominator alone.
//!
//! | ratio | section | numerator | denominator |
//! |---|---|---|---|
//! | SER | RFC 6076 §4.6 | answered | attempts that were not redirected |
//! | SEER | §4.7 | answered, or final 480, 486, 600, 603 | attempts that were not redirected |
//! | ISA | §4.8 | final 408, 500, 503, 504, or no response at all | attempts |
//! | SCR | §4.9 | sessions completed | attempts |
//! | IRA | §4.2 | failed or timed out | registration attempts |
//! | ASR | E.425 §1.3 | answered | attempts |
//! | NER | E.425 §1.5 | answered, user busy, no answer, rejected by the user | attempts |
//!
//! The seed counts each initial INVITE where the standards count attempts, knows only 200 as an answer, and
//! does not count an INVITE without any response as ineffective.

use pipeline::LabelSet;
use pipeline::event::{Fact, Outcome, RegistrationOutcome};

use crate::label_values::Input;
use crate::{F, ShardRows};

/// Counts a fact that is an input of some ratio.
#[inline]
pub fn count(rows: &mut ShardRows, set: LabelSet, fact: Fact) {
    let mut input = |input: Input| rows.add(set, F::RatioInputs, input.index(), 1);
    match fact {
        // The seed's side: every initial INVITE.
        Fact::InvitedInitially => input(Input::Ti),
        Fact::InviteAnswered => input(Input::N200),
        Fact::InviteFailed(status) => match status {
            300..400 => input(Input::N3xx),
            _ if user_decided(status) => input(Input::NUser),
            _ if ineffective(status) => input(Input::NIneff),
            _ => {}
        },
        Fact::PerInviteSessionCompleted => rows.add(set, F::SdcEvents, 0, 1),

        // The strict side: attempts, challenge and retry being one.
        Fact::AttemptOpened => input(Input::A),
        Fact::AttemptEnded { outcome, status, effective } => {
            match outcome {
                Outcome::Answered => input(Input::Answered),
                Outcome::Redirected => input(Input::Redirected),
                // A caller treats a transaction timeout as a 408 (RFC 3261 §8.1.3.1).
                Outcome::Timeout => input(Input::RIneff),
                Outcome::Unseen => input(Input::Unseen),
                _ if status.is_some_and(user_decided) => input(Input::RUser),
                _ if status.is_some_and(ineffective) => input(Input::RIneff),
                _ => {}
            }
            if effective {
                input(Input::Ner);
            }
            rows.add(set, F::SessionOutcomes, outcome.index(), 1);
        }
        Fact::SessionCompleted => input(Input::C),

        // Registrations (§4.2).
        Fact::RegistrationOpened => input(Input::Reg),
        Fact::RegistrationEnded(outcome) => {
            if matches!(outcome, RegistrationOutcome::Failure | RegistrationOutcome::Timeout) {
                input(Input::Ira);
            }
            rows.add(set, F::RegistrationOutcomes, outcome.index(), 1);
        }
        _ => {}
    }
}

/// Finals by which the callee, not the network, ended the attempt (§4.7).
fn user_decided(status: u16) -> bool {
    matches!(status, 480 | 486 | 600 | 603)
}

/// Finals by which the network failed (§4.8).
fn ineffective(status: u16) -> bool {
    matches!(status, 408 | 500 | 503 | 504)
}
