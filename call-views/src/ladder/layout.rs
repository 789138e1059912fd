//! Where the lines of the endpoints stand: endpoints, labels and a width in, columns out.
//!
//! As wide as addresses and labels need, as narrow as the width asks: then letters take the place of the addresses,
//! and where even these do not fit there are no lines at all, and each message names its two ends.

use super::lines::Line;
use crate::style::{Colour, Style};
use crate::text::width;

/// Where what stands.
pub struct Layout {
    /// Cells of a line; `usize::MAX` for any number.
    pub cells: usize,
    /// Cells before the first line may stand.
    pub base: usize,
    /// The line of each endpoint; empty when there is no room for lines.
    pub columns: Vec<usize>,
    /// What is written over the lines.
    pub names: Names,
    /// Address and port of each endpoint.
    pub addresses: Vec<String>,
}

/// What is written over the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Address and port.
    Addresses,
    /// A letter, explained in a legend.
    Letters,
}

/// Cells between two lines at least: head and shaft of an arrow.
const NARROWEST: usize = 3;

/// Cells between two lines at most, for labels longer than that.
const WIDEST: usize = 44;

/// Cells an arrow is longer than its label needs where there is room.
const AIR: usize = 4;

/// Cells of an arrow besides its label, and of the line it ends at: `── label ─>│`.
pub const AROUND: usize = 6;

impl Layout {
    /// The layout of a ladder between these addresses whose gutter takes `gutter` cells.
    pub fn new(addresses: Vec<String>, lines: &[Line], gutter: usize, style: &Style) -> Self {
        let base = gutter + 2;
        let mut layout = Self { cells: style.cells(), base, columns: Vec::new(), names: Names::Addresses, addresses };
        let arrows = lines.iter().filter_map(|line| {
            let spaces = line.source.abs_diff(line.destination);
            (spaces > 0).then(|| (line.label.width() + AROUND).div_ceil(spaces))
        });
        let wanted = (arrows.max().unwrap_or(0) + AIR).min(WIDEST);
        for names in [Names::Addresses, Names::Letters] {
            layout.names = names;
            if let Some(columns) = layout.columns(wanted) {
                layout.columns = columns;
                break;
            }
        }
        layout
    }

    /// The lines, if they fit with the names as they are.
    fn columns(&self, wanted: usize) -> Option<Vec<usize>> {
        let names: Vec<usize> = (0..self.addresses.len()).map(|at| width(&self.name(at))).collect();
        let (first, last) = (names.first()?, names.last()?);
        // Two names beside each other, half of each within the space between their lines.
        let needed = names.windows(2).map(|pair| (pair[0] - pair[0] / 2) + pair[1] / 2 + 1).max().unwrap_or(0);
        let needed = needed.max(NARROWEST);
        let start = self.base.max(first / 2);
        let room = self.cells.checked_sub(start + last.div_ceil(2))?;
        let spaces = names.len() - 1;
        let space = match spaces {
            0 => 0,
            spaces => needed.max(wanted).min(room / spaces),
        };
        (spaces == 0 || space >= needed).then(|| (0..names.len()).map(|at| start + at * space).collect())
    }

    /// What is written over a line.
    pub fn name(&self, at: usize) -> String {
        match self.names {
            Names::Addresses => self.addresses[at].clone(),
            Names::Letters => self.letter(at),
        }
    }

    /// A, B, ..., Z, AA, AB, ...
    pub fn letter(&self, at: usize) -> String {
        let letter = char::from(b'A' + (at % 26) as u8);
        match at / 26 {
            0 => letter.to_string(),
            more => self.letter(more - 1) + &letter.to_string(),
        }
    }

    /// The names over the lines; nothing where there are no lines.
    pub fn header(&self, style: &Style) -> String {
        let mut names = String::new();
        let mut used = 0;
        for (at, column) in self.columns.iter().enumerate() {
            let name = self.name(at);
            let start = column - width(&name) / 2;
            names += &" ".repeat(start - used);
            used = start + width(&name);
            names += &style.paint(Colour::Strong, &name);
        }
        if !names.is_empty() {
            names.push('\n');
        }
        names
    }
}
