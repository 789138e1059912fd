//! The screen as cells: state in, a buffer filled. Keys are in the last line, figures in the first two.

mod columns;
mod flow;
mod list;

use call_views::Colour;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthChar;

use crate::screen::{Prompt, Screen};

pub use columns::row_text;

/// Draws all of it.
pub fn draw(screen: &mut Screen, area: Rect, buffer: &mut Buffer) {
    if area.width < NARROWEST || area.height < LOWEST {
        let text = format!("{NARROWEST} x {LOWEST} cells are the least");
        return put(buffer, area, area.y, &text, Style::new());
    }
    let body = Rect { height: area.height - 1, ..area };
    if screen.help {
        help(screen, body, buffer);
    } else if screen.flow.is_some() {
        flow::draw(screen, body, buffer);
    } else {
        list::draw(screen, body, buffer);
    }
    last_line(screen, area, buffer);
}

/// What is typed, what a key came to, or which keys there are.
fn last_line(screen: &Screen, area: Rect, buffer: &mut Buffer) {
    let y = area.bottom() - 1;
    if let Some(Prompt { asks, text, wrong }) = &screen.prompt {
        let typed = format!("{}: {text}_", asks.name());
        // The end of a long line is where one types.
        let beyond = typed.chars().count().saturating_sub(area.width.into());
        let typed: String = typed.chars().skip(beyond).collect();
        fill(buffer, area, y, &typed, Style::new().add_modifier(Modifier::BOLD));
        if let Some(wrong) = wrong {
            let blank = " ".repeat(area.width.into());
            put(buffer, area, y - 1, &blank, Style::reset());
            put(buffer, area, y - 1, wrong, tone(screen, Colour::Bad));
        }
        return;
    }
    if !screen.note.is_empty() {
        return put(buffer, area, y, &screen.note, tone(screen, Colour::Open));
    }
    let keys: &[(&str, &str)] = match &screen.flow {
        Some(flow) if flow.whole => &WHOLE_KEYS,
        Some(_) => &FLOW_KEYS,
        None => &LIST_KEYS,
    };
    let mut x = area.x;
    for (key, does) in keys {
        let cells = (key.chars().count() + does.chars().count() + 2) as u16;
        if x + cells > area.right() + 1 {
            break;
        }
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        (x, _) = buffer.set_stringn(x, y, key, usize::from(area.right() - x), reversed);
        (x, _) = buffer.set_stringn(x, y, format!("{does} "), usize::from(area.right() - x), Style::new());
    }
}

fn help(screen: &Screen, area: Rect, buffer: &mut Buffer) {
    for (row, line) in HELP.lines().take(area.height.into()).enumerate() {
        let style = if line.starts_with(' ') { Style::new() } else { tone(screen, Colour::Strong) };
        put(buffer, area, area.y + row as u16, line, style);
    }
}

/// A line within an area, cut at its end.
fn put(buffer: &mut Buffer, area: Rect, y: u16, text: &str, style: Style) {
    buffer.set_stringn(area.x, y, text, area.width.into(), style);
}

/// A line that fills the area with its style.
fn fill(buffer: &mut Buffer, area: Rect, y: u16, text: &str, style: Style) {
    buffer.set_style(Rect { y, height: 1, ..area }, style);
    put(buffer, area, y, text, style);
}

/// What a colour looks like: without colours by weight alone.
fn tone(screen: &Screen, colour: Colour) -> Style {
    let style = Style::new();
    match (colour, screen.style.colour) {
        (Colour::Plain, _) => style,
        (Colour::Quiet, true) => style.add_modifier(Modifier::DIM),
        (Colour::Quiet | Colour::Good | Colour::Open, false) => style,
        (Colour::Strong, _) | (Colour::Bad, false) => style.add_modifier(Modifier::BOLD),
        (Colour::Good, true) => style.fg(Color::Green),
        (Colour::Open, true) => style.fg(Color::Yellow),
        (Colour::Bad, true) => style.fg(Color::Red),
    }
}

/// As much of a text as fits, filled up with blanks; at the right where numbers are.
fn cell(text: &str, cells: usize, right: bool, unicode: bool) -> String {
    let width = |text: &str| text.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>();
    let mark = if unicode { "…" } else { "~" };
    let mut shown = String::new();
    let mut used = 0;
    let cut = width(text) > cells;
    let room = if cut { cells.saturating_sub(1) } else { cells };
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        shown.push(c);
    }
    if cut && cells > 0 {
        shown += mark;
    }
    let blanks = " ".repeat(cells.saturating_sub(width(&shown)));
    if right { blanks + &shown } else { shown + &blanks }
}

/// The first row that is shown of `rows`, so that the one under the cursor is among `room`, and with it as much as there is.
fn top(cursor: usize, rows: usize, room: usize) -> usize {
    let half = room / 2;
    cursor.saturating_sub(half).min(rows.saturating_sub(room))
}

const NARROWEST: u16 = 40;
const LOWEST: u16 = 8;

const LIST_KEYS: [(&str, &str); 9] = [
    ("F1", "Help"),
    ("F2", "Save"),
    ("F3", "Search"),
    ("F4", "Legs"),
    ("F5", "Clear"),
    ("F7", "Filter"),
    ("Spc", "Mark"),
    ("p", "Pause"),
    ("q", "Quit"),
];
const FLOW_KEYS: [(&str, &str); 8] = [
    ("F1", "Help"),
    ("F2", "Save"),
    ("F3", "Search"),
    ("F4", "Legs"),
    ("Ret", "Message"),
    ("Spc", "Compare"),
    ("t", "Split"),
    ("q", "Back"),
];
const WHOLE_KEYS: [(&str, &str); 5] =
    [("F1", "Help"), ("F2", "Save"), ("F3", "Search"), ("d", "Bodies"), ("q", "Back")];

const HELP: &str = "\
Keys, as sngrep has them where it has them

Everywhere
  arrows, j k, PgUp PgDn, Home End   move
  F2          save: .pcap of the messages kept, .txt ladders and messages
  F3 /, n     search; the next one
  q, Esc      back; at the list quit (Esc: first marks, then the filter go)
List
  Enter       the ladder of the call, or of all that are marked
  Space       mark
  F4 x        the ladder with the other legs of the call
  F5          forget calls that are over
  F7 f        filter, for instance: outcome == busy and setup > 3s
  p           pause: what comes is not shown
Ladder
  Enter       the message on the whole screen
  Space       compare: the next message is shown by what differs
  9 0         scroll the message beside the ladder
  d, r, t     bodies, streams of media, the message beside or not
";
