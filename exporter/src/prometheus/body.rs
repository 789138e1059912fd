//! Bodies: a text that is ready, or a scrape written piece by piece as the client takes it.

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use endpoint::ResponseGuard;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use metrics::Exposition;
use tokio::sync::OwnedSemaphorePermit;

use super::protobuf::Families;

/// The body of every response.
pub struct ReplyBody {
    content: Content,
    /// Ends the time the client has to take the response.
    _busy: ResponseGuard,
}

enum Content {
    Whole(Bytes),
    Scrape(Box<Scrape>),
}

/// Of a body, one after another.
pub enum Pieces {
    /// Of a text format.
    Text(Exposition),
    /// Of messages.
    Protobuf(Families),
}

impl Pieces {
    /// Whether the end was reached: no further piece follows.
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Text(pieces) => pieces.is_finished(),
            Self::Protobuf(pieces) => pieces.is_finished(),
        }
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Text(pieces) => pieces.next().map(Bytes::from),
            Self::Protobuf(pieces) => pieces.next().map(Bytes::from),
        }
    }
}

/// A scrape under way. Holds its permit until the client has taken it or gave up.
pub struct Scrape {
    /// The first piece, which was needed to know whether there is a second.
    first: Option<Bytes>,
    rest: Pieces,
    gzip: Option<GzEncoder<Vec<u8>>>,
    _permit: OwnedSemaphorePermit,
}

impl Scrape {
    /// Compresses when `gzip`.
    pub fn new(first: Bytes, rest: Pieces, gzip: bool, permit: OwnedSemaphorePermit) -> Self {
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Self { first: Some(first), rest, gzip, _permit: permit }
    }

    /// The next bytes of the body; `None` at its end.
    fn next(&mut self) -> Option<Bytes> {
        loop {
            let piece = self.first.take().or_else(|| self.rest.next());
            let Some(gzip) = &mut self.gzip else { return piece };
            let Some(piece) = piece else {
                let end = self.gzip.take()?.finish().expect("writing to a Vec cannot fail");
                return Some(Bytes::from(end));
            };
            gzip.write_all(&piece).expect("writing to a Vec cannot fail");
            if !gzip.get_ref().is_empty() {
                return Some(Bytes::from(std::mem::take(gzip.get_mut())));
            }
        }
    }
}

impl ReplyBody {
    /// A text that is ready.
    pub fn whole(text: impl Into<Bytes>, busy: ResponseGuard) -> Self {
        Self { content: Content::Whole(text.into()), _busy: busy }
    }

    /// A scrape.
    pub fn scrape(scrape: Scrape, busy: ResponseGuard) -> Self {
        Self { content: Content::Scrape(Box::new(scrape)), _busy: busy }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(std::mem::take(bytes)),
            Content::Scrape(scrape) => scrape.next(),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Scrape(_) => SizeHint::default(),
        }
    }
}
