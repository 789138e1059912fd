//! Words: runs of letters and digits in, others of the same form out.
//!
//! A letter becomes a letter of its case, a digit a digit, and words that differ become words that differ. Of five digits in a row
//! or more every fifth becomes a letter, from the third on: what stands there cannot be a number that somebody has, nor one that was there
//! before. Hexadecimal identifiers stay hexadecimal (RFC 7989, W3C Trace Context), a `+`, `00` or `0` before a number stays.

use std::collections::HashMap;

use crate::keyed::{Keyed, MAX_SIZE};

/// Replaces words. Remembers those it has met.
#[derive(Debug)]
pub(crate) struct Words {
    keyed: Keyed,
    /// By what stood before, NUL, and the word.
    known: HashMap<Box<[u8]>, Box<[u8]>>,
}

impl Words {
    pub fn new(keyed: Keyed) -> Self {
        Self { keyed, known: HashMap::new() }
    }

    /// Adds what stands for `word` behind `before`, which is of the same token: the same word after something else becomes
    /// another one.
    pub fn put(&mut self, before: &[u8], word: &[u8], out: &mut Vec<u8>) {
        if word.len() >= HEX && word.iter().all(|byte| *byte == b'0') {
            // As nil identifiers are (RFC 7989 §4.2): nobody's.
            return out.extend_from_slice(word);
        }
        let zeros = word.iter().take_while(|byte| **byte == b'0').count().min(2);
        let is_number = word.len() >= LONG && word.iter().all(u8::is_ascii_digit);
        let (prefix, word) = word.split_at(if is_number { zeros } else { 0 });
        out.extend_from_slice(prefix);
        let key: Box<[u8]> = [before, b"\0", word].concat().into();
        if let Some(known) = self.known.get(&key) {
            return out.extend_from_slice(known);
        }
        let made = self.made(before, word, is_number);
        out.extend_from_slice(&made);
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(key, made.into());
    }

    /// Bytes that stand for others and say nothing of them.
    pub fn token(&self, tag: &[u8], bytes: &[u8]) -> [u8; 32] {
        self.keyed.bytes(&[b"token", tag, bytes])
    }

    fn made(&self, before: &[u8], word: &[u8], is_number: bool) -> Vec<u8> {
        let is_hex = word.len() >= HEX && word.iter().all(u8::is_ascii_hexdigit);
        let places = places(word, is_hex, is_number);
        let pattern: Vec<u8> = places.iter().map(|place| place.pattern()).collect();
        let lower = word.to_ascii_lowercase();
        let size =
            places.iter().try_fold(1_u64, |size, place| size.checked_mul(place.size).filter(|size| *size <= MAX_SIZE));
        let mut digits: Vec<u64> = Vec::with_capacity(places.len());
        if let Some(size) = size {
            let value =
                places.iter().zip(&lower).fold(0, |value, (place, byte)| value * place.size + place.value(*byte));
            let mut value = self.keyed.permuted(&[b"word", before, &pattern], value, size);
            for place in places.iter().rev() {
                digits.push(value % place.size);
                value /= place.size;
            }
            digits.reverse();
        } else {
            // So long that two never meet.
            for (block, places) in places.chunks(16).enumerate() {
                let bytes = self.keyed.bytes(&[b"long word", before, &pattern, &lower, &(block as u64).to_le_bytes()]);
                let (pairs, _) = bytes.as_chunks::<2>();
                digits.extend(
                    places.iter().zip(pairs).map(|(place, pair)| u64::from(u16::from_le_bytes(*pair)) % place.size),
                );
            }
        }
        let shown = places.iter().zip(digits).zip(word).map(|((place, digit), was)| {
            let byte = place.byte(digit);
            if was.is_ascii_uppercase() { byte.to_ascii_uppercase() } else { byte }
        });
        shown.collect()
    }
}

/// What may stand at one place of a word.
#[derive(Clone, Copy)]
struct Place {
    /// A digit was there.
    digit: bool,
    /// How many may be there: of digits, or of letters from `a` on.
    size: u64,
}

impl Place {
    fn pattern(self) -> u8 {
        if self.digit { b'0' } else { b'a' }
    }

    /// Below [`Self::size`]. What is no letter of the alphabet is taken for one.
    fn value(self, byte: u8) -> u64 {
        u64::from(byte.wrapping_sub(self.pattern())) % self.size
    }

    fn byte(self, value: u64) -> u8 {
        value as u8 + if self.size == 10 { b'0' } else { b'a' }
    }
}

/// `is_number`: digits may stand before it.
fn places(word: &[u8], is_hex: bool, is_number: bool) -> Vec<Place> {
    let letters = if is_hex { 6 } else { 26 };
    let mut places = Vec::with_capacity(word.len());
    for run in word.chunk_by(|one, next| one.is_ascii_digit() == next.is_ascii_digit()) {
        let is_digit = run[0].is_ascii_digit();
        places.extend((0..run.len()).map(|at| Place {
            digit: is_digit,
            size: if is_digit && (run.len() < LONG && !is_number || at % LONG != 2) { 10 } else { letters },
        }));
    }
    places
}

/// So many digits in a row may be a number that somebody has.
const LONG: usize = 5;
/// A word of so many hexadecimal digits is an identifier of that form.
const HEX: usize = 16;
/// Most words that are remembered.
const MAX_KNOWN: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn of(words: &mut Words, word: &str) -> String {
        let mut out = Vec::new();
        words.put(b"", word.as_bytes(), &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    fn form(word: &str) -> String {
        word.chars()
            .map(|c| {
                if c.is_ascii_digit() {
                    '0'
                } else if c.is_ascii_uppercase() {
                    'A'
                } else {
                    'a'
                }
            })
            .collect()
    }

    #[test]
    fn a_word_keeps_its_form_and_no_five_digits_in_a_row() {
        let mut words = Words::new(Keyed::new(b"key"));
        for (word, expected) in [
            ("2002", "0000"),
            ("12345", "00a00"),
            ("4930123456", "00a0000a00"),
            ("Alice", "Aaaaa"),
            ("a7B", "a0A"),
            ("x123456", "x00a000".replace('x', "a").as_str()),
        ] {
            let made = of(&mut words, word);
            assert_eq!(form(&made), expected, "{word} became {made}");
            assert_ne!(made, word);
        }
        assert_eq!(form(&of(&mut words, "00123")), "0000a");
        assert_eq!(of(&mut words, &"0".repeat(32)), "0".repeat(32));
    }

    #[test]
    fn a_number_is_itself_behind_its_prefix() {
        let mut words = Words::new(Keyed::new(b"key"));
        let bare = of(&mut words, "4930123456");
        assert_eq!(of(&mut words, "004930123456"), format!("00{bare}"));
    }

    #[test]
    fn identifiers_stay_hexadecimal() {
        let mut words = Words::new(Keyed::new(b"key"));
        let made = of(&mut words, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    }

    #[test]
    fn words_that_differ_become_words_that_differ() {
        let mut words = Words::new(Keyed::new(b"key"));
        let met: BTreeSet<String> = (0..1000).map(|number| of(&mut words, &format!("{number:03}"))).collect();
        assert_eq!(met.len(), 1000);
        let met: BTreeSet<String> = (10_000..11_000).map(|number| of(&mut words, &number.to_string())).collect();
        assert_eq!(met.len(), 1000);
    }

    #[test]
    fn case_is_kept_and_does_not_matter() {
        let mut words = Words::new(Keyed::new(b"key"));
        assert_eq!(of(&mut words, "Example"), {
            let lower = of(&mut words, "example");
            lower[..1].to_uppercase() + &lower[1..]
        });
    }
}
