//! `ringside watch`: a page on the terminal with the calls of a live capture, or of capture files that may still grow.
//!
//! Calls are followed on a thread of their own, as `calls --live` and `calls` follow them; here the screen is drawn and keys are
//! read. The terminal is given back whatever happens: at the end, when a signal comes, and when something panics.

mod remote;
mod save;
mod source;
mod terminal;
mod told;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use call_screen::{Effect, Screen, draw};
use engine::Catalogue;

use crate::cli::Watch;
use crate::failure::Failure;
use crate::terminal as standard_output;
use source::{News, Source};
use terminal::{Happened, Terminal};

/// Shows calls until it is told to end.
pub fn watch(catalogue: &Catalogue, arguments: &Watch) -> Result<(), Failure> {
    Terminal::check()?;
    let style = standard_output::style(None, arguments.utc);
    // All that can fail for want of rights or files fails before the screen is taken.
    let mut source = Source::open(catalogue, arguments)?;
    let mut screen = Screen::new(source.name(), style, MOST);
    if let Some((text, filter)) = &arguments.filter {
        screen.set_filter(text, filter.clone());
    }
    let mut terminal = Terminal::take()?;
    let ended = show(&mut screen, &mut source, &mut terminal);
    drop(terminal);
    source.say_remarks();
    ended
}

fn show(screen: &mut Screen, source: &mut Source, terminal: &mut Terminal) -> Result<(), Failure> {
    let mut asked = HashMap::new();
    let mut next = Instant::now();
    let mut is_new = true;
    loop {
        if is_new {
            terminal.draw(|area, buffer| draw(screen, area, buffer))?;
            is_new = false;
        }
        match terminal.wait(next.saturating_duration_since(Instant::now()))? {
            Happened::Key(key) => {
                is_new = true;
                match screen.on_key(key) {
                    Some(Effect::Quit) => return Ok(()),
                    Some(Effect::Save { calls, path }) => screen.say(&save::save(&calls, &path)),
                    None => {}
                }
                // Who opens a call that is up wants to see it now.
                next = Instant::now();
            }
            Happened::Resized => is_new = true,
            Happened::Ended => return Ok(()),
            Happened::Nothing => {}
        }
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + INTERVAL;
        is_new |= take(screen, source, &mut asked)?;
    }
}

/// Takes what came, and asks for what is wanted. Whether anything came.
fn take(screen: &mut Screen, source: &mut Source, asked: &mut HashMap<Arc<str>, Instant>) -> Result<bool, Failure> {
    let mut came = false;
    // Together: the list is put in order once for all that came.
    let mut over = Vec::new();
    for news in source.news() {
        came = true;
        match news {
            News::Calls(calls) => over.extend(calls),
            News::Up { calls, only_newest } => {
                screen.on_calls(std::mem::take(&mut over));
                screen.on_up(calls, only_newest);
            }
            News::Name(name) => screen.set_source(&name),
            News::Failed(failure) => return Err(failure),
        }
    }
    screen.on_calls(over);
    source.ask_newest();
    for call_id in screen.wanted() {
        let due = asked.get(&call_id).is_none_or(|at| at.elapsed() >= FRESH);
        if due {
            source.ask_one(&call_id);
            asked.insert(call_id, Instant::now());
        }
    }
    asked.retain(|_, at| at.elapsed() < FRESH * 2);
    Ok(came)
}

/// Most calls on the screen.
const MOST: usize = 10_000;
/// How often what came is shown.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often a call that is up is asked for, message by message.
const FRESH: Duration = Duration::from_millis(500);
