//! A SIP message as a user agent spells it (RFC 3261 §7): the parts in, the bytes out.

use std::fmt::Write;

/// A message before it is bytes; a proxy's copy changes the Vias alone.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub start: String,
    /// Top first, each without the field name.
    pub vias: Vec<String>,
    /// The other header fields, in order, `Name: value`.
    pub fields: Vec<String>,
    pub body: String,
}

impl Message {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        let vias = self.vias.iter().map(|via| format!("Via: {via}"));
        for field in vias.chain(self.fields.iter().cloned()) {
            write!(text, "{field}\r\n").expect("writing into a String cannot fail");
        }
        if !self.body.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        write!(text, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body)
            .expect("writing into a String cannot fail");
        crate::line::bytes(&text)
    }
}

/// The usual reason phrase; what a code means stands in RFC 3261 §21.
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        302 => "Moved Temporarily",
        401 => "Unauthorized",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        600 => "Busy Everywhere",
        603 => "Decline",
        _ => "Other",
    }
}
