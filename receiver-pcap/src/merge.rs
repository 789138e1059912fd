//! Several captures as one: files in any order in, packets in order of time out.
//!
//! A file is opened when the time of its first packet has come and closed at its end, so that a year of rotated files
//! costs one buffer. Within a file packets keep their order, even where their stamps do not; a pipe is held open from
//! the start, for it cannot be read twice.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::{Packet, Timestamp};

use crate::file::{Capture, NotUsable, STDIN};
use crate::follow::Patience;
use crate::order::{Ordered, WINDOW};
use crate::report::Report;

/// Most link types named in the line about a file.
const MAX_NAMED: usize = 8;

/// All files of a receiver.
pub(crate) struct Merge {
    report: Arc<Report>,
    /// Not yet open, the next one last.
    waiting: Vec<Waiting>,
    /// Slots of `open` by the time of the packet each is at, but for the one at hand.
    order: BinaryHeap<Reverse<(Timestamp, usize)>>,
    open: Vec<Option<Open>>,
    /// The slot at hand: its packet was given out last.
    given: Option<usize>,
    /// Packets of the file at hand come before those of all others up to here.
    until: Timestamp,
    /// The last file to be opened is still being written.
    follow: Option<Patience>,
}

struct Waiting {
    /// Time of the first packet.
    first: Timestamp,
    path: PathBuf,
}

struct Open {
    name: String,
    capture: Ordered,
    packets: u64,
    /// Packets by link types that are not read.
    unread: BTreeMap<u16, u64>,
}

/// A file that cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub name: String,
    pub why: NotUsable,
}

impl Merge {
    /// Looks into every file: one that is no capture fails here, before anything is counted.
    pub fn new(paths: &[PathBuf], follow: bool, report: Arc<Report>) -> Result<Self, Unusable> {
        let (waiting, order, open) = (Vec::new(), BinaryHeap::new(), Vec::new());
        let follow = follow.then(Patience::default);
        let mut merge = Self { report, waiting, order, open, given: None, until: Timestamp::ZERO, follow };
        let mut total = Some(0);
        for path in paths {
            let unusable = |error: std::io::Error| Unusable { name: name(path), why: error.into() };
            let is_pipe = path.as_os_str() == STDIN || !std::fs::metadata(path).map_err(unusable)?.is_file();
            if is_pipe {
                total = None;
                merge.open(path)?;
                continue;
            }
            let size = std::fs::metadata(path).map_err(unusable)?.len();
            total = total.map(|total| total + size);
            let mut capture = Capture::open(path, |_| ()).map_err(|why| Unusable { name: name(path), why })?;
            capture.advance().map_err(unusable)?;
            // One without packets comes first, for what is to be said about it.
            let first = capture.packet().map_or(Timestamp::ZERO, |packet| packet.at);
            // Of several interfaces an older one may stand behind it.
            let ahead = if capture.interfaces() < 2 { 0 } else { WINDOW.as_nanos() as u64 };
            let first = Timestamp::from_nanos(first.as_nanos().saturating_sub(ahead));
            merge.waiting.push(Waiting { first, path: path.clone() });
        }
        merge.report.set_total(total);
        // Stable, and the last one is the next: among equals the order is that of the arguments.
        merge.waiting.reverse();
        merge.waiting.sort_by_key(|waiting| Reverse(waiting.first));
        Ok(merge)
    }

    /// Goes to the next packet; `false` after the last one.
    #[inline(always)]
    pub fn advance(&mut self) -> Result<bool, Unusable> {
        if let Some(slot) = self.given {
            let file = self.open[slot].as_mut().expect("the slot at hand holds an open file");
            // One that is still being written is asked again.
            match file.advance()? {
                Some(at) if at < self.until => return Ok(true),
                Some(at) => self.order.push(Reverse((at, slot))),
                None => {
                    if let Some(file) = self.open[slot].take() {
                        file.close(&self.report);
                    }
                }
            }
            self.given = None;
        }
        self.change_file()
    }

    /// Takes the file with the earliest packet at hand, which may have to be opened; `false` where there is none.
    fn change_file(&mut self) -> Result<bool, Unusable> {
        while let Some(waiting) = self.waiting.last() {
            if self.order.peek().is_some_and(|Reverse((at, _))| *at < waiting.first) {
                break;
            }
            let path = waiting.path.clone();
            self.waiting.pop();
            self.open(&path)?;
        }
        self.given = self.order.pop().map(|Reverse((_, slot))| slot);
        let open = self.order.peek().map(|Reverse((at, _))| *at);
        let waiting = self.waiting.last().map(|waiting| waiting.first);
        self.until = open.into_iter().chain(waiting).min().unwrap_or(Timestamp::NEVER);
        Ok(self.given.is_some())
    }

    /// The packet [`Merge::advance`] went to.
    #[inline(always)]
    pub fn packet(&self) -> Option<Packet<'_>> {
        self.open[self.given?].as_ref()?.capture.packet()
    }

    /// The same with all that stands before it, as its file has it.
    pub fn whole_packet(&self) -> Option<Packet<'_>> {
        self.open[self.given?].as_ref()?.capture.whole()
    }

    /// The link type of that packet, as its file calls it.
    pub fn link_type(&self) -> Option<u16> {
        Some(self.open[self.given?].as_ref()?.capture.head()?.link_type)
    }

    /// Opens a file and puts it in line with its first packet.
    fn open(&mut self, path: &Path) -> Result<(), Unusable> {
        let report = Arc::clone(&self.report);
        let count = move |bytes| report.count(bytes);
        let is_pipe = path.as_os_str() == STDIN;
        let follow = self.follow.as_ref().filter(|_| is_pipe || self.waiting.is_empty());
        let unusable = |why| Unusable { name: name(path), why };
        let mut capture = match follow {
            Some(patience) => Capture::follow(path, patience, count.clone()).map_err(unusable)?,
            None => Capture::open(path, count.clone()).map_err(unusable)?,
        };
        if follow.is_some() && !is_pipe && capture.is_compressed() {
            // Nobody writes these while others read them.
            capture = Capture::open(path, count).map_err(unusable)?;
        }
        let compressed = capture.is_compressed();
        let mut file = Open { name: name(path), capture: Ordered::new(capture), packets: 0, unread: BTreeMap::new() };
        match file.advance()? {
            Some(at) => {
                let slot = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
                self.order.push(Reverse((at, slot)));
                if slot == self.open.len() {
                    self.open.push(None);
                }
                self.open[slot] = Some(file);
            }
            None => file.close(&self.report),
        }
        if let Some(patience) = &self.follow {
            patience.set(compressed);
        }
        Ok(())
    }
}

impl Open {
    /// The time of the next packet; `None` at the end.
    #[inline(always)]
    fn advance(&mut self) -> Result<Option<Timestamp>, Unusable> {
        match self.capture.advance() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        }
        self.packets += 1;
        let Some(head) = self.capture.head() else { return Ok(None) };
        let (at, link_type) = (head.at, head.link_type);
        if self.capture.is_unread() {
            self.count_unread(link_type);
        }
        Ok(Some(at))
    }

    #[cold]
    fn failed(&self, error: io::Error) -> Unusable {
        Unusable { name: self.name.clone(), why: error.into() }
    }

    #[cold]
    fn count_unread(&mut self, link_type: u16) {
        *self.unread.entry(link_type).or_default() += 1;
    }

    /// Says in one line what was not read of it.
    fn close(self, report: &Report) {
        let Self { name, capture, packets, unread } = self;
        let mut remarks = Vec::new();
        if let Some(damage) = capture.damage() {
            remarks.push(format!("{damage}; the {packets} packets before that are used"));
        }
        if capture.late() > 0 {
            let (late, window) = (capture.late(), WINDOW.as_secs());
            let packets = if late == 1 { "packet stands" } else { "packets stand" };
            let what = "behind younger ones: delays between interfaces may be wrong";
            remarks.push(format!("{late} {packets} more than {window} s {what}"));
        }
        if !unread.is_empty() {
            let mut remark = format!("{} packets are passed over, for link type", unread.values().sum::<u64>());
            for (link_type, packets) in unread.iter().take(MAX_NAMED) {
                // Writing to a String cannot fail.
                let _ = write!(remark, " {link_type} ({packets})");
            }
            remarks.push(remark + " is not read: only Ethernet, Linux cooked, raw IP, loopback, PPP, ERF, NFLOG, PKTAP and exported PDUs are");
        }
        if !remarks.is_empty() {
            report.problem(format!("{name}: {}", remarks.join("; ")));
        }
    }
}

fn name(path: &Path) -> String {
    if path.as_os_str() == STDIN { "standard input".to_owned() } else { path.display().to_string() }
}
