//! What an attempt to send came to: what the server said in, whether to go on out.
//!
//! Which answers are worth another attempt is the OTLP specification's list ("Failures", for gRPC and for HTTP), and
//! no other answer is. What a server writes in words is never kept: it may echo what was sent, or a credential.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

use tonic::Code;

/// One attempt, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server took the request.
    Accepted {
        /// Items it refused all the same.
        rejected: u64,
    },
    /// Another attempt may succeed.
    Retry {
        /// What went wrong.
        cause: Cause,
        /// How long the server wants us to wait; `None` when it did not say.
        after: Option<Duration>,
    },
    /// No other attempt would succeed.
    Refused(Cause),
}

impl Verdict {
    /// The judgement on a gRPC status other than OK. `after` is what `RetryInfo` says.
    pub(super) fn of_code(code: Code, after: Option<Duration>) -> Self {
        let cause = Cause::Grpc(code);
        match code {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Self::Retry { cause, after },
            // Only who says when it will be better says that it will be better.
            Code::ResourceExhausted if after.is_some() => Self::Retry { cause, after },
            _ => Self::Refused(cause),
        }
    }

    /// The judgement on an HTTP status that is not 2xx. `after` is what `Retry-After` says.
    pub(super) fn of_status(status: u16, after: Option<Duration>) -> Self {
        let cause = Cause::Http(status);
        match status {
            429 | 502 | 503 | 504 => Self::Retry { cause, after },
            _ => Self::Refused(cause),
        }
    }

    /// The connection could not be made or did not hold.
    pub(super) fn broken(error: &(dyn Error + 'static)) -> Self {
        Self::Retry { cause: Cause::Connection(cause_of(error)), after: None }
    }
}

/// What went wrong, for the log: nothing in it was written by the server's author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A gRPC status.
    Grpc(Code),
    /// An HTTP status.
    Http(u16),
    /// No whole answer within `timeout`.
    Timeout,
    /// The system's, TLS' or the HTTP library's word for it, shortened.
    Connection(String),
    /// The answer is none that OTLP knows.
    NotOtlp(&'static str),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc(code) => write!(f, "it answered with gRPC status {} ({code:?})", *code as i32),
            Self::Http(status) => write!(f, "it answered with HTTP status {status}"),
            Self::Timeout => f.write_str("it did not answer in time"),
            Self::Connection(text) => f.write_str(text),
            Self::NotOtlp(what) => write!(f, "its answer is no OTLP: {what}"),
        }
    }
}

/// What an operator can act on: the innermost error of the system (`Connection refused (os error 111)`) or of TLS,
/// else what the HTTP library calls it. Anything deeper could be the server's words.
pub(super) fn cause_of(error: &(dyn Error + 'static)) -> String {
    let chain = || std::iter::successors(Some(error), |error| (*error).source());
    let system = chain().filter_map(|error| error.downcast_ref::<io::Error>()).last().map(io::Error::to_string);
    let library = || chain().find_map(|error| error.downcast_ref::<hyper::Error>()).map(hyper::Error::to_string);
    let text = system.or_else(library).unwrap_or_else(|| "the connection broke".to_owned());
    // The names in a certificate can be in it, and these are the server's choice.
    text.chars().filter(|c| !c.is_control()).take(CAUSE_CHARS).collect()
}

/// Longest text of a cause.
const CAUSE_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn is_retried(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Retry { .. })
    }

    #[test]
    fn exactly_the_six_codes_are_retried_and_a_seventh_with_a_delay() {
        let retried = |after| {
            let codes = (0..=16).filter(|code| is_retried(Verdict::of_code(Code::from_i32(*code), after)));
            codes.collect::<Vec<_>>()
        };
        assert_eq!(retried(None), [1, 4, 10, 11, 14, 15]);
        assert_eq!(retried(Some(Duration::ZERO)), [1, 4, 8, 10, 11, 14, 15]);
    }

    #[test]
    fn exactly_four_http_statuses_are_retried() {
        let retried: Vec<_> = (300..600).filter(|status| is_retried(Verdict::of_status(*status, None))).collect();
        assert_eq!(retried, [429, 502, 503, 504]);
    }

    #[test]
    fn the_cause_of_a_broken_connection_is_the_systems_word_for_it_shortened() {
        #[derive(Debug, thiserror::Error)]
        #[error("said by the server")]
        struct Outer(#[source] io::Error);
        let long = format!("a\nb\u{1b}[31m{}", "x".repeat(1000));
        let verdict = Verdict::broken(&Outer(io::Error::other(long)));
        let Verdict::Retry { cause: Cause::Connection(text), after: None } = verdict else { panic!("{verdict:?}") };
        assert!(text.starts_with("ab[31mxxx") && text.len() == CAUSE_CHARS, "{text}");
    }

    #[test]
    fn what_the_server_said_is_not_repeated() {
        #[derive(Debug, thiserror::Error)]
        #[error("said by the server")]
        struct Outer;
        let cause = Cause::Connection("the connection broke".to_owned());
        assert_eq!(Verdict::broken(&Outer), Verdict::Retry { cause, after: None });
    }
}
