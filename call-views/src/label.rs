//! What stands on an arrow: `INVITE (SDP)`, `180 Ringing`, `486 Busy Here x3`, `PCMU 3000 packets, ...`.

use std::borrow::Cow;

use pipeline::CallRecord;
use pipeline::call::ladder::{Message, Owner};
use pipeline::call::media::{POOR, StreamRecord};

use crate::style::Colour;
use crate::text::{cut, printable, width};

/// The label of a message, escaped.
pub struct Label {
    /// Method or status.
    what: String,
    /// Reason phrase; empty for a request and for a status nobody registered.
    reason: String,
    /// `(SDP)`, and how often it was sent.
    marks: String,
    /// The same in ever fewer words, where there are any.
    shorter: Vec<String>,
}

impl Label {
    /// The label of a message of `record`.
    pub fn new(record: &CallRecord, message: &Message, unicode: bool) -> Self {
        let what = message.status.map_or_else(|| message.method.as_str().to_owned(), |status| status.to_string());
        let reason = reason(record, message).unwrap_or_default();
        let times = if unicode { '×' } else { 'x' };
        let mut marks = String::new();
        if message.sdp {
            marks += " (SDP)";
        }
        if message.retransmissions > 0 {
            marks += &format!(" {times}{}", u32::from(message.retransmissions) + 1);
        }
        Self { what, reason: printable(&reason, unicode).into_owned(), marks, shorter: Vec::new() }
    }

    /// Media begin.
    pub fn stream_begins(stream: &StreamRecord) -> Self {
        let what = format!("RTP {}", stream.codec.label());
        Self { what, reason: String::new(), marks: String::new(), shorter: Vec::new() }
    }

    /// Media end: what came, and how it sounded.
    pub fn stream_ends(stream: &StreamRecord) -> Self {
        let (codec, received, lost) = (stream.codec.label(), stream.summary.received, stream.loss_percent());
        let (jitter, mos) = (stream.summary.jitter / 1e6, stream.rating.mos_cq);
        let packets = if received == 1 { "packet" } else { "packets" };
        let what = format!("RTP {codec} {received} {packets}, {lost:.1} % lost, {jitter:.1} ms jitter, MOS {mos:.2}");
        let shorter = vec![
            format!("{codec} {received} {lost:.1}% {jitter:.1}ms MOS {mos:.2}"),
            format!("{lost:.1}% MOS {mos:.2}"),
            format!("MOS {mos:.2}"),
        ];
        Self { what, reason: String::new(), marks: String::new(), shorter }
    }

    /// Cells it takes with all that it tells.
    pub fn width(&self) -> usize {
        self.shorter.first().map_or_else(|| width(&self.full()), |text| width(text))
    }

    /// All of it.
    pub fn full(&self) -> String {
        let space = if self.reason.is_empty() { "" } else { " " };
        format!("{}{space}{}{}", self.what, self.reason, self.marks)
    }

    /// What fits into `cells`: all of it, or with the reason cut or left out. `None` if even that is too long.
    pub fn within(&self, cells: usize, unicode: bool) -> Option<String> {
        if !self.shorter.is_empty() {
            let mut wordings = [&self.what].into_iter().chain(&self.shorter);
            return wordings.find(|text| width(text) <= cells).cloned();
        }
        let fixed = width(&self.what) + width(&self.marks);
        let room = cells.checked_sub(fixed)?;
        match room.saturating_sub(1) {
            reason if width(&self.reason) <= reason => Some(self.full()),
            // A word that cannot be guessed from its beginning helps nobody.
            reason if reason >= SHORTEST_REASON => {
                Some(format!("{} {}{}", self.what, cut(&self.reason, reason, unicode), self.marks))
            }
            _ => Some(format!("{}{}", self.what, self.marks)),
        }
    }

    /// Its colour, which says how the message answers.
    pub fn colour(message: &Message) -> Colour {
        match message.status {
            None => Colour::Strong,
            Some(200..300) => Colour::Good,
            // Challenges are part of the way, not its end.
            Some(401 | 407) => Colour::Open,
            Some(400..) => Colour::Bad,
            Some(_) => Colour::Plain,
        }
    }
}

impl Label {
    /// The colour of the end of a stream, which says how it sounded.
    pub fn colour_of_stream(stream: &StreamRecord) -> Colour {
        if stream.rating.mos_cq < f64::from(POOR) { Colour::Bad } else { Colour::Good }
    }
}

/// Cells of a reason phrase below which it is left out.
const SHORTEST_REASON: usize = 4;

/// The reason phrase: as it was sent where the record has it, else the registered one. `None` for a request and for
/// a status nobody registered.
pub fn reason<'a>(record: &'a CallRecord, message: &Message) -> Option<Cow<'a, str>> {
    let status = message.status?;
    let sent = match message.owner {
        Owner::Transaction(index) => record.transactions.get(usize::from(index)),
        Owner::Session(_) | Owner::Call => None,
    };
    let sent = sent.filter(|transaction| transaction.status == Some(status)).and_then(|sent| sent.reason.as_deref());
    sent.or_else(|| sip::registered_phrase(status)).map(Cow::Borrowed)
}
