//! One line of a ladder: a message or the end of a stream in, its arrow between the lines of two endpoints out.

use super::layout::{AROUND, Layout};
use super::lines::{Kind, Line};
use crate::style::Style;
use crate::text::{cut, width};

/// A message, or the start or end of a stream, between its two ends.
pub struct Row<'a> {
    layout: &'a Layout,
    line: &'a Line,
}

impl<'a> Row<'a> {
    /// The row of a line.
    pub fn new(layout: &'a Layout, line: &'a Line) -> Self {
        Self { layout, line }
    }

    /// The row behind its gutter, without blanks at its end.
    pub fn draw(&self, style: &Style) -> String {
        let columns = &self.layout.columns;
        let (Some(&from), Some(&to)) = (columns.get(self.line.source), columns.get(self.line.destination)) else {
            return self.list(style);
        };
        let signs = self.signs(style);
        let last = columns.last().copied().unwrap_or(0);
        let mut cells = vec![' '; last + 1];
        columns.iter().for_each(|column| cells[*column] = signs.line);
        let (low, high) = (from.min(to), from.max(to));
        let label = if low == high {
            // It went where it came from: a bend beside the line.
            None
        } else {
            cells[low + 1..high].fill(signs.shaft);
            columns.iter().filter(|column| (low + 1..high).contains(column)).for_each(|c| cells[*c] = signs.crossing);
            let (head, sign) = if to > from { (to - 1, '>') } else { (to + 1, '<') };
            cells[head] = sign;
            let inner = high - low - 1;
            let text = inner.checked_sub(AROUND - 1).and_then(|room| self.line.label.within(room, style.unicode));
            // In the middle of what is left of the arrow besides its head.
            text.map(|text| {
                (low + 1 + usize::from(to < from) + (inner - 1 - width(&text) - 2) / 2, format!(" {text} "))
            })
        };
        let (start, text) = label.unwrap_or_else(|| {
            let (low, high) = if low == high { self.bend(&mut cells, low, signs) } else { (low, high) };
            self.beside(low, high, last, style)
        });
        self.overlay(&cells, start, &text, style)
    }

    /// A message from an endpoint to itself: a bend on the side where there is room. Gives the cells it takes,
    /// with those of the line.
    fn bend(&self, cells: &mut Vec<char>, column: usize, signs: &Signs) -> (usize, usize) {
        if column + BEND < self.layout.cells {
            cells.resize(cells.len().max(column + BEND + 1), ' ');
            (cells[column + 1], cells[column + BEND]) = ('<', signs.bends.0);
            (column, column + BEND)
        } else {
            (cells[column - 1], cells[column - BEND]) = ('>', signs.bends.1);
            (column - BEND, column)
        }
    }

    /// A label that does not fit on its arrow, which takes the cells `low` to `high`: right of all lines, or else on
    /// that side of the arrow where it fits or more room is. Gives its first cell, and as much of it as fits.
    fn beside(&self, low: usize, high: usize, last: usize, style: &Style) -> (usize, String) {
        let full = self.line.label.full();
        let fitting = |cells: usize| {
            self.line
                .label
                .within(cells, style.unicode)
                .unwrap_or_else(|| cut(&full, cells, style.unicode).into_owned())
        };
        let behind_all = high.max(last) + 2;
        if behind_all + width(&full) <= self.layout.cells {
            return (behind_all, full);
        }
        let behind = self.layout.cells.saturating_sub(high + 2);
        let before = low.saturating_sub(self.layout.base + 1);
        if behind >= before || behind >= width(&full) {
            return (high + 2, fitting(behind));
        }
        let text = fitting(before);
        (low - 1 - width(&text), text)
    }

    /// The cells with `text` over them from `start` on.
    fn overlay(&self, cells: &[char], start: usize, text: &str, style: &Style) -> String {
        let base = self.layout.base - GUTTER_GAP;
        let until = start + width(text);
        let mut row: String = (base..start).map(|at| cells.get(at).copied().unwrap_or(' ')).collect();
        let blank = text.len() - text.trim_start().len();
        row += &text[..blank];
        row += &style.paint(self.line.colour, text.trim());
        row += &text[text.trim_end().len().max(blank)..];
        row.extend(cells.get(until..).unwrap_or_default());
        row.truncate(row.trim_end().len());
        row
    }

    /// Without lines: who, to whom, what.
    fn list(&self, style: &Style) -> String {
        let (from, to) = (self.layout.letter(self.line.source), self.layout.letter(self.line.destination));
        let signs = self.signs(style);
        let ends = format!("{from:>2} {}> {to:<2} ", signs.shaft);
        let room = self.layout.cells.saturating_sub(self.layout.base + width(&ends));
        let label = self.line.label.within(room, style.unicode);
        let label = label.unwrap_or_else(|| cut(&self.line.label.full(), room, style.unicode).into_owned());
        format!("{}{ends}{}", " ".repeat(GUTTER_GAP), style.paint(self.line.colour, &label))
    }

    fn signs(&self, style: &Style) -> &'static Signs {
        match (self.line.kind, style.unicode) {
            (Kind::Request | Kind::Response, true) => &BOXES,
            (Kind::Request | Kind::Response, false) => &ASCII,
            (Kind::Stream, true) => &DOUBLE_BOXES,
            (Kind::Stream, false) => &DOUBLE_ASCII,
        }
    }
}

/// Cells of an arrow that turns back, besides its line.
const BEND: usize = 2;

/// Cells between the gutter and where the first line may stand.
const GUTTER_GAP: usize = 2;

/// What lines and arrows are made of.
struct Signs {
    line: char,
    crossing: char,
    shaft: char,
    /// Where an arrow turns back, right and left of its line.
    bends: (char, char),
}

const BOXES: Signs = Signs { line: '│', crossing: '┼', shaft: '─', bends: ('┐', '┌') };
const ASCII: Signs = Signs { line: '|', crossing: '+', shaft: '-', bends: ('.', '.') };
const DOUBLE_BOXES: Signs = Signs { line: '│', crossing: '╪', shaft: '═', bends: ('╗', '╔') };
const DOUBLE_ASCII: Signs = Signs { line: '|', crossing: '+', shaft: '=', bends: ('=', '=') };
