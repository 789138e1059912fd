//! Which page is shown, and what each key does there.

use std::collections::HashSet;
use std::sync::Arc;

use call_filter::Filter;
use call_views::{Style, message};

use crate::flow::Flow;
use crate::key::Key;
use crate::known::{Known, Name};
use crate::list::List;

/// What is to be done outside.
#[derive(Clone, Debug)]
pub enum Effect {
    /// It ends.
    Quit,
    /// These calls are to be saved in a file of this name.
    Save {
        /// In the order they began.
        calls: Vec<Known>,
        /// As it was typed.
        path: String,
    },
}

/// All that is shown.
#[derive(Debug)]
pub struct Screen {
    pub(crate) list: List,
    pub(crate) flow: Option<Flow>,
    pub(crate) prompt: Option<Prompt>,
    pub(crate) help: bool,
    /// What the last key came to; empty where that shows.
    pub(crate) note: String,
    /// Where calls come from.
    pub(crate) source: String,
    pub(crate) filter: String,
    searched: String,
    pub(crate) style: Style,
    /// Rows of a page, and lines of the message that is shown, as they were drawn last.
    pub(crate) page: usize,
    pub(crate) lines: usize,
    /// Figures of what is chosen, and after how many changes they were made: nobody adds up all calls for a key.
    pub(crate) figures: (u64, String),
}

/// A line that is typed.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub asks: Asks,
    pub text: String,
    /// What is wrong with it.
    pub wrong: Option<String>,
}

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Filter,
    Search,
    Save,
}

impl Asks {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Search => "search",
            Self::Save => "save as",
        }
    }
}

impl Screen {
    /// An empty list of calls from `source`, drawn in characters and colours of `style`; never more than `most` calls.
    pub fn new(source: &str, style: Style, most: usize) -> Self {
        Self {
            list: List::new(most),
            flow: None,
            prompt: None,
            help: false,
            note: String::new(),
            source: source.to_owned(),
            filter: String::new(),
            searched: String::new(),
            style,
            page: 1,
            lines: 0,
            figures: (u64::MAX, String::new()),
        }
    }

    /// Shows only calls that a filter wants.
    pub fn set_filter(&mut self, text: &str, filter: Filter) {
        text.clone_into(&mut self.filter);
        self.list.set_filter(Some(filter));
    }

    /// Says something in the last line until the next key.
    pub fn say(&mut self, note: &str) {
        note.clone_into(&mut self.note);
    }

    /// Says where calls come from, and how that goes.
    pub fn set_source(&mut self, source: &str) {
        source.clone_into(&mut self.source);
    }

    /// Calls came, or more of them.
    pub fn on_calls(&mut self, calls: impl IntoIterator<Item = Known>) {
        let mut touched = false;
        for call in calls {
            touched |= self.flow.as_ref().is_some_and(|flow| flow.names.contains(&call.name()));
            self.list.put(call);
        }
        self.list.refresh();
        if touched {
            self.update_flow();
        }
    }

    /// These are all calls that are up, or the newest of them.
    pub fn on_up(&mut self, calls: Vec<Known>, only_newest: bool) {
        let up: HashSet<Name> = calls.iter().map(Known::name).collect();
        self.on_calls(calls);
        self.list.still_up(&up, only_newest);
    }

    /// Calls that are shown message by message and go on, or of which only an outline is known: of these more is wanted.
    pub fn wanted(&self) -> Vec<Arc<str>> {
        let names = self.flow.iter().flat_map(|flow| &flow.names);
        let wants = |call: &Known| call.is_up || call.record.ladder.is_empty();
        let up = names.filter(|name| self.list.call(name).is_some_and(wants));
        up.map(|name| Arc::clone(&name.call_id)).collect()
    }

    /// A key was pressed.
    pub fn on_key(&mut self, key: Key) -> Option<Effect> {
        self.note.clear();
        if self.help {
            self.help = false;
            return None;
        }
        if self.prompt.is_some() {
            return self.on_typed(key);
        }
        match key {
            Key::F(1) | Key::Char('?' | 'h') => self.help = true,
            Key::F(2) => self.ask(Asks::Save, "call.pcap".to_owned()),
            Key::F(3) | Key::Char('/') => self.ask(Asks::Search, String::new()),
            Key::Char('n') => self.search(),
            _ if self.flow.is_some() => self.on_flow_key(key),
            _ => return self.on_list_key(key),
        }
        None
    }

    fn on_list_key(&mut self, key: Key) -> Option<Effect> {
        let page = self.page as isize;
        match key {
            Key::Up | Key::Char('k') => self.list.step(-1),
            Key::Down | Key::Char('j') => self.list.step(1),
            Key::PageUp => self.list.step(-page),
            Key::PageDown => self.list.step(page),
            Key::Home => self.list.step(isize::MIN),
            Key::End => self.list.step(isize::MAX),
            Key::Char(' ') => {
                self.list.toggle_mark();
                self.list.step(1);
            }
            Key::Enter => self.open(self.list.chosen()),
            Key::F(4) | Key::Char('x') => self.open(self.list.with_legs()),
            Key::F(5) => self.list.clear(),
            Key::F(7) | Key::Char('f') => self.ask(Asks::Filter, self.filter.clone()),
            Key::Char('p') => self.list.toggle_pause(),
            Key::Escape if self.list.has_marks() => self.list.unmark(),
            Key::Escape if !self.filter.is_empty() => {
                self.filter.clear();
                self.list.set_filter(None);
            }
            Key::Char('q') | Key::Escape => return Some(Effect::Quit),
            _ => {}
        }
        self.list.refresh();
        None
    }

    fn on_flow_key(&mut self, key: Key) {
        let (page, lines) = (self.page as isize, self.lines);
        let Some(flow) = &mut self.flow else { return };
        match key {
            Key::Escape | Key::Char('q') if flow.whole => flow.whole = false,
            Key::Escape | Key::Char('q') => self.flow = None,
            Key::Up | Key::Char('k') if flow.whole => flow.scroll_by(-1, lines),
            Key::Down | Key::Char('j') if flow.whole => flow.scroll_by(1, lines),
            Key::PageUp if flow.whole => flow.scroll_by(-page, lines),
            Key::PageDown if flow.whole => flow.scroll_by(page, lines),
            Key::Up | Key::Char('k') => flow.step(-1),
            Key::Down | Key::Char('j') => flow.step(1),
            Key::PageUp => flow.step(-page),
            Key::PageDown => flow.step(page),
            Key::Home => flow.step(isize::MIN),
            Key::End => flow.step(isize::MAX),
            // The message beside the ladder.
            Key::Char('9') => flow.scroll_by(-1, lines),
            Key::Char('0') => flow.scroll_by(1, lines),
            Key::Enter => flow.whole = !flow.whole,
            Key::Char(' ') => flow.toggle_mark(),
            Key::Char('t') => flow.beside = !flow.beside,
            Key::Char('d') => flow.bodies = !flow.bodies,
            Key::Char('r') => flow.streams = !flow.streams,
            Key::F(4) | Key::Char('x') => {
                let legs = self.list.with_legs();
                self.open(legs);
            }
            _ => {}
        }
    }

    fn on_typed(&mut self, key: Key) -> Option<Effect> {
        let prompt = self.prompt.as_mut()?;
        match key {
            Key::Escape => self.prompt = None,
            Key::Backspace => {
                prompt.text.pop();
                prompt.wrong = None;
            }
            Key::Char(c) if prompt.text.len() < LONGEST_TYPED => {
                prompt.text.push(c);
                prompt.wrong = None;
            }
            Key::Enter => return self.done_typing(),
            _ => {}
        }
        None
    }

    fn done_typing(&mut self) -> Option<Effect> {
        let Prompt { asks, text, .. } = self.prompt.take()?;
        let text = text.trim().to_owned();
        match asks {
            Asks::Filter if text.is_empty() => {
                self.filter.clear();
                self.list.set_filter(None);
            }
            Asks::Filter => match Filter::parse(&text) {
                Ok(filter) => {
                    self.filter.clone_from(&text);
                    self.list.set_filter(Some(filter));
                }
                Err(error) => self.prompt = Some(Prompt { asks, text, wrong: Some(error.to_string()) }),
            },
            Asks::Search => {
                self.searched = text;
                self.search();
            }
            Asks::Save if text.is_empty() => {}
            Asks::Save => {
                let names = match &self.flow {
                    Some(flow) => flow.names.clone(),
                    None => self.list.chosen(),
                };
                let calls = names.iter().filter_map(|name| self.list.call(name)).cloned().collect();
                return Some(Effect::Save { calls, path: text });
            }
        }
        None
    }

    fn ask(&mut self, asks: Asks, text: String) {
        self.prompt = Some(Prompt { asks, text, wrong: None });
    }

    fn search(&mut self) {
        if self.searched.is_empty() {
            return;
        }
        let found = match &mut self.flow {
            Some(flow) => flow.find(&self.searched),
            None => self.list.find(&self.searched, crate::draw::row_text),
        };
        if !found {
            self.note = format!("nothing has {:?} in it", self.searched);
        }
    }

    fn open(&mut self, names: Vec<Name>) {
        let calls: Vec<&Known> = names.iter().filter_map(|name| self.list.call(name)).collect();
        let before = self.flow.as_ref().map(|flow| (flow.beside, flow.bodies, flow.streams));
        self.flow = Flow::new(&calls);
        if let (Some(flow), Some((beside, bodies, streams))) = (&mut self.flow, before) {
            (flow.beside, flow.bodies, flow.streams) = (beside, bodies, streams);
        }
    }

    fn update_flow(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        let calls: Vec<&Known> = flow.names.iter().filter_map(|name| self.list.call(name)).collect();
        flow.update(&calls);
    }

    /// The message under the cursor, or what is between it and the one that is marked, as text of so many cells.
    pub(crate) fn message(&self, cells: usize) -> String {
        let Some(flow) = &self.flow else { return String::new() };
        let Some(place) = flow.message() else { return String::new() };
        let detail = if flow.bodies { message::Detail::All } else { message::Detail::Headers };
        let style = Style { width: Some(cells), colour: false, ..self.style };
        match flow.marked().filter(|marked| *marked != place) {
            Some(marked) => message::difference(&flow.view(), marked, place, &style),
            None => message::text(&flow.view(), place, detail, &style),
        }
    }
}

/// Longest line that can be typed.
const LONGEST_TYPED: usize = 512;
