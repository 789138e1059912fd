//! The ladder with a message beside it, or below it where the screen is narrow.

use call_views::ladder::Picture;
use call_views::{Colour, Style as Layout, clock};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::{fill, put, tone, top};
use crate::screen::Screen;

/// Draws the ladder.
pub fn draw(screen: &mut Screen, area: Rect, buffer: &mut Buffer) {
    let Some(flow) = &screen.flow else { return };
    if flow.whole {
        return message(screen, area, buffer);
    }
    let record = flow.view().record;
    let unicode = screen.style.unicode;
    let title = call_views::printable(&record.call_id, unicode);
    put(buffer, area, area.y, &title, tone(screen, Colour::Strong));
    put(buffer, area, area.y + 1, &outcome(flow), tone(screen, call_views::verdict(&flow.view().summary())));
    let body = Rect { y: area.y + 2, height: area.height - 2, ..area };
    let (ladder, beside) = match flow.beside {
        false => (body, None),
        true if body.width >= WIDE => {
            let width = (body.width * 11 / 20).max(LADDER);
            let beside = Rect { x: body.x + width + 2, width: body.width - width - 2, ..body };
            (Rect { width, ..body }, Some(beside))
        }
        true => {
            let height = body.height / 2;
            let beside = Rect { y: body.y + height + 1, height: body.height - height - 1, ..body };
            (Rect { height, ..body }, Some(beside))
        }
    };
    let style = Layout { width: Some(ladder.width.into()), colour: false, ..screen.style };
    let Picture { legend, names, rungs } = flow.picture(&style);
    let mut y = ladder.y;
    let legend = legend.lines().filter(|line| !line.is_empty());
    for line in legend.chain(names.lines()).take(usize::from(ladder.height / 2)) {
        put(buffer, ladder, y, line, tone(screen, Colour::Strong));
        y += 1;
    }
    let room = usize::from(ladder.bottom().saturating_sub(y));
    let first = top(flow.cursor(), rungs.len(), room);
    for (place, rung) in rungs.iter().enumerate().skip(first).take(room) {
        let here = place == flow.cursor();
        let marked = flow.marked().is_some() && flow.marked() == rung.message;
        let style = match (here, marked) {
            (true, _) => Style::new().add_modifier(Modifier::REVERSED),
            (false, true) => tone(screen, rung.colour).add_modifier(Modifier::UNDERLINED),
            (false, false) => tone(screen, rung.colour),
        };
        fill(buffer, ladder, y + (place - first) as u16, &rung.text, style);
    }
    if rungs.is_empty() {
        put(buffer, ladder, y, "no messages on record", tone(screen, Colour::Quiet));
    }
    if let Some(beside) = beside {
        let line = match beside.x > ladder.x {
            true => None,
            false => Some(ladder.bottom()),
        };
        if let Some(y) = line {
            let rule = if unicode { "─" } else { "-" }.repeat(area.width.into());
            put(buffer, area, y, &rule, tone(screen, Colour::Quiet));
        } else {
            let bar = if unicode { "│" } else { "|" };
            (beside.y..beside.bottom()).for_each(|y| {
                buffer.set_stringn(beside.x - 1, y, bar, 1, tone(screen, Colour::Quiet));
            });
        }
        message(screen, beside, buffer);
    }
    screen.page = room.max(1);
}

/// How it went, in a line.
fn outcome(flow: &crate::flow::Flow) -> String {
    let record = flow.view().record;
    let mut parts = vec![match record.status {
        Some(status) => format!("{} ({status})", record.outcome.replace('_', " ")),
        None => record.outcome.replace('_', " "),
    }];
    let delays = [("set-up", record.setup), ("ringing", record.ring), ("duration", record.duration)];
    parts.extend(delays.into_iter().filter_map(|(name, delay)| Some(format!("{name} {} s", clock::seconds(delay?)))));
    parts.extend(record.end.map(|end| format!("ended: {end}")));
    if flow.names.len() > 1 {
        parts.push(format!("the first of {}", flow.names.len()));
    }
    parts.join(", ")
}

/// The message under the cursor.
fn message(screen: &mut Screen, area: Rect, buffer: &mut Buffer) {
    let text = screen.message(area.width.into());
    let lines: Vec<&str> = text.lines().collect();
    let scroll = screen.flow.as_ref().map_or(0, |flow| flow.scroll()).min(lines.len().saturating_sub(1));
    for (row, line) in lines.iter().enumerate().skip(scroll).take(area.height.into()) {
        let colour = match *line {
            _ if row == 0 => Colour::Strong,
            line if line.starts_with("+ ") => Colour::Good,
            line if line.starts_with("- ") => Colour::Bad,
            line if line.starts_with("media ") || line.starts_with("sent again ") => Colour::Open,
            _ => Colour::Plain,
        };
        put(buffer, area, area.y + (row - scroll) as u16, line, tone(screen, colour));
    }
    screen.lines = lines.len();
    if screen.flow.as_ref().is_some_and(|flow| flow.whole) {
        screen.page = usize::from(area.height).max(1);
    }
}

/// From so many cells on the message stands beside the ladder, which has so many at least.
const WIDE: u16 = 120;
const LADDER: u16 = 60;
