//! The list: where calls come from, figures of what is chosen, a row for each call.

use std::time::Duration;

use call_views::{Colour, clock};
use pipeline::call::{IN_PROGRESS, Subject};
use pipeline::event::Outcome;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::columns::{colour, columns};
use super::{cell, fill, put, tone, top};
use crate::known::Known;
use crate::list::List;
use crate::screen::Screen;

/// Draws the list.
pub fn draw(screen: &mut Screen, area: Rect, buffer: &mut Buffer) {
    if screen.figures.0 != screen.list.changes() {
        screen.figures = (screen.list.changes(), figures(&screen.list));
    }
    let list = &screen.list;
    let up = if list.is_paused() { if list.is_stale() { "  PAUSED, more came" } else { "  PAUSED" } } else { "" };
    let number = match (list.len(), list.held()) {
        (shown, held) if shown == held => plural(held, "row"),
        (shown, held) => format!("{shown} of {}", plural(held, "row")),
    };
    let gone = if list.gone() > 0 { format!(", {} older ones gone", list.gone()) } else { String::new() };
    put(
        buffer,
        area,
        area.y,
        &format!("ringside  {}  {number}{gone}{up}", screen.source),
        tone(screen, Colour::Strong),
    );
    put(buffer, area, area.y + 1, &screen.figures.1, Style::new());
    let mut y = area.y + 2;
    if !screen.filter.is_empty() {
        put(buffer, area, y, &format!("filter: {}", screen.filter), tone(screen, Colour::Open));
        y += 1;
    }
    let unicode = screen.style.unicode;
    let columns = columns(area.width.into());
    let titles = columns.iter().map(|column| cell(column.title, column.cells, column.right, unicode));
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    fill(buffer, area, y, &format!(" {}", titles.collect::<Vec<_>>().join(" ")), reversed);
    y += 1;
    let room = usize::from(area.bottom().saturating_sub(y));
    let cursor = list.cursor().unwrap_or(0);
    let first = top(cursor, list.len(), room);
    for row in first..list.len().min(first + room) {
        let y = y + (row - first) as u16;
        let Some(call) = list.row(row) else { continue };
        let here = list.cursor() == Some(row);
        let base = if here { reversed } else { Style::new() };
        let mark = if list.is_marked(call) { "*" } else { " " };
        fill(buffer, area, y, mark, base);
        let mut x = area.x + 1;
        for column in &columns {
            let style = if column.title == "outcome" && !here { tone(screen, colour(call)) } else { base };
            let text = match column.title {
                "time" => clock::time_of_day(screen.style.zone.shown(call.record.start)),
                _ => call_views::printable(&(column.text)(call), unicode).into_owned(),
            };
            let text = cell(&text, column.cells, column.right, unicode);
            buffer.set_stringn(x, y, text, usize::from(area.right().saturating_sub(x)), style);
            x += column.cells as u16 + 1;
        }
    }
    if list.len() == 0 {
        let text = if list.held() == 0 { "no call yet" } else { "no call that the filter wants" };
        put(buffer, area, y, text, tone(screen, Colour::Quiet));
    }
    screen.page = room.max(1);
}

/// Attempts, answers and delays of what is marked, or of all that is shown.
fn figures(list: &List) -> String {
    let of = if list.has_marks() { "marked: " } else { "" };
    let calls: Vec<&Known> = list.selection().filter(|call| call.record.subject == Subject::Call).collect();
    let up = calls.iter().filter(|call| call.is_up && call.record.outcome == IN_PROGRESS).count();
    let decided: Vec<&&Known> = calls.iter().filter(|call| call.record.outcome != IN_PROGRESS).collect();
    let answered = decided.iter().filter(|call| call.record.outcome == Outcome::Answered.as_str()).count();
    let failed = decided.iter().filter(|call| call.view().failed()).count();
    let setups: Vec<Duration> = decided.iter().filter_map(|call| call.record.setup).collect();
    let mut parts = vec![format!("{of}{}", plural(calls.len(), "call"))];
    if up > 0 {
        parts.push(format!("{up} up"));
    }
    if !decided.is_empty() {
        let share = 100.0 * answered as f64 / decided.len() as f64;
        parts.push(format!("{answered} of {} answered ({share:.1} %)", decided.len()));
        parts.push(format!("{failed} failed"));
    }
    if let Ok(number @ 1..) = u32::try_from(setups.len()) {
        let mean = setups.iter().sum::<Duration>() / number;
        parts.push(format!("mean set-up {} s", clock::seconds(mean)));
    }
    parts.join(", ")
}

fn plural(number: usize, name: &str) -> String {
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}
