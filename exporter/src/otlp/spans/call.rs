//! One record of a call in, its spans out.
//!
//! The root is sent with the last piece: until then a backend shows the parts of a call that goes on under a root
//! it has not received. What is open when the program ends ends where the record does, and says so.

use pipeline::Call;
use pipeline::call::Subject;

use super::message;
use super::teller::{Labels, Teller, Told};

/// Tells one record. No span ends before it starts.
pub fn tell(call: &Call, labels: Labels<'_>) -> Told {
    let teller = Teller::new(call, labels);
    let record = teller.record;
    let mut told = Told::default();
    let root = match record.subject {
        // The one span of a single request is its transaction.
        Subject::Request => Some(0),
        Subject::Call => record.last.then(|| {
            told.spans.push(teller.call());
            0
        }),
    };
    let transactions = told.spans.len();
    told.spans.extend(record.transactions.iter().map(|transaction| teller.transaction(transaction)));
    told.spans.extend(record.ringing.iter().map(|ringing| teller.ringing(ringing)));
    let sessions = told.spans.len();
    told.spans.extend(record.sessions.iter().map(|session| teller.session(session)));
    message::show(&teller, message::Places { root, transactions, sessions }, &mut told);
    told
}

#[cfg(test)]
mod tests;
