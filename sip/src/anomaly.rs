//! What was imperfect about a message that is tracked all the same: `anomalies_total{kind}`.
//!
//! A kind counts once per message, however often it occurs there.

/// One kind of imperfection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnomalyKind {
    /// A start line that is read but not strict: several or trailing spaces, a Request-URI in angle brackets,
    /// with inner spaces or with header fields (RFC 4475 §3.1.2.7 to §3.1.2.11).
    StartLineSpace,
    /// A line in the header that is no header field; it was skipped.
    HeaderLine,
    /// A field that may occur once occurs again; the first one counts (RFC 3261 §7.3.1).
    DupHeader,
    /// The message ends before the empty line that closes the header.
    NoBlankLine,
    /// Bytes behind the body that Content-Length announces; they were ignored (RFC 3261 §18.3).
    TrailingBytes,
    /// A request whose Content-Length is larger than what came, or is no number (RFC 3261 §18.3).
    ContentLength,
    /// No Content-Length on a stream, where it is mandatory; the body was taken as empty.
    NoContentLength,
    /// The capture cut the packet; the message was read as far as it goes.
    Snaplen,
    /// A number beyond its range (Expires, Max-Forwards, Retry-After, ..); it was clamped.
    Number,
}

impl AnomalyKind {
    /// All kinds, in the order of [`Self::index`].
    pub const ALL: [Self; 9] = [
        Self::StartLineSpace,
        Self::HeaderLine,
        Self::DupHeader,
        Self::NoBlankLine,
        Self::TrailingBytes,
        Self::ContentLength,
        Self::NoContentLength,
        Self::Snaplen,
        Self::Number,
    ];

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Value of the `kind` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::StartLineSpace => "start_line_space",
            Self::HeaderLine => "header_line",
            Self::DupHeader => "dup_header",
            Self::NoBlankLine => "no_blank_line",
            Self::TrailingBytes => "trailing_bytes",
            Self::ContentLength => "content_length",
            Self::NoContentLength => "no_content_length",
            Self::Snaplen => "snaplen",
            Self::Number => "number",
        }
    }
}

/// The kinds of imperfection found in one message.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Anomalies(u16);

impl Anomalies {
    /// No imperfection.
    pub const NONE: Self = Self(0);

    pub(crate) const fn add(&mut self, kind: AnomalyKind) {
        self.0 |= 1 << kind.index();
    }

    /// Whether the message has this imperfection.
    pub const fn contains(self, kind: AnomalyKind) -> bool {
        self.0 & 1 << kind.index() != 0
    }

    /// Whether the message is perfect.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds found, in the order of [`AnomalyKind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = AnomalyKind> {
        AnomalyKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl std::fmt::Debug for Anomalies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_kept_once_and_in_the_order_of_the_list() {
        let mut found = Anomalies::NONE;
        assert!(found.is_empty());
        found.add(AnomalyKind::Number);
        found.add(AnomalyKind::StartLineSpace);
        found.add(AnomalyKind::Number);
        assert_eq!(found.iter().collect::<Vec<_>>(), [AnomalyKind::StartLineSpace, AnomalyKind::Number]);
        assert!(!found.contains(AnomalyKind::Snaplen));
    }

    #[test]
    fn the_index_of_a_kind_is_its_place_in_the_list() {
        for (index, kind) in AnomalyKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), index);
        }
    }
}
