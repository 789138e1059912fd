//! Why bytes are no message that can be used (`sip-metrics.md` 1.9).

/// Why bytes are not a message that can be used: `parse_errors_total{reason}`. Of several reasons the one that
/// stands first here is given, except that [`Self::TooLarge`] comes before all once a bound is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseError {
    /// The first line is neither a request line nor a status line.
    #[error("the first line is no start line")]
    StartLine,
    /// A SIP version other than 2.0.
    #[error("the SIP version is not 2.0")]
    Version,
    /// A status that is not three digits from 100 to 699.
    #[error("the status is not from 100 to 699")]
    Status,
    /// Via, From, To, Call-ID or CSeq is missing or empty.
    #[error("Via, From, To, Call-ID or CSeq is missing")]
    MissingHeader,
    /// CSeq is no number and method, or its number is above 2^32-1.
    #[error("CSeq cannot be read")]
    Cseq,
    /// CSeq names another method than the request line.
    #[error("CSeq and request line name different methods")]
    CseqMismatch,
    /// An element of the Via list cannot be read.
    #[error("a Via cannot be read")]
    Via,
    /// Content-Length contradicts what came, where that forbids use of the message.
    #[error("Content-Length contradicts the message")]
    ContentLength,
    /// More bytes, header fields or Vias than the bounds allow.
    #[error("the message exceeds a bound")]
    TooLarge,
}

impl ParseError {
    /// All reasons, in the order of [`Self::index`].
    pub const ALL: [Self; 9] = [
        Self::StartLine,
        Self::Version,
        Self::Status,
        Self::MissingHeader,
        Self::Cseq,
        Self::CseqMismatch,
        Self::Via,
        Self::ContentLength,
        Self::TooLarge,
    ];

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Value of the `reason` label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::StartLine => "start_line",
            Self::Version => "version",
            Self::Status => "status",
            Self::MissingHeader => "missing_header",
            Self::Cseq => "cseq",
            Self::CseqMismatch => "cseq_mismatch",
            Self::Via => "via",
            Self::ContentLength => "content_length",
            Self::TooLarge => "too_large",
        }
    }
}
