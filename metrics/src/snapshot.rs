//! A snapshot: the cells of all shards copied at one instant, and the series they make.
//!
//! A family at a time, its label sets in order: a [`Visitor`] sees what a scrape shows, ratios included.
//! Cells are copied from the last to the first: numerators before the denominators they were counted
//! after, so that ratios and inputs in one snapshot agree and no ratio exceeds 100 %.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pipeline::labels::{LabelSets, Name, Named, Pair};
use pipeline::probes::ProbeCopy;
use pipeline::{Build, LabelSet};

use wire::Timestamp;

use super::choice::Choice;
use super::exemplars::{Bucket, Held};
use super::label_values::{DIRECTIONS, Input};
use super::native::{self, NativeRow};
use super::probes::PROBES;
use super::ratios::Inputs;
use super::rows::{
    BLOCK, CellRange, Cells, GLOBAL_CELLS, LAYOUT, MEDIA_CELLS, NAMED_CELLS, Place, ROW_BLOCKS, ROW_CELLS,
    histogram_width,
};
use super::schema::{DERIVED, F, FAMILIES, Family, Kind, Presence, Scope, Source, Values};
use super::series::{Histogram, Labels, SeriesId, Value};

/// Takes what [`Snapshot::walk`] finds.
pub trait Visitor {
    /// A family with at least one series begins.
    fn family(&mut self, family: &'static Family);
    /// One series of it.
    fn series(&mut self, labels: &Labels<'_>, value: &Value<'_>);
}

/// What a copy has besides the cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The exemplars of delays.
    pub exemplars: bool,
    /// Native histograms, where they are kept ([`super::Registry::keep_native`]).
    pub native: bool,
}

/// The copy.
#[derive(Debug)]
pub struct Snapshot {
    namespace: Box<str>,
    build: Build,
    /// When counting began.
    began: Timestamp,
    labels: Arc<LabelSets>,
    globals: Vec<u64>,
    rows: Vec<RowCopy>,
    /// [`ROW_CELLS`] per row.
    cells: Vec<u64>,
    /// [`BLOCK`] per block that any row has.
    blocks: Vec<u64>,
    /// [`MEDIA_CELLS`] per row that has media.
    media: Vec<u64>,
    /// Families about media exist.
    listening: bool,
    /// The names that were counted, and since when.
    names: Vec<(Name, Timestamp)>,
    /// [`NAMED_CELLS`] per name.
    named: Vec<u64>,
    /// None unless they were asked for.
    exemplars: Held,
    /// The same of native histograms: by whose they are, and their slot in that row.
    natives: HashMap<(Owner, usize), Box<[u64; native::CELLS]>>,
    /// The rows of probes.
    probes: Vec<ProbeCopy>,
    choice: Arc<Choice>,
}

#[derive(Debug)]
struct RowCopy {
    set: LabelSet,
    /// False for `other`/`other` before anything was counted there.
    touched: bool,
    created: Timestamp,
    /// Which of [`Snapshot::blocks`] each block is, counted from 1; 0 where there is none.
    blocks: [u32; ROW_BLOCKS],
    /// Which of [`Snapshot::media`] its media are, counted from 1; 0 where there are none.
    media: u32,
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    family: usize,
    row: usize,
    announced: bool,
}

impl Snapshot {
    pub(super) fn take(
        namespace: &str,
        labels: Arc<LabelSets>,
        shards: &[Arc<Cells>],
        build: Build,
        began: Timestamp,
        native: bool,
    ) -> Self {
        let mut copy = Self {
            namespace: namespace.into(),
            build,
            began,
            globals: vec![0; GLOBAL_CELLS],
            rows: Vec::new(),
            cells: Vec::new(),
            blocks: Vec::new(),
            media: Vec::new(),
            listening: shards.iter().any(|shard| shard.listening.load(Ordering::Acquire)),
            names: Vec::new(),
            named: Vec::new(),
            exemplars: Held::default(),
            natives: HashMap::new(),
            probes: Vec::new(),
            choice: Arc::default(),
            labels,
        };
        for shard in shards {
            add_up(&mut copy.globals, shard.globals.as_slice());
        }
        if native {
            copy.take_natives(shards);
        }
        // Sizes first: growing step by step would copy the copy.
        let sets = (0..copy.labels.len() as u32).map(LabelSet);
        let rows = sets.clone().filter(|set| shards.iter().any(|shard| shard.row(*set).is_some())).count();
        copy.rows.reserve_exact(rows + 1);
        copy.cells.reserve_exact((rows + 1) * ROW_CELLS);
        for set in sets {
            copy.take_row(set, shards);
        }
        for name in (0..copy.labels.name_count() as u16).map(Name) {
            copy.take_name(name, shards);
        }
        copy
    }

    /// Shows these rows of probes too.
    pub(super) fn with_probes(self, probes: Vec<ProbeCopy>) -> Self {
        Self { probes, ..self }
    }

    /// Shows no more than is chosen.
    pub fn choose(self, choice: Arc<Choice>) -> Self {
        Self { choice, ..self }
    }

    /// Shows `exemplars` too.
    pub(super) fn with(self, exemplars: Held) -> Self {
        Self { exemplars, ..self }
    }

    /// Before the classic ones, which a sample goes into first: so that none of these has more samples than its own.
    fn take_natives(&mut self, shards: &[Arc<Cells>]) {
        for set in (0..self.labels.len() as u32).map(LabelSet) {
            let rows = shards.iter().filter_map(|shard| shard.row(set)?.native.get());
            self.add_natives(Owner::Set(set), rows);
        }
        for name in (0..self.labels.name_count() as u16).map(Name) {
            let rows = shards.iter().filter_map(|shard| shard.named(name)?.native.get());
            self.add_natives(Owner::Name(name), rows);
        }
    }

    fn add_natives<'a>(&mut self, owner: Owner, rows: impl Iterator<Item = &'a NativeRow>) {
        for (slot, cells) in rows.flat_map(NativeRow::iter) {
            let to = self.natives.entry((owner, slot)).or_insert_with(|| Box::new([0; native::CELLS]));
            native::add_up(to, cells);
        }
    }

    fn take_row(&mut self, set: LabelSet, shards: &[Arc<Cells>]) {
        let touched = shards.iter().any(|shard| shard.row(set).is_some());
        if !touched && set != LabelSet::OTHER {
            return;
        }
        let created = match set {
            // It is shown from start, touched or not.
            LabelSet::OTHER => None,
            _ => shards.iter().filter_map(|shard| Some(shard.row(set)?.created)).min(),
        };
        let created = created.unwrap_or(self.began);
        let mut row = RowCopy { set, touched, created, blocks: [0; ROW_BLOCKS], media: 0 };
        let start = self.cells.len();
        self.cells.resize(start + ROW_CELLS, 0);
        for from in shards.iter().filter_map(|shard| shard.row(set)) {
            // Status codes and causes first: a response is counted after its request.
            for (index, block) in from.blocks.iter().enumerate() {
                let Some(block) = block.get() else { continue };
                if row.blocks[index] == 0 {
                    self.blocks.resize(self.blocks.len() + BLOCK, 0);
                    row.blocks[index] = (self.blocks.len() / BLOCK) as u32;
                }
                let at = (row.blocks[index] as usize - 1) * BLOCK;
                add_up(&mut self.blocks[at..at + BLOCK], block.as_slice());
            }
            if let Some(media) = from.media.get() {
                if row.media == 0 {
                    self.media.resize(self.media.len() + MEDIA_CELLS, 0);
                    row.media = (self.media.len() / MEDIA_CELLS) as u32;
                }
                let at = (row.media as usize - 1) * MEDIA_CELLS;
                add_up(&mut self.media[at..at + MEDIA_CELLS], media.as_slice());
            }
            add_up(&mut self.cells[start..], from.cells.as_slice());
        }
        self.rows.push(row);
    }

    fn take_name(&mut self, name: Name, shards: &[Arc<Cells>]) {
        let start = self.named.len();
        for from in shards.iter().filter_map(|shard| shard.named(name)) {
            self.named.resize(start + NAMED_CELLS, 0);
            add_up(&mut self.named[start..], from.cells.as_slice());
        }
        let created = shards.iter().filter_map(|shard| Some(shard.named(name)?.created)).min();
        self.names.extend(created.map(|created| (name, created)));
    }

    /// The prefix of every name, without the underscore that follows it.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What every name begins with: the prefix and an underscore, or nothing.
    pub fn prefix(&self) -> String {
        match &*self.namespace {
            "" => String::new(),
            namespace => format!("{namespace}_"),
        }
    }

    /// The rows of probes.
    pub fn probes(&self) -> &[ProbeCopy] {
        &self.probes
    }

    /// Shows `visitor` every series.
    pub fn walk(&self, visitor: &mut dyn Visitor) {
        let mut cursor = Cursor::default();
        while self.step(&mut cursor, visitor) {}
    }

    /// Shows `visitor` the next family, or as much of it as belongs to a few label sets; `false` when
    /// nothing was left. For who must not hold the thread for long.
    pub fn step(&self, cursor: &mut Cursor, visitor: &mut dyn Visitor) -> bool {
        let Some(family) = FAMILIES.iter().chain(DERIVED).chain(PROBES).nth(cursor.family) else { return false };
        let mut walk = Walk { family, visitor, announced: cursor.announced };
        let rows = match family.scope {
            _ if family.presence == Presence::Hidden || family.media && !self.listening => 0,
            _ if self.choice.is_hidden(family) => 0,
            Scope::Global => {
                walk.global(self);
                0
            }
            Scope::Carrier | Scope::Queue | Scope::Service | Scope::Backend => {
                walk.named(self);
                0
            }
            Scope::Call => self.rows.len(),
            Scope::Target => self.probes.len(),
        };
        let end = rows.min(cursor.row + ROWS_PER_STEP);
        for index in cursor.row..end {
            match family.scope {
                Scope::Target => walk.target(self, &self.probes[index]),
                _ => walk.row(self, index),
            }
        }
        cursor.announced = walk.announced;
        cursor.row = end;
        if end < rows {
            return true;
        }
        *cursor = Cursor { family: cursor.family + 1, ..Cursor::default() };
        true
    }

    /// The cells of one row.
    fn cells(&self, row: usize) -> &[u64] {
        &self.cells[row * ROW_CELLS..][..ROW_CELLS]
    }

    /// One cell of a family that is no histogram; 0 where its block does not exist.
    fn cell(&self, row: usize, range: CellRange, variant: usize) -> u64 {
        match range.place {
            Place::Global(at) => self.globals[at + variant],
            Place::Row(at) => self.cells(row)[at + variant],
            Place::Media(at) => self.media(row).map_or(0, |cells| cells[at + variant]),
            Place::Blocks(at) => match self.rows[row].blocks[at + variant / BLOCK] {
                0 => 0,
                block => self.blocks[(block as usize - 1) * BLOCK + variant % BLOCK],
            },
            Place::Named(_) => unreachable!("what has a name of its own is in no row"),
        }
    }

    /// The cells of one row about media, where it has any.
    fn media(&self, row: usize) -> Option<&[u64]> {
        let index = (self.rows[row].media as usize).checked_sub(1)?;
        Some(&self.media[index * MEDIA_CELLS..][..MEDIA_CELLS])
    }

    /// The mean of the opinions of the last minute; `None` where there are none.
    fn mean(&self, row: usize) -> Option<f64> {
        let cell = |variant| self.cell(row, LAYOUT[F::RecentOpinions as usize], variant) as i64;
        let (sum, number) = (cell(0), cell(1));
        (number > 0).then(|| sum as f64 / 1e6 / number as f64)
    }

    fn inputs(&self, row: usize) -> Inputs<'_> {
        let Place::Row(at) = LAYOUT[F::RatioInputs as usize].place else {
            unreachable!("inputs have carrier and ua_type")
        };
        Inputs {
            inputs: &self.cells(row)[at..][..Input::ALL.len()],
            sdc: self.cell(row, LAYOUT[F::SdcEvents as usize], 0),
        }
    }

    /// Whether the ratios of a row exist: an initial INVITE or a REGISTER was seen.
    fn attempted(&self, row: usize) -> bool {
        self.invited(row) || self.registered(row)
    }

    /// Whether an initial INVITE was seen.
    fn invited(&self, row: usize) -> bool {
        let Inputs { inputs, .. } = self.inputs(row);
        [Input::Ti, Input::A].iter().any(|input| inputs[input.index()] != 0)
    }

    /// Whether a REGISTER was seen.
    fn registered(&self, row: usize) -> bool {
        let Inputs { inputs, .. } = self.inputs(row);
        inputs[Input::Reg.index()] != 0 || self.cell(row, LAYOUT[F::Requests as usize], REGISTER) != 0
    }
}

/// Whose row native histograms are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Set(LabelSet),
    Name(Name),
}

/// Whose series it is: what the configuration gave it for labels.
#[derive(Clone, Copy)]
enum Whose<'a> {
    All(Timestamp),
    Set(LabelSet, &'a Pair, Timestamp),
    Name(Name, &'a Named, Timestamp),
}

/// One step of a walk: one family.
struct Walk<'v> {
    family: &'static Family,
    visitor: &'v mut dyn Visitor,
    announced: bool,
}

impl Walk<'_> {
    fn global(&mut self, snapshot: &Snapshot) {
        for variant in 0..self.family.variants() {
            let value = match self.family.source {
                Source::Stored(f) => snapshot.cell(0, LAYOUT[f as usize], variant),
                Source::Build => return self.build(snapshot),
                Source::View(..) | Source::Ratio(_) | Source::Mean => {
                    unreachable!("views, ratios and means have carrier and ua_type")
                }
                Source::Probe(_) => unreachable!("probes have target and transport"),
            };
            self.show(Whose::All(snapshot.began), variant, &self.number(value));
        }
    }

    fn build(&mut self, snapshot: &Snapshot) {
        self.visitor.family(self.family);
        let id = SeriesId { set: None, name: None, variant: 0 };
        let further = &snapshot.build.labels();
        let labels = Labels { id, pair: None, named: None, further, created: snapshot.began };
        self.visitor.series(&labels, &Value::Gauge(1));
    }

    fn named(&mut self, snapshot: &Snapshot) {
        let Source::Stored(f) = self.family.source else { unreachable!("what has a name of its own is stored") };
        let range = LAYOUT[f as usize];
        let Place::Named(at) = range.place else { unreachable!("the layout gives it a row by name") };
        for ((name, created), cells) in snapshot.names.iter().zip(snapshot.named.chunks_exact(NAMED_CELLS)) {
            let named = snapshot.labels.named(*name);
            if Some(named.label) != self.family.scope.name() {
                continue;
            }
            let whose = Whose::Name(*name, named, *created);
            for variant in 0..range.variants {
                if let Kind::Histogram(buckets) = self.family.kind {
                    let width = histogram_width(buckets);
                    let cells = &cells[at + variant * width..][..width];
                    let first = Bucket { set: LabelSet::OTHER, family: f, variant: variant as u8, index: 0 };
                    self.samples(snapshot, whose, Owner::Name(*name), first, Histogram::plain(buckets, cells));
                    continue;
                }
                let value = cells[at + variant];
                let is_there = match self.family.presence {
                    Presence::Touched => true,
                    Presence::Trunked => self.has_trunk(cells, variant),
                    _ => false,
                };
                if value != 0 || is_there {
                    self.show(whose, variant, &self.number(value));
                }
            }
        }
    }

    /// A histogram with all that is held of it, once it has samples; `first` is its first bucket.
    fn samples(&mut self, held: &Snapshot, whose: Whose<'_>, owner: Owner, first: Bucket, plain: Histogram<'_>) {
        if plain.count() == 0 {
            return;
        }
        let variant = usize::from(first.variant);
        let native = held.natives.get(&(owner, native::slot(first.family, variant)));
        let histogram = Histogram {
            exemplars: Some((&held.exemplars, first)),
            shown: held.choice.bounds(self.family),
            native: native.map(|cells| &**cells),
            ..plain
        };
        self.show(whose, variant, &Value::Histogram(histogram));
    }

    /// Whether a carrier has a trunk attempt in the direction that a variant of the family is about.
    fn has_trunk(&self, cells: &[u64], variant: usize) -> bool {
        let Place::Named(at) = LAYOUT[F::TrunkAttempts as usize].place else { unreachable!("trunks have names") };
        // The direction is the first label.
        cells[at + variant / (self.family.variants() / DIRECTIONS.len())] != 0
    }

    fn row(&mut self, snapshot: &Snapshot, index: usize) {
        let row = &snapshot.rows[index];
        let pair = Whose::Set(row.set, snapshot.labels.pair(row.set), row.created);
        match self.family.source {
            Source::Ratio(ratio) => {
                if snapshot.attempted(index) {
                    self.show(pair, 0, &Value::Ratio(ratio.of(snapshot.inputs(index))));
                }
            }
            Source::View(f, variant) => {
                let value = snapshot.cell(index, LAYOUT[f as usize], variant);
                if self.is_shown(snapshot, index, value) {
                    self.show(pair, 0, &self.number(value));
                }
            }
            Source::Mean => {
                if row.media != 0 {
                    self.show(pair, 0, &Value::Ratio(snapshot.mean(index)));
                }
            }
            Source::Stored(f) => self.stored(snapshot, index, f, pair),
            Source::Build => unreachable!("the program is no row"),
            Source::Probe(_) => unreachable!("probes have target and transport"),
        }
    }

    fn stored(&mut self, snapshot: &Snapshot, index: usize, f: F, pair: Whose<'_>) {
        let row = &snapshot.rows[index];
        let range = LAYOUT[f as usize];
        match (self.family.kind, range.place) {
            (Kind::Histogram(buckets), Place::Row(at) | Place::Media(at)) => {
                let cells = match range.place {
                    Place::Media(_) => snapshot.media(index),
                    _ => Some(snapshot.cells(index)),
                };
                let Some(cells) = cells else { return };
                let width = histogram_width(buckets);
                for (variant, cells) in cells[at..][..width * range.variants].chunks_exact(width).enumerate() {
                    let first = Bucket { set: row.set, family: f, variant: variant as u8, index: 0 };
                    self.samples(snapshot, pair, Owner::Set(row.set), first, Histogram::plain(buckets, cells));
                }
            }
            (_, Place::Blocks(at)) => {
                for block in 0..range.variants.div_ceil(BLOCK) {
                    if row.blocks[at + block] == 0 {
                        continue;
                    }
                    for variant in block * BLOCK..(block + 1) * BLOCK {
                        let value = snapshot.cell(index, range, variant);
                        if value != 0 {
                            self.show(pair, variant, &self.number(value));
                        }
                    }
                }
            }
            _ => {
                for variant in 0..range.variants {
                    let value = snapshot.cell(index, range, variant);
                    if self.is_shown(snapshot, index, value) {
                        self.show(pair, variant, &self.number(value));
                    }
                }
            }
        }
    }

    fn target(&mut self, snapshot: &Snapshot, row: &ProbeCopy) {
        let (created, shown) = (snapshot.began, snapshot.choice.bounds(self.family));
        let Source::Probe(probe) = self.family.source else { unreachable!("only probes have targets") };
        probe.series(row, &mut |variant, further, value| {
            let value = &match *value {
                Value::Histogram(histogram) => Value::Histogram(Histogram { shown, ..histogram }),
                other => other,
            };
            if !self.announced {
                self.visitor.family(self.family);
                self.announced = true;
            }
            let labels = [("target", row.target.name.as_str()), ("transport", row.target.transport)];
            let labels = [labels[0], labels[1], further.unwrap_or_default()];
            let further = &labels[..2 + usize::from(further.is_some())];
            let id = SeriesId { set: None, name: None, variant: row.number as usize * VARIANTS_OF_TARGET + variant };
            self.visitor.series(&Labels { id, pair: None, named: None, further, created }, value);
        });
    }

    fn is_shown(&self, snapshot: &Snapshot, index: usize, value: u64) -> bool {
        let row = &snapshot.rows[index];
        value != 0
            || match self.family.presence {
                Presence::Start => row.set == LabelSet::OTHER,
                Presence::Touched => row.touched,
                Presence::Nonzero | Presence::Trunked => false,
                Presence::Attempted => snapshot.attempted(index),
                Presence::Invited => snapshot.invited(index),
                Presence::Registered => snapshot.registered(index),
                Presence::Heard => row.media != 0,
                Presence::Hidden => false,
            }
    }

    fn number(&self, cell: u64) -> Value<'static> {
        match self.family.kind {
            Kind::Gauge => Value::Gauge(cell as i64),
            Kind::Counter | Kind::Histogram(_) => Value::Counter(cell),
        }
    }

    fn show(&mut self, whose: Whose<'_>, variant: usize, value: &Value<'_>) {
        if !self.announced {
            self.visitor.family(self.family);
            self.announced = true;
        }
        let mut number = itoa::Buffer::new();
        let mut further = [("", ""); MAX_LABELS];
        let mut rest = variant;
        for (slot, label) in further.iter_mut().zip(self.family.labels).rev() {
            let index = rest % label.values.count();
            rest /= label.values.count();
            *slot = (
                label.name,
                match label.values {
                    Values::Listed(values) => values[index],
                    Values::Numbers { .. } => "",
                },
            );
        }
        // A family has at most one label of numbers: its text lives in the one buffer.
        if let Some(at) = self.family.labels.iter().position(|label| matches!(label.values, Values::Numbers { .. })) {
            let Values::Numbers { first, count } = self.family.labels[at].values else { unreachable!("found above") };
            debug_assert_eq!(at + 1, self.family.labels.len(), "numbers run fastest");
            further[at].1 = number.format(first + (variant % count as usize) as u16);
        }
        let (set, pair, name, named, created) = match whose {
            Whose::All(created) => (None, None, None, None, created),
            Whose::Set(set, pair, created) => (Some(set), Some(pair), None, None, created),
            Whose::Name(name, named, created) => (None, None, Some(name), Some(named), created),
        };
        let further = &further[..self.family.labels.len()];
        let id = SeriesId { set, name, variant };
        self.visitor.series(&Labels { id, pair, named, further, created }, value);
    }
}

/// Adds `from` to `to`, cell by cell, the last first.
fn add_up(to: &mut [u64], from: &[std::sync::atomic::AtomicU64]) {
    for (to, from) in to.iter_mut().zip(from).rev() {
        *to = to.wrapping_add(from.load(Ordering::Acquire));
    }
}

/// More than the variants of any family have for one target: the last status is 699.
const VARIANTS_OF_TARGET: usize = 1024;
/// Label sets per step.
const ROWS_PER_STEP: usize = 64;
/// Most labels of a family besides those of the configuration.
const MAX_LABELS: usize = 2;
const REGISTER: usize = sip::Method::Register.index();
