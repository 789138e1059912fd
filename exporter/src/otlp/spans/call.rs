//! One record of a call in, its spans out.
//!
//! The root is sent with the last piece: until then a backend shows the parts of a call that goes on under a root
//! it has not received. What is open when the program ends ends where the record does, and says so.

use pipeline::Call;
use pipeline::call::Subject;

use super::encoder::{EncodedCall, Labels, SpanEncoder};
use super::message;

/// Tells one record. No span ends before it starts.
pub fn tell(call: &Call, labels: Labels<'_>) -> EncodedCall {
    let encoder = SpanEncoder::new(call, labels);
    let record = encoder.record;
    let mut encoded = EncodedCall::default();
    let root = match record.subject {
        // The one span of a single request is its transaction.
        Subject::Request => Some(0),
        Subject::Report => {
            encoded.spans.extend(encoder.reports());
            return encoded;
        }
        Subject::Call => record.last.then(|| {
            encoded.spans.push(encoder.call());
            0
        }),
    };
    let transactions = encoded.spans.len();
    encoded.spans.extend(record.transactions.iter().map(|transaction| encoder.transaction(transaction)));
    encoded.spans.extend(record.ringing.iter().map(|ringing| encoder.ringing(ringing)));
    let sessions = encoded.spans.len();
    encoded.spans.extend(record.sessions.iter().map(|session| encoder.session(session)));
    encoded.spans.extend(encoder.reports());
    message::show(&encoder, message::Places { root, transactions, sessions }, &mut encoded);
    encoded
}

#[cfg(test)]
mod tests;
