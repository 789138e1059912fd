//! Names of the files of a folder of recordings: by them alone it is known whose a file is.
//!
//! `ringside-20261130T190128Z-000042.pcapng`, once closed `….pcapng.zst`, and `….index` behind either. What is called otherwise is
//! somebody else's, and never touched.

use std::path::{Path, PathBuf};

use wire::Timestamp;

/// A recording of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    /// Counts up within a folder.
    pub number: u64,
    /// When it began.
    pub began: String,
}

/// What a file of a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Being written, or left so.
    Raw,
    RawIndex,
    Compressed,
    CompressedIndex,
    /// Not finished.
    Part,
}

impl Name {
    /// The recording that begins at `at`.
    pub fn new(number: u64, at: Timestamp) -> Self {
        let at = jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).unwrap_or_default();
        Self { number, began: at.strftime("%Y%m%dT%H%M%SZ").to_string() }
    }

    /// Which file of which recording is called so; `None` of somebody else's.
    pub fn parse(name: &str) -> Option<(Self, Kind)> {
        let rest = name.strip_prefix("ringside-")?;
        let (began, rest) = rest.split_at_checked(16)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (date, time) = began.strip_suffix('Z')?.split_once('T')?;
        let rest = rest.strip_prefix('-').filter(|_| date.len() == 8 && digits(date) && digits(time))?;
        let (number, end) = rest.split_once('.')?;
        let number = number.parse().ok().filter(|_| number.len() >= 6 && digits(number))?;
        let kind = match end {
            "pcapng" => Kind::Raw,
            "pcapng.index" => Kind::RawIndex,
            "pcapng.zst" => Kind::Compressed,
            "pcapng.zst.index" => Kind::CompressedIndex,
            "pcapng.zst.part" | "pcapng.zst.index.part" => Kind::Part,
            _ => return None,
        };
        let parsed = Self { number, began: began.to_owned() };
        // One name for each recording: another spelling of its number is somebody else's.
        let own = parsed.path(Path::new(""), Kind::Raw);
        (own.file_stem()? == name.split('.').next()?).then_some((parsed, kind))
    }

    /// Where its file of a kind is.
    pub fn path(&self, folder: &Path, kind: Kind) -> PathBuf {
        let end = match kind {
            Kind::Raw => "pcapng",
            Kind::RawIndex => "pcapng.index",
            Kind::Compressed => "pcapng.zst",
            Kind::CompressedIndex => "pcapng.zst.index",
            Kind::Part => "pcapng.zst.part",
        };
        folder.join(format!("ringside-{}-{:06}.{end}", self.began, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let name = Name::new(42, Timestamp::from_nanos(1_796_065_288_000_000_000));
        for kind in [Kind::Raw, Kind::RawIndex, Kind::Compressed, Kind::CompressedIndex, Kind::Part] {
            let path = name.path(Path::new("f"), kind);
            let text = path.file_name().expect("a name").to_str().expect("ASCII");
            assert_eq!(Name::parse(text), Some((name.clone(), kind)), "{text}");
        }
        let text = name.path(Path::new(""), Kind::Raw);
        assert_eq!(text.to_str(), Some("ringside-20261130T190128Z-000042.pcapng"));
    }

    #[test]
    fn what_is_called_otherwise_is_somebody_elses() {
        for name in [
            "ringside.pcapng",
            "ringside-20261130T190128Z-000042.pcapng.gz",
            "ringside-20261130T190128Z-42.pcapng",
            "ringside-20261130T190128Z-000042.pcap",
            "ringside-20261130x190128Z-000042.pcapng",
            "ringside-20261130T190128Z-000042.pcapng.zst.old",
            "copy of ringside-20261130T190128Z-000042.pcapng",
        ] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }
}
