//! Rows: one array of 64-bit cells per label set and shard, and the only thing that writes to it.
//!
//! [`ShardRows`] belongs to one shard's thread: it adds with a plain load and store, without a lock, and
//! allocates only when a label set, or a block of status codes or causes, is counted for the first time.
//! Each store is a release, so that who sees a numerator sees the denominator counted before it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pipeline::labels::{LabelSet, MAX_LABEL_SETS, MAX_NAMES, Name, Pages};

use wire::Timestamp;

use super::buckets::Buckets;
use super::native::NativeRow;
use super::schema::{F, Kind, Scope};
use super::series::split;
use super::stored::STORED;

/// The rows of one shard. One writer: every method takes `&mut self`.
///
/// A variant outside the family's values is our bug: a debug build says so, a release build counts nothing.
#[derive(Debug)]
pub struct ShardRows {
    cells: Arc<Cells>,
    /// The rows this shard has touched, to find them without a look at `cells`.
    rows: Vec<Option<Arc<Row>>>,
    /// The same of those of single names.
    named: Vec<Option<Arc<NamedRow>>>,
}

impl ShardRows {
    /// Writes to `cells`, which nobody else does.
    pub(super) fn new(cells: Arc<Cells>) -> Self {
        Self { cells, rows: Vec::new(), named: Vec::new() }
    }

    /// Adds `n` to a counter. A global family ignores `set`.
    // Inlined by force: who counts knows the family, so that its place is known when this is compiled. Looking it up was
    // half of what a count cost.
    #[inline(always)]
    pub fn add(&mut self, set: LabelSet, f: F, variant: usize, n: u64) {
        if let Some(cell) = self.cell(set, f, variant) {
            bump(cell, n);
        }
    }

    /// Moves a gauge by `delta`.
    #[inline(always)]
    pub fn adjust(&mut self, set: LabelSet, f: F, variant: usize, delta: i64) {
        // Two's complement: adding the bits of a negative number subtracts.
        self.add(set, f, variant, delta as u64);
    }

    /// Families about media exist from now on.
    pub fn listen(&mut self) {
        self.cells.listening.store(true, Ordering::Release);
    }

    /// Adds one duration to a histogram.
    #[inline]
    pub fn observe(&mut self, set: LabelSet, f: F, variant: usize, value: Duration) {
        self.sample(set, f, variant, u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds one plain number to a histogram, as its unit is stored.
    #[inline]
    pub fn observe_count(&mut self, set: LabelSet, f: F, variant: usize, value: u64) {
        self.sample(set, f, variant, value);
    }

    /// Adds `n` to a counter of a family whose series have a name of the configuration.
    pub fn add_named(&mut self, name: Name, f: F, variant: usize, n: u64) {
        let slot = LAYOUT[f as usize];
        debug_assert!(variant < slot.variants, "{f:?} has no variant {variant}");
        let Place::Named(at) = slot.place else {
            debug_assert!(false, "{f:?} has no such name");
            return;
        };
        if variant < slot.variants
            && let Some(row) = self.named_row(name)
        {
            bump(&row.cells[at + variant], n);
        }
    }

    /// Moves a gauge of such a family by `delta`.
    pub fn adjust_named(&mut self, name: Name, f: F, variant: usize, delta: i64) {
        self.add_named(name, f, variant, delta as u64);
    }

    /// Adds one duration to a histogram of such a family.
    pub fn observe_named(&mut self, name: Name, f: F, variant: usize, value: Duration) {
        let native = self.cells.native.load(Ordering::Relaxed);
        if let Some(row) = self.named_row(name) {
            let value = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
            sample(row.cells.as_slice(), f, variant, value);
            if native {
                sample_native(&row.native, f, variant, value);
            }
        }
    }

    fn named_row(&mut self, name: Name) -> Option<&NamedRow> {
        let index = usize::from(name.0);
        if index >= MAX_NAMES {
            return None;
        }
        if self.named.len() <= index {
            self.named.resize(index + 1, None);
        }
        let cells = &self.cells;
        let row = self.named[index].get_or_insert_with(|| {
            let new = || Arc::new(NamedRow { created: (cells.clock)(), cells: zeroed(), native: OnceLock::new() });
            Arc::clone(cells.named.get_or_init(index, new))
        });
        Some(row)
    }

    #[inline]
    fn sample(&mut self, set: LabelSet, f: F, variant: usize, value: u64) {
        let native = self.cells.native.load(Ordering::Relaxed);
        let row = self.row(set);
        match LAYOUT[f as usize].place {
            Place::Media(_) => sample(row.media.get_or_init(zeroed).as_slice(), f, variant, value),
            _ => sample(row.cells.as_slice(), f, variant, value),
        }
        if native {
            sample_native(&row.native, f, variant, value);
        }
    }

    #[inline(always)]
    fn cell(&mut self, set: LabelSet, f: F, variant: usize) -> Option<&AtomicU64> {
        let slot = LAYOUT[f as usize];
        debug_assert!(variant < slot.variants, "{f:?} has no variant {variant}");
        debug_assert!(!matches!(STORED[f as usize].kind, Kind::Histogram(_)), "{f:?} is a histogram");
        if variant >= slot.variants {
            return None;
        }
        Some(match slot.place {
            Place::Global(at) => &self.cells.globals[at + variant],
            Place::Named(_) => {
                debug_assert!(false, "{f:?} has a name of its own");
                return None;
            }
            Place::Row(at) => &self.row(set).cells[at + variant],
            Place::Media(at) => &self.row(set).media.get_or_init(zeroed)[at + variant],
            Place::Blocks(at) => {
                let block = self.row(set).blocks[at + variant / BLOCK].get_or_init(zeroed);
                &block[variant % BLOCK]
            }
        })
    }

    #[inline]
    fn row(&mut self, set: LabelSet) -> &Row {
        let index = set.0 as usize;
        if self.rows.get(index).is_none_or(Option::is_none) {
            return self.first_touch(set);
        }
        self.rows[index].as_deref().expect("checked above")
    }

    #[cold]
    fn first_touch(&mut self, set: LabelSet) -> &Row {
        let index = if (set.0 as usize) < MAX_LABEL_SETS { set.0 as usize } else { LabelSet::OTHER.0 as usize };
        let row = self.cells.rows.get_or_init(index, || Arc::new(Row::new((self.cells.clock)())));
        if self.rows.len() <= index {
            self.rows.resize(index + 1, None);
        }
        self.rows[index].insert(Arc::clone(row))
    }
}

/// Adds one value to a histogram, whose cells are among `cells`.
#[inline]
fn sample(cells: &[AtomicU64], f: F, variant: usize, value: u64) {
    let slot = LAYOUT[f as usize];
    let Kind::Histogram(buckets) = STORED[f as usize].kind else {
        debug_assert!(false, "{f:?} is no histogram");
        return;
    };
    debug_assert!(variant < slot.variants, "{f:?} has no variant {variant}");
    if variant >= slot.variants {
        return;
    }
    let bucket = buckets.bounds.partition_point(|bound| *bound < value);
    let cells = histogram_cells(cells, slot, variant, buckets);
    bump(&cells[bucket], 1);
    let (coarse, fine) = split(value);
    bump(&cells[buckets.bounds.len() + 1], fine);
    bump(&cells[buckets.bounds.len() + 2], coarse);
}

/// The same in the native histogram, after the classic one: a reader, who copies that first, never finds more in it.
fn sample_native(native: &OnceLock<NativeRow>, f: F, variant: usize, value: u64) {
    let family = &STORED[f as usize];
    if let Kind::Histogram(buckets) = family.kind
        && variant < LAYOUT[f as usize].variants
    {
        native.get_or_init(|| NativeRow::new(family.scope)).sample(f, variant, buckets, value);
    }
}

/// One writer: no read-modify-write needed. Release: see the file's header.
#[inline]
pub(super) fn bump(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
}

/// Tells the time.
pub type Clock = fn() -> Timestamp;

/// The cells of one shard.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) globals: Box<[AtomicU64; GLOBAL_CELLS]>,
    /// A processor of media states facts here.
    pub(super) listening: AtomicBool,
    /// What time it is.
    clock: Clock,
    /// Whether samples go into native histograms too.
    native: Arc<AtomicBool>,
    rows: Pages<Arc<Row>>,
    named: Pages<Arc<NamedRow>>,
}

impl Cells {
    pub(super) fn new(clock: Clock, native: Arc<AtomicBool>) -> Self {
        let (listening, rows, named) = Default::default();
        Self { globals: zeroed(), listening, clock, native, rows, named }
    }

    /// The row of a name, if this shard has touched it.
    pub(super) fn named(&self, name: Name) -> Option<&NamedRow> {
        self.named.get(usize::from(name.0)).map(Arc::as_ref)
    }

    /// The row of a label set, if this shard has touched it.
    pub(super) fn row(&self, set: LabelSet) -> Option<&Row> {
        self.rows.get(set.0 as usize).map(Arc::as_ref)
    }
}

/// The cells of one label set in one shard.
#[derive(Debug)]
pub(super) struct Row {
    /// When it was touched first.
    pub(super) created: Timestamp,
    pub(super) cells: Box<[AtomicU64; ROW_CELLS]>,
    /// Status codes and causes, a hundred to a block.
    pub(super) blocks: [OnceLock<Box<[AtomicU64; BLOCK]>>; ROW_BLOCKS],
    /// What its callers hear, once there is something.
    pub(super) media: OnceLock<Box<[AtomicU64; MEDIA_CELLS]>>,
    pub(super) native: OnceLock<NativeRow>,
}

impl Row {
    fn new(created: Timestamp) -> Self {
        let native = OnceLock::new();
        Self {
            created,
            native,
            cells: zeroed(),
            blocks: [const { OnceLock::new() }; ROW_BLOCKS],
            media: OnceLock::new(),
        }
    }
}

/// The cells of one name in one shard.
#[derive(Debug)]
pub(super) struct NamedRow {
    /// When it was touched first.
    pub(super) created: Timestamp,
    pub(super) cells: Box<[AtomicU64; NAMED_CELLS]>,
    pub(super) native: OnceLock<NativeRow>,
}

fn zeroed<const N: usize>() -> Box<[AtomicU64; N]> {
    Box::new([const { AtomicU64::new(0) }; N])
}

/// Cells per block of a sparse family: one class of status codes.
pub(super) const BLOCK: usize = 100;

/// Where the cells of a family are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// From this index in [`Cells::globals`].
    Global(usize),
    /// From this index in [`Row::cells`].
    Row(usize),
    /// From this index in [`Row::blocks`].
    Blocks(usize),
    /// From this index in [`Row::media`].
    Media(usize),
    /// From this index in [`NamedRow::cells`].
    Named(usize),
}

/// A family's place, and how many values it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellRange {
    pub(super) place: Place,
    pub(super) variants: usize,
}

/// Cells of a histogram per variant: each bucket, the one above the last bound, and the two halves of the sum.
pub(super) const fn histogram_width(buckets: Buckets) -> usize {
    buckets.bounds.len() + 3
}

#[inline]
fn histogram_cells(cells: &[AtomicU64], range: CellRange, variant: usize, buckets: Buckets) -> &[AtomicU64] {
    let (Place::Row(at) | Place::Named(at) | Place::Media(at)) = range.place else {
        unreachable!("the layout puts histograms into rows")
    };
    let width = histogram_width(buckets);
    &cells[at + variant * width..][..width]
}

/// Where each family is, indexed by [`F`].
pub(super) const LAYOUT: [CellRange; F::COUNT] = PLAN.0;
/// Cells of the global families.
pub(super) const GLOBAL_CELLS: usize = PLAN.1;
/// Cells of a row outside blocks.
pub(super) const ROW_CELLS: usize = PLAN.2;
/// Blocks of a row.
pub(super) const ROW_BLOCKS: usize = PLAN.3;
/// Cells of the row of a name.
pub(super) const NAMED_CELLS: usize = PLAN.4;
/// Cells of a row about media.
pub(super) const MEDIA_CELLS: usize = PLAN.5;

const PLAN: ([CellRange; F::COUNT], usize, usize, usize, usize, usize) = {
    let mut ranges = [CellRange { place: Place::Global(0), variants: 0 }; F::COUNT];
    let (mut globals, mut cells, mut blocks, mut named, mut media) = (0, 0, 0, 0, 0);
    let mut i = 0;
    while i < F::COUNT {
        let family = &STORED[i];
        let variants = family.variants();
        let width = match family.kind {
            Kind::Histogram(buckets) => histogram_width(buckets),
            Kind::Counter | Kind::Gauge => 1,
        };
        let place = match family.scope {
            Scope::Global => {
                globals += variants * width;
                Place::Global(globals - variants * width)
            }
            Scope::Call if family.media => {
                media += variants * width;
                Place::Media(media - variants * width)
            }
            Scope::Carrier | Scope::Queue | Scope::Service | Scope::Backend => {
                named += variants * width;
                Place::Named(named - variants * width)
            }
            Scope::Target => panic!("rows of targets are not stored here"),
            Scope::Call if family.is_sparse() => {
                blocks += variants.div_ceil(BLOCK);
                Place::Blocks(blocks - variants.div_ceil(BLOCK))
            }
            Scope::Call => {
                cells += variants * width;
                Place::Row(cells - variants * width)
            }
        };
        ranges[i] = CellRange { place, variants };
        i += 1;
    }
    (ranges, globals, cells, blocks, named, media)
};

const _: () = assert!(size_of::<Row>() + ROW_CELLS * 8 <= 4096 + 256, "MAX_LABEL_SETS speaks of 4 KB per row");
const _: () = assert!(NAMED_CELLS * 8 <= 2048, "MAX_NAMES speaks of 2 KB per row");
