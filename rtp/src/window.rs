//! The numbers behind the highest one: which came, and which of those were too late to be played. What leaves the window
//! is decided.

/// Numbers that are remembered, the highest among them (RFC 3550 A.1 needs 100 behind it).
pub(crate) const WINDOW: u32 = 128;

/// Bit 0 is the highest number, bit `i` the one `i` below it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    came: [u64; 2],
    late: [u64; 2],
}

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It came in time.
    Played,
    /// It came too late.
    Discarded,
    /// It did not come.
    Lost,
}

impl Window {
    fn wide(words: [u64; 2]) -> u128 {
        u128::from(words[1]) << 64 | u128::from(words[0])
    }

    fn words(wide: u128) -> [u64; 2] {
        [wide as u64, (wide >> 64) as u64]
    }

    /// What became of the number `behind` the highest, less than [`WINDOW`].
    #[inline]
    pub fn fate(&self, behind: u32) -> Fate {
        let (word, bit) = ((behind / 64) as usize, behind % 64);
        match (self.came[word] >> bit & 1, self.late[word] >> bit & 1) {
            (0, _) => Fate::Lost,
            (_, 0) => Fate::Played,
            _ => Fate::Discarded,
        }
    }

    /// The highest number is `steps` higher, and came.
    #[inline]
    pub fn advance(&mut self, steps: u32) {
        self.came = Self::words(Self::wide(self.came).checked_shl(steps).unwrap_or(0) | 1);
        self.late = Self::words(Self::wide(self.late).checked_shl(steps).unwrap_or(0));
    }

    /// The number `behind` the highest came.
    pub fn come(&mut self, behind: u32) {
        self.came[(behind / 64) as usize] |= 1 << (behind % 64);
    }

    /// The number `behind` the highest was too late.
    pub fn discard(&mut self, behind: u32) {
        self.late[(behind / 64) as usize] |= 1 << (behind % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_move_back_as_the_highest_goes_on_and_leave_in_the_end() {
        let mut window = Window::default();
        window.advance(1);
        window.advance(3);
        window.discard(0);
        window.come(1);
        let fates = |window: &Window| [0, 1, 2, 3].map(|behind| window.fate(behind));
        assert_eq!(fates(&window), [Fate::Discarded, Fate::Played, Fate::Lost, Fate::Played]);
        window.advance(WINDOW - 1);
        assert_eq!(window.fate(WINDOW - 1), Fate::Discarded);
        window.advance(1);
        assert_eq!((window.fate(0), window.fate(1), window.fate(WINDOW - 1)), (Fate::Played, Fate::Played, Fate::Lost));
        window.advance(3000);
        assert!((1..WINDOW).all(|behind| window.fate(behind) == Fate::Lost) && window.fate(0) == Fate::Played);
    }
}
