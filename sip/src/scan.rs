//! Finding bytes, sixteen at a time.
//!
//! Lines, names and URIs are short: looking right here costs less than a call of `memchr`. A search ends at `end`, but may
//! look at what stands behind it, so that what is searched should be given with what follows it: the last bytes of a
//! slice are walked one by one.

mod lanes;

pub(crate) use lanes::Lanes;

/// Bytes looked at in one step.
pub(crate) const WIDTH: usize = 16;

/// Where in `from..end` the first `byte` is.
#[inline]
pub(crate) fn find(byte: u8, bytes: &[u8], from: usize, end: usize) -> Option<usize> {
    find_among(bytes, from, end, |lanes| lanes.are(byte), |_| true, |at| at == byte)
}

/// Bytes looked at together, so that a processor has fewer lengths to guess.
pub(crate) const WINDOW: usize = 4 * WIDTH;

/// A bit for each byte that `is_wanted`.
#[inline(always)]
pub(crate) fn bits(window: &[u8; WINDOW], is_wanted: impl Fn(Lanes) -> Lanes) -> u64 {
    let (steps, _) = window.as_chunks::<WIDTH>();
    let bits = |step: usize| u64::from(is_wanted(Lanes::of(&steps[step])).bits()) << (step * WIDTH);
    bits(0) | bits(1) | bits(2) | bits(3)
}

/// The line ends of some bytes, found a window at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineEnds {
    /// Where the window begins; before the first one, a window before that.
    at: usize,
    /// A bit for each LF in it that was not given yet.
    ends: u64,
}

impl LineEnds {
    /// Those behind `at`.
    #[inline(always)]
    pub fn new(at: usize) -> Self {
        Self { at: at.wrapping_sub(WINDOW), ends: 0 }
    }

    /// Where the next LF is in the same bytes.
    #[inline(always)]
    pub fn next(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.ends == 0 {
            self.at = self.at.wrapping_add(WINDOW);
            self.ends = Self::window(bytes, self.at)?;
        }
        let end = self.at + self.ends.trailing_zeros() as usize;
        self.ends &= self.ends - 1;
        Some(end)
    }

    /// A bit for each LF in the window at `at`.
    #[inline(always)]
    fn window(bytes: &[u8], at: usize) -> Option<u64> {
        let rest = bytes.get(at..)?;
        let ends = |window| bits(window, |lanes| lanes.are(b'\n'));
        if let Some(window) = rest.first_chunk() {
            return Some(ends(window));
        }
        // Less than a window is left: the last whole one without what stands before.
        Some(match bytes.last_chunk() {
            Some(window) => ends(window).checked_shr((WINDOW - rest.len()) as u32).unwrap_or(0),
            None => ends(&filled_up(rest)),
        })
    }
}

/// A window of bytes that are fewer.
#[cold]
#[inline(never)]
fn filled_up(bytes: &[u8]) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    window[..bytes.len()].copy_from_slice(bytes);
    window
}

/// Where the line ends that `from` is in: its LF, or the end of all bytes when there is none.
#[inline(always)]
pub(crate) fn line_end(bytes: &[u8], from: usize) -> usize {
    LineEnds::new(from).next(bytes).unwrap_or(bytes.len())
}

/// Length of the line at the front with its LF; all bytes when there is none.
#[inline(always)]
pub(crate) fn line_len(bytes: &[u8]) -> usize {
    bytes.len().min(line_end(bytes, 0) + 1)
}

/// Where in `from..end` the first of two bytes is.
#[inline]
pub(crate) fn find_either(one: u8, other: u8, bytes: &[u8], from: usize, end: usize) -> Option<usize> {
    find_among(bytes, from, end, |lanes| lanes.are(one).or(lanes.are(other)), |_| true, |at| at == one || at == other)
}

/// Where in `from..end` the first byte is that `is_wanted`. `may_be` tells the lanes of those, and perhaps of others that
/// `is_sure` then refuses.
#[inline(always)]
pub(crate) fn find_among(
    bytes: &[u8],
    from: usize,
    end: usize,
    may_be: impl Fn(Lanes) -> Lanes,
    is_sure: impl Fn(u8) -> bool,
    is_wanted: impl Fn(u8) -> bool,
) -> Option<usize> {
    let (mut at, mut rest) = (from, bytes.get(from..)?);
    while let Some((step, behind)) = rest.split_first_chunk::<WIDTH>() {
        let mut found = may_be(Lanes::of(step)).bits();
        while found != 0 {
            let lane = found.trailing_zeros() as usize;
            if is_sure(step[lane % WIDTH]) {
                return (at + lane < end).then_some(at + lane);
            }
            found &= found - 1;
        }
        (at, rest) = (at + WIDTH, behind);
        if at >= end {
            return None;
        }
    }
    let last = rest.get(..end.checked_sub(at)?)?;
    last.iter().position(|byte| is_wanted(*byte)).map(|lane| at + lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_is_before_the_end() {
        for len in (0..50).chain([63, 64, 65, 100, 130]) {
            let mut bytes = vec![b'\n' + 1; len];
            assert_eq!(find(b'\n', &bytes, 0, len), None);
            for at in (0..len).rev() {
                bytes[at] = b'\n';
                for from in 0..=at {
                    for end in from..=len {
                        let expected = (at < end).then_some(at);
                        assert_eq!(find(b'\n', &bytes, from, end), expected, "{at} in {from}..{end} of {len}");
                    }
                    assert_eq!(line_end(&bytes, from), at, "from {from} of {len}");
                }
            }
            assert_eq!((find(b'\n', &bytes, len, len), line_end(&bytes, len)), (None, len));
        }
    }

    #[test]
    fn the_first_of_two_bytes_is_found_and_what_only_may_be_wanted_is_passed_over() {
        let bytes = b"no, nothing in the first step; but here?";
        let end = bytes.len();
        assert_eq!(find_either(b'?', b';', bytes, 0, end), Some(29));
        assert_eq!(find_either(b'?', b';', bytes, 30, end), Some(39));
        assert_eq!(find_either(b'!', b'@', bytes, 0, end), None);
        for from in 0..end {
            let is_h = |byte| byte == b'h';
            let among = find_among(bytes, from, end, |lanes| lanes.are(b't').or(lanes.are(b'h')), is_h, is_h);
            assert_eq!(among, bytes[from..].iter().position(|byte| *byte == b'h').map(|at| from + at), "{from}");
        }
    }
}
