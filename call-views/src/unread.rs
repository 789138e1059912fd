//! Messages that could not be read, for people: what each was counted for, who sent it, and how it begins.

use pipeline::Refused;
use serde::Serialize;
use wire::Timestamp;

use crate::clock;
use crate::style::{Colour, Style};
use crate::summary::time;
use crate::text::{cut, left, printable, width};

/// A message that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// When it came; RFC 3339, UTC, microseconds.
    #[serde(serialize_with = "time")]
    pub time: Timestamp,
    /// Sender.
    pub source: String,
    /// Recipient.
    pub destination: String,
    /// How it travelled.
    pub transport: &'static str,
    /// As `reason` of `parse_errors_total`.
    pub reason: &'static str,
    /// The same in words.
    pub why: String,
    /// Its first line, printable, at most 128 bytes of it; empty where it may not be shown.
    pub line: String,
}

impl Unread {
    /// The newest of all, in order of time. `unicode`: characters beyond ASCII may be shown.
    pub fn list<'a>(refused: impl Iterator<Item = &'a Refused>, unicode: bool) -> Vec<Self> {
        let of = |refused: &Refused| Self {
            time: refused.at,
            source: refused.source.to_string(),
            destination: refused.destination.to_string(),
            transport: refused.transport.as_str(),
            reason: refused.reason.reason(),
            why: refused.reason.to_string(),
            line: printable(&String::from_utf8_lossy(&refused.line), unicode).into_owned(),
        };
        let mut list: Vec<Self> = refused.map(of).collect();
        list.sort_by_key(|unread| unread.time);
        list
    }
}

/// A line for each, with titles; the first line of the message last, cut where the width is limited.
pub fn table(list: &[Unread], style: &Style) -> String {
    let cells = |unread: &Unread| {
        let at = style.zone.shown(unread.time);
        let time = format!("{}{}", clock::time_of_day(at), clock::millis(at));
        [time, unread.source.clone(), unread.destination.clone(), unread.reason.to_owned()]
    };
    let rows: Vec<[String; 4]> = list.iter().map(cells).collect();
    let titles = ["time", "from", "to", "reason"];
    let widths: Vec<usize> = (0..titles.len())
        .map(|column| rows.iter().map(|row| width(&row[column])).chain([titles[column].len()]).max().unwrap_or(0))
        .collect();
    let room = style.cells().saturating_sub(widths.iter().map(|cells| cells + 2).sum());
    let mut text = String::new();
    let mut put = |colour, row: &[String], line: &str| {
        let row: String = row.iter().zip(&widths).map(|(cell, cells)| left(cell, cells + 2)).collect();
        let line = cut(line, room, style.unicode);
        text += &style.paint(colour, format!("{row}{line}").trim_end());
        text.push('\n');
    };
    put(Colour::Strong, &titles.map(str::to_owned), "first line");
    for (row, unread) in rows.iter().zip(list) {
        put(Colour::Plain, row, &unread.line);
    }
    text
}

#[cfg(test)]
mod tests {
    use pipeline::SipFrame;
    use sip::ParseError;

    use super::*;

    #[test]
    fn each_is_a_line_that_no_terminal_obeys() {
        let address = |last| std::net::SocketAddr::from(([192, 0, 2, last], 5060));
        let refused = |nanos, line: &str, reason| {
            let frame = SipFrame::datagram(address(1), address(20), Timestamp::from_nanos(nanos));
            Refused::new(line.as_bytes(), &frame, reason)
        };
        let later = refused(2_000_000, "\x1b[2JHELLO", ParseError::StartLine);
        let earlier = refused(1_000_000, "INVITE sip:bob@example.net SIP/2.0", ParseError::MissingHeader);
        let list = Unread::list([&later, &earlier].into_iter(), false);
        let style = Style { width: Some(80), ..Style::default() };
        let expected = "time          from            to               reason          first line\n\
                        00:00:00.001  192.0.2.1:5060  192.0.2.20:5060  missing_header  INVITE sip:bob@e~\n\
                        00:00:00.002  192.0.2.1:5060  192.0.2.20:5060  start_line      \\u{1b}[2JHELLO\n";
        assert_eq!(table(&list, &style), expected);
        assert_eq!(list[0].why, "Via, From, To, Call-ID or CSeq is missing");
    }
}
