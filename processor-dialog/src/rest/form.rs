//! The bytes of the form: numbers, slots, five-tuples and items, written one after another and read again.

use pipeline::Slot;
use wire::Timestamp;

use super::cells::MAX_LEN;
use super::contents::DialogRef;
use crate::entries::Handle;
use crate::items::Item;
use crate::key::Mark;

/// Writes the form. What cannot be written is noted; whoever writes asks in the end.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    tuples: Vec<u32>,
    /// What was written does not fit the form.
    pub misfit: bool,
}

impl Writer {
    /// What was written.
    pub fn written(&self) -> &[u8] {
        &self.bytes
    }

    pub fn begin(&mut self, now: Timestamp) {
        self.bytes.clear();
        self.slots.clear();
        self.tuples.clear();
        self.misfit = false;
        self.fixed(now.as_nanos());
    }

    pub fn is_whole(&self) -> bool {
        !self.misfit && self.bytes.len() <= MAX_LEN
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn fixed(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn byte(&mut self, value: usize) {
        self.misfit |= value > usize::from(u8::MAX);
        self.bytes.push(value as u8);
    }

    /// Seven bits to a byte; the top bit says that more follow.
    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub fn index(&mut self, index: Option<usize>) {
        self.byte(index.map_or(0, |index| index + 1));
    }

    pub fn slot(&mut self, slot: Slot) {
        if !self.misfit && !self.slots.contains(&slot) {
            self.misfit = self.slots.len() == MAX_SLOTS;
            self.slots.push(slot);
        }
    }

    pub fn tuple(&mut self, tuple: u32) {
        if !self.misfit && !self.tuples.contains(&tuple) {
            self.misfit = self.tuples.len() == MAX_TUPLES;
            self.tuples.push(tuple);
        }
    }

    pub fn dictionaries(&mut self) {
        let (slots, tuples) = (std::mem::take(&mut self.slots), std::mem::take(&mut self.tuples));
        self.byte(slots.len());
        slots.iter().for_each(|slot| self.number(slot.0.into()));
        self.byte(tuples.len());
        tuples.iter().for_each(|tuple| self.bytes(&tuple.to_le_bytes()));
        (self.slots, self.tuples) = (slots, tuples);
    }

    /// The place of a slot among those named before, with four bits of something else.
    pub fn slot_place(&mut self, slot: Slot, bits: usize) {
        let place = self.slots.iter().position(|known| *known == slot).unwrap_or_default();
        self.byte(place << 4 | bits);
    }

    pub fn dialog(&mut self, dialog: DialogRef) {
        match dialog {
            DialogRef::None => self.byte(0),
            DialogRef::InTable(handle) => {
                self.byte(1);
                self.fixed(handle.to_bits());
            }
            DialogRef::Here(place) => self.byte(place + 2),
        }
    }

    /// Kind, whether it is counted, and its five-tuple; the hash of a response behind that.
    pub fn item(&mut self, item: &Item) {
        let place = self.tuples.iter().position(|known| *known == item.tuple).unwrap_or_default();
        let kind = item.mark.min(HASHED) as usize;
        self.byte(kind | usize::from(item.counted) << 2 | place << 3);
        if item.mark >= HASHED {
            self.misfit |= item.mark >> 48 != 0;
            self.bytes(&item.mark.to_le_bytes()[..6]);
        }
    }
}

/// Reads the form.
pub struct Reader<'a> {
    /// The string from its beginning.
    pub whole: &'a [u8],
    rest: &'a [u8],
    /// When it was written.
    pub now: Timestamp,
    slots: [Slot; MAX_SLOTS],
    /// The five-tuples, four bytes each.
    tuples: &'a [u8],
    /// What stood beside the last slot.
    pub bits: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Self {
            whole: bytes,
            rest: &bytes[DIRECTORY + 1 + transactions(bytes) * ENTRY..],
            now: Timestamp::from_nanos(fixed(bytes)),
            slots: [Slot::OTHER; MAX_SLOTS],
            tuples: b"",
            bits: 0,
        };
        for place in 0..reader.byte() {
            reader.slots[place] = Slot(reader.number() as u32);
        }
        let tuples = reader.byte();
        reader.tuples = reader.take(tuples * 4);
        reader
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    pub fn fixed(&mut self) -> u64 {
        fixed(self.take(8))
    }

    pub fn word(&mut self) -> u32 {
        word(self.take(4))
    }

    pub fn byte(&mut self) -> usize {
        self.take(1)[0].into()
    }

    pub fn number(&mut self) -> u64 {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte() as u64;
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
            shift += 7;
        }
    }

    pub fn index(&mut self) -> Option<usize> {
        self.byte().checked_sub(1)
    }

    pub fn due(&mut self) -> Timestamp {
        Timestamp::from_nanos(self.now.as_nanos() + self.number())
    }

    pub fn slot_place(&mut self) -> Slot {
        let byte = self.byte();
        self.bits = byte & 0xf;
        self.slots[byte >> 4]
    }

    pub fn dialog(&mut self) -> DialogRef {
        match self.byte() {
            0 => DialogRef::None,
            1 => DialogRef::InTable(Handle::from_bits(self.fixed())),
            place => DialogRef::Here(place - 2),
        }
    }

    pub fn item(&mut self) -> Item {
        let byte = self.byte();
        let mark = match byte as u64 & 3 {
            HASHED => {
                let mut mark = [0; 8];
                mark[..6].copy_from_slice(self.take(6));
                u64::from_le_bytes(mark)
            }
            kind => kind,
        };
        Item { mark, tuple: word(&self.tuples[(byte >> 3) * 4..]), counted: byte & 4 != 0 }
    }
}

/// The first eight bytes.
pub fn fixed(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().expect("whoever reads knows what was written"))
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(*bytes.first_chunk().expect("whoever reads knows what was written"))
}

/// How many transactions there are.
fn transactions(bytes: &[u8]) -> usize {
    bytes[DIRECTORY].into()
}

/// Where the keys of transactions are: behind the base time.
pub const DIRECTORY: usize = 8;
/// Bytes of an entry there: a method, and the Via its key is made of.
pub const ENTRY: usize = 9;
/// In place of a method: the key itself stands there.
pub const OWN_KEY: usize = 0xff;
/// Marks of items from here on are hashes; those below are the request and its ACK.
const HASHED: Mark = 2;
/// As four bits can tell apart.
const MAX_SLOTS: usize = 16;
/// As five bits can tell apart.
const MAX_TUPLES: usize = 32;
