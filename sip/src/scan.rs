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

/// Length of the line at the front with its LF; all bytes when there is none. Looks at four steps together: most lines end
/// within, so that a processor has no length to guess.
#[inline(always)]
pub(crate) fn line_len(bytes: &[u8]) -> usize {
    let mut passed = 0;
    if let Some(steps) = bytes.first_chunk::<{ 4 * WIDTH }>() {
        let (steps, _) = steps.as_chunks::<WIDTH>();
        let ends = |step: usize| u64::from(Lanes::of(&steps[step]).are(b'\n').bits()) << (step * WIDTH);
        let ends = ends(0) | ends(1) | ends(2) | ends(3);
        if ends != 0 {
            return ends.trailing_zeros() as usize + 1;
        }
        passed = 4 * WIDTH;
    }
    find(b'\n', bytes, passed, bytes.len()).map_or(bytes.len(), |end| end + 1)
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
        for len in 0..50 {
            let mut bytes = vec![b'\n' + 1; len];
            assert_eq!(find(b'\n', &bytes, 0, len), None);
            for at in (0..len).rev() {
                bytes[at] = b'\n';
                for from in 0..=at {
                    for end in from..=len {
                        let expected = (at < end).then_some(at);
                        assert_eq!(find(b'\n', &bytes, from, end), expected, "{at} in {from}..{end} of {len}");
                    }
                }
            }
            assert_eq!(find(b'\n', &bytes, len, len), None);
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
