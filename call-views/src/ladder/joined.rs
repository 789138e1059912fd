//! Several calls in one ladder, such as the legs of a B2BUA: records in, one record out that has the messages of all.
//!
//! What is said of the call as a whole is that of the first; the ladder is for the eye, and nothing is counted from it.

use std::collections::HashMap;
use std::net::SocketAddr;

use pipeline::CallRecord;
use pipeline::call::ladder::{Endpoint, Message, Owner, Transaction};
use pipeline::call::sent::Sent;

/// One record with the messages of all, in order of time; `None` of none. Their Call-IDs stand beside each other.
pub fn joined(records: &[&CallRecord]) -> Option<CallRecord> {
    let (first, others) = records.split_first()?;
    if others.is_empty() {
        return Some((*first).clone());
    }
    let mut whole = CallRecord {
        endpoints: Vec::new(),
        transactions: Vec::new(),
        ringing: Vec::new(),
        sessions: Vec::new(),
        ladder: Vec::new(),
        headers: Box::default(),
        sent: None,
        messages: 0,
        retransmissions: 0,
        ladder_cut: 0,
        media: None,
        ..(*first).clone()
    };
    let mut places: HashMap<SocketAddr, u16> = HashMap::new();
    let mut sent = Sent::default();
    let mut headers: Vec<Box<str>> = Vec::new();
    let mut media = Vec::new();
    for record in records {
        let place_of = |address: SocketAddr, endpoints: &mut Vec<Endpoint>, places: &mut HashMap<SocketAddr, u16>| {
            *places.entry(address).or_insert_with(|| {
                endpoints.push(Endpoint { address });
                (endpoints.len() - 1) as u16
            })
        };
        let own: Vec<u16> = record
            .endpoints
            .iter()
            .map(|endpoint| place_of(endpoint.address, &mut whole.endpoints, &mut places))
            .collect();
        let place = |index: u16| own[usize::from(index)];
        let (transactions, sessions, before) =
            (whole.transactions.len() as u16, whole.sessions.len() as u16, whole.ladder.len());
        if std::ptr::eq(*record, *first) {
            (whole.source, whole.destination) = (place(record.source), place(record.destination));
        }
        whole.transactions.extend(record.transactions.iter().map(|transaction| Transaction {
            source: place(transaction.source),
            destination: place(transaction.destination),
            ..transaction.clone()
        }));
        whole.sessions.extend(record.sessions.iter().cloned());
        whole.ladder.extend(record.ladder.iter().map(|message| Message {
            source: place(message.source),
            destination: place(message.destination),
            owner: match message.owner {
                Owner::Transaction(index) => Owner::Transaction(index + transactions),
                Owner::Session(index) => Owner::Session(index + sessions),
                Owner::Call => Owner::Call,
            },
            ..*message
        }));
        sent.append(before, record.sent.as_deref().unwrap_or(&Sent::default()), record.ladder.len());
        headers.resize(before, Box::default());
        headers.extend(record.headers.iter().cloned());
        media.extend(record.media.as_deref().cloned());
        whole.messages += record.messages;
        whole.retransmissions += record.retransmissions;
        whole.ladder_cut += record.ladder_cut;
        whole.until = whole.until.max(record.until);
    }
    headers.resize(whole.ladder.len(), Box::default());
    let mut order: Vec<usize> = (0..whole.ladder.len()).collect();
    order.sort_by_key(|place| whole.ladder[*place].at);
    whole.ladder = order.iter().map(|place| whole.ladder[*place]).collect();
    if headers.iter().any(|lines| !lines.is_empty()) {
        whole.headers = order.iter().map(|place| std::mem::take(&mut headers[*place])).collect();
    }
    let sent = sent.rearranged(&order);
    whole.sent = (!sent.is_empty()).then(|| Box::new(sent));
    whole.media = media.into_iter().map(Box::new).reduce(|mut all, more| {
        all.streams.extend(more.streams);
        all.intervals.extend(more.intervals);
        all.faults.extend(more.faults);
        all
    });
    whole.media.as_mut().into_iter().for_each(|media| media.streams.sort_by_key(|stream| stream.first));
    whole.call_id = records.iter().map(|record| &*record.call_id).collect::<Vec<_>>().join(", ").into();
    Some(whole)
}
