//! How text is laid out: width, character set, colour. Whoever prints decides; nothing here looks at a terminal.

use crate::zone::Zone;

/// How text is laid out. The default fits anything: 80 cells, ASCII, no colour, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Cells in a line, at least [`Style::NARROWEST`]; `None` for as many as it takes.
    pub width: Option<usize>,
    /// Box drawing and other characters beyond ASCII may be used.
    pub unicode: bool,
    /// ANSI colours (SGR sequences) may be used.
    pub colour: bool,
    /// In which zone times are shown.
    pub zone: Zone,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: Some(80), unicode: false, colour: false, zone: Zone::UTC }
    }
}

impl Style {
    /// Nothing is laid out narrower than this, in cells: a smaller width counts as this one.
    pub const NARROWEST: usize = 40;

    /// The width that is kept; `usize::MAX` where none is.
    pub(crate) fn cells(&self) -> usize {
        self.width.map_or(usize::MAX, |width| width.max(Self::NARROWEST))
    }

    /// `text`, which is escaped and laid out, in a colour.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        match (self.colour, colour.code()) {
            (true, Some(code)) if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// What a colour means; the terminal's palette decides what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Nothing in particular.
    Plain,
    /// Times, names of things: not the point.
    Quiet,
    /// A request, a title.
    Strong,
    /// It worked.
    Good,
    /// Undecided.
    Open,
    /// It failed.
    Bad,
}

impl Colour {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Quiet => Some("2"),
            Self::Strong => Some("1"),
            Self::Good => Some("32"),
            Self::Open => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}
