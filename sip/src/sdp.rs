//! Session descriptions: what of an offer or answer tells where media go and what they are (RFC 8866, RFC 3264;
//! `sip-metrics.md` 5.1).
//!
//! Borrowed and read when asked for, nothing is allocated. Lines nobody asks for are never looked into: no `o=`, `s=`,
//! `a=crypto`, `a=ice-pwd` or fingerprint leaves this file, and nothing here prints its bytes.

mod media;

pub use media::{Candidate, Direction, Kind, Mapping, Media};

use std::net::IpAddr;

use crate::value;

/// Longest description looked at, in bytes.
pub const MAX_SDP: usize = 65_536;
/// Most `m=` lines of a description that are looked at.
pub const MAX_MEDIA: usize = 16;

/// Why bytes are not a description that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SdpError {
    /// It does not begin with `v=0` (RFC 8866 §5.1).
    #[error("it does not begin with v=0")]
    Version,
    /// An `m=` line has no type, port, protocol or format (RFC 8866 §5.14).
    #[error("an m= line cannot be read")]
    Media,
    /// More bytes than are looked at.
    #[error("it is too long")]
    TooLarge,
}

/// A session description.
#[derive(Clone, Copy)]
pub struct Sdp<'a> {
    /// The lines before the first `m=`.
    session: &'a [u8],
    /// The others.
    media: &'a [u8],
}

impl<'a> Sdp<'a> {
    /// Reads a description. `cut`: the capture kept only a part, so that its last line is whole only with its end.
    pub fn read(bytes: &'a [u8], cut: bool) -> Result<Self, SdpError> {
        if bytes.len() > MAX_SDP {
            return Err(SdpError::TooLarge);
        }
        let whole = if cut { &bytes[..memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1)] } else { bytes };
        let mut lines = Lines(whole);
        // An empty line or two in front is what a careless multipart leaves.
        let first = lines.find(|line| !line.is_empty());
        if first.is_none_or(|line| value::trim(line) != b"v=0") {
            return Err(SdpError::Version);
        }
        let mut rest = lines.0;
        while !rest.is_empty() && !is_media(rest) {
            rest = skip_line(rest);
        }
        let session = &whole[..whole.len() - rest.len()];
        let sdp = Self { session, media: rest };
        if sdp.sections().any(|section| Media::read(section, session).is_none()) {
            return Err(SdpError::Media);
        }
        Ok(sdp)
    }

    /// Its media in order, the first [`MAX_MEDIA`] of them.
    pub fn media(&self) -> impl Iterator<Item = Media<'a>> + use<'a> {
        let session = self.session;
        self.sections().filter_map(move |section| Media::read(section, session))
    }

    /// It has more media than are looked at.
    pub fn has_more_media(&self) -> bool {
        Sections(self.media).nth(MAX_MEDIA).is_some()
    }

    fn sections(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Sections(self.media).take(MAX_MEDIA)
    }
}

/// Each `m=` line with all that belongs to it.
struct Sections<'a>(&'a [u8]);

impl<'a> Iterator for Sections<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let mut rest = skip_line(self.0);
        while !rest.is_empty() && !is_media(rest) {
            rest = skip_line(rest);
        }
        let section = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some(section)
    }
}

fn is_media(bytes: &[u8]) -> bool {
    bytes.starts_with(b"m=")
}

fn skip_line(bytes: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', bytes).map_or(&[], |end| &bytes[end + 1..])
}

/// Lines without their ends; CRLF, and LF alone (RFC 8866 §5).
#[derive(Clone, Copy)]
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let rest = skip_line(self.0);
        let line = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some(value::without_line_end(line))
    }
}

impl<'a> Lines<'a> {
    /// The value of the first attribute `name` (`a=name:value`, or `a=name` alone: empty).
    fn attribute(mut self, name: &[u8]) -> Option<&'a [u8]> {
        self.find_map(|line| named(line, name))
    }

    /// The values of every attribute `name`.
    fn attributes(self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.filter_map(move |line| named(line, name))
    }

    /// The address of the first `c=` line; a host name is none (RFC 8866 §5.7).
    fn connection(mut self) -> Option<IpAddr> {
        address(words(self.find_map(|line| line.strip_prefix(b"c="))?).nth(2)?)
    }
}

fn named<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(b"a=")?.strip_prefix(name)?;
    match rest.split_first() {
        None => Some(rest),
        Some((b':', value)) => Some(value::trim(value)),
        Some(_) => value::trim(rest).is_empty().then_some(b""),
    }
}

/// Words between spaces.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| value::is_space(*byte)).filter(|word| !word.is_empty())
}

/// An address, without what tells its scope or how many follow it (`224.2.1.1/127/3`).
fn address(word: &[u8]) -> Option<IpAddr> {
    let word = &word[..memchr::memchr(b'/', word).unwrap_or(word.len())];
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A decimal number that is nothing else.
fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    let digits = word.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(word).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
