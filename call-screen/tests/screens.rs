//! Screens as people see them, a folder for each case: `flow` is what happened, `keys` what was pressed, the others what is then
//! shown in so many cells, without colours.
//!
//! With `RINGSIDE_BLESS=1` the files are written instead of compared: look at the difference before you keep it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use call_records::{Config as Calls, Numbers, Privacy, Raw};
use call_screen::{Effect, Key, Known, Screen, draw};
use call_views::{Exchanges, Style, View, Zone};
use pipeline::call::Subject;
use pipeline::call::live::LiveAsk;
use pipeline::{CallRecord, CallsWanted, Facts, FrameBatch, Processor, SipFrame};
use processor_dialog::{Config, Dialogs};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use wire::Timestamp;

/// 2026-01-01.
const EPOCH: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

/// What a flow came to: what is over, and what is up as outlines, with the means to ask for more.
struct Played {
    dialogs: Dialogs,
    over: Vec<Known>,
}

fn known(record: CallRecord, times: u32, is_up: bool) -> Known {
    Known { record: Arc::new(record), carrier: "telecom-alpha".into(), ua_type: "yealink".into(), times, is_up }
}

impl Played {
    fn new(flow: &str) -> Self {
        let wanted =
            CallsWanted { instance: "screen".into(), requests: true, pieces: false, number: None, watched: true };
        let privacy = Privacy { numbers: Numbers::Plain, ..Privacy::default() };
        let config = Config { calls: Calls { privacy, raw: Raw::Full, ..Calls::default() }, ..Config::default() };
        let mut dialogs = Dialogs::new(config, Some(wanted));
        let mut facts = Facts::default();
        let (mut over, mut exchanges) = (Vec::new(), Exchanges::new(true));
        for step in ladder::play(flow) {
            let at = EPOCH + step.at;
            let mut batch = FrameBatch { now: at, ..FrameBatch::default() };
            batch.push(&step.bytes, SipFrame::datagram(step.source, step.destination, at));
            facts.clear();
            dialogs.process(&batch, &mut facts);
            for call in facts.calls.drain(..) {
                match call.record.subject {
                    Subject::Call => over.push(known((*call.record).clone(), 1, false)),
                    _ => {
                        let view = View { record: &call.record, carrier: "telecom-alpha", ua_type: "yealink" };
                        exchanges.take(&view);
                    }
                }
            }
        }
        over.extend(exchanges.list().iter().map(|exchange| known(exchange.record.clone(), exchange.times, false)));
        Self { dialogs, over }
    }

    fn up(&mut self, ask: &LiveAsk) -> Vec<Known> {
        let mut records = Vec::new();
        self.dialogs.live_calls(ask, &mut records);
        records.into_iter().map(|record| known(record, 1, true)).collect()
    }
}

/// Keys by their names; what stands between quotes is typed.
fn keys(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    for (part, text) in text.split('"').enumerate() {
        if part % 2 == 1 {
            keys.extend(text.chars().map(Key::Char));
            continue;
        }
        keys.extend(text.split_whitespace().map(|name| match name {
            "Up" => Key::Up,
            "Down" => Key::Down,
            "PageDown" => Key::PageDown,
            "Home" => Key::Home,
            "End" => Key::End,
            "Enter" => Key::Enter,
            "Escape" => Key::Escape,
            "Backspace" => Key::Backspace,
            "Space" => Key::Char(' '),
            name => match name.strip_prefix('F').and_then(|number| number.parse().ok()) {
                Some(number) => Key::F(number),
                None => Key::Char(name.chars().next().expect("split gives no empty word")),
            },
        }));
    }
    keys
}

fn shown(screen: &mut Screen, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(screen, area, &mut buffer);
    let row = |y| {
        let cells = (0..width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    (0..height).map(row).collect()
}

fn played(flow: &str, pressed: &[Key], style: Style) -> (Screen, Option<Effect>) {
    let mut played = Played::new(flow);
    let mut screen = Screen::new("test.pcap", style, 1000);
    screen.on_calls(played.over.drain(..));
    screen.on_up(played.up(&LiveAsk::Newest(100)), false);
    let mut effect = None;
    for key in pressed {
        effect = screen.on_key(*key);
        for call_id in screen.wanted() {
            screen.on_calls(played.up(&LiveAsk::One((*call_id).into())));
        }
    }
    (screen, effect)
}

const PLAIN: Style = Style { width: None, unicode: true, colour: false, zone: Zone::UTC };

#[test]
fn screens_are_shown_as_in_their_folders() {
    let mut wrong = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens");
    let mut cases: Vec<_> =
        fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    cases.sort();
    for case in cases.iter().filter(|case| case.is_dir()) {
        let read = |name: &str| fs::read_to_string(case.join(name)).ok();
        let flow = read("flow").unwrap_or_else(|| fs::read_to_string(folder.join("flow")).expect("one for all"));
        let keys = keys(&read("keys").unwrap_or_default());
        for (width, height, unicode) in [(80, 24, true), (132, 30, true), (40, 12, false)] {
            let (mut screen, _) = played(&flow, &keys, Style { unicode, ..PLAIN });
            let shown = shown(&mut screen, width, height);
            let file = case.join(format!("{width}x{height}"));
            if std::env::var_os("RINGSIDE_BLESS").is_some() {
                fs::write(file, shown).expect("the checkout can be written");
            } else if fs::read_to_string(&file).ok().as_deref() != Some(&shown) {
                wrong.push(format!("{}\n{shown}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "shown otherwise than in:\n{}", wrong.join("\n"));
}

fn flow() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens/flow")).expect("one for all")
}

#[test]
fn what_is_typed_is_a_file_to_save_what_is_marked_in() {
    let pressed = keys("Space Down Space F2 Backspace Backspace Backspace Backspace \"txt\" Enter");
    let (_, effect) = played(&flow(), &pressed, PLAIN);
    let Some(Effect::Save { calls, path }) = effect else { panic!("{effect:?}") };
    assert_eq!((calls.len(), path.as_str()), (2, "call.txt"));
}

#[test]
fn q_leaves_one_page_after_the_other() {
    let (mut screen, effect) = played(&flow(), &keys("Enter Enter q q"), PLAIN);
    assert!(effect.is_none());
    assert!(shown(&mut screen, 80, 24).starts_with("ringside  test.pcap"));
    assert!(matches!(screen.on_key(Key::Char('q')), Some(Effect::Quit)));
}

#[test]
fn any_size_is_drawn() {
    for pressed in ["", "Enter", "Enter Enter", "F1", "F7 \"outcome == \"", "Space Space Enter Space Down"] {
        let (mut screen, _) = played(&flow(), &keys(pressed), Style { colour: true, ..PLAIN });
        for (width, height) in [(1, 1), (40, 8), (41, 9), (79, 24), (200, 60), (500, 8), (40, 200)] {
            shown(&mut screen, width, height);
        }
    }
}

/// Calls that differ in when they began.
fn many(first: u64, number: u64) -> impl Iterator<Item = Known> {
    let flow = "0 alice -> bob INVITE\n1 alice <- bob 486\n1.1 alice -> bob ACK\n60 alice -> bob crlf";
    let one = Played::new(flow).over[0].clone();
    (first..first + number).map(move |second| {
        let start = EPOCH + std::time::Duration::from_secs(second);
        let record = CallRecord { start, call_id: format!("call-{second}").into(), ..(*one.record).clone() };
        Known { record: Arc::new(record), ..one.clone() }
    })
}

#[test]
fn the_oldest_calls_go_and_the_list_stays_within_its_bound() {
    let mut screen = Screen::new("test", PLAIN, 1000);
    screen.on_calls(many(0, 1500));
    let text = shown(&mut screen, 100, 10);
    assert!(text.starts_with("ringside  test  1000 rows, 500 older ones gone"), "{text}");
    assert!(text.contains("1000 calls, 0 of 1000 answered (0.0 %), 0 failed, mean set-up 1.000 s"), "{text}");
}

#[test]
fn the_cursor_stays_on_its_call_and_follows_only_from_the_end() {
    let mut screen = Screen::new("test", PLAIN, 1000);
    let row = |screen: &mut Screen| {
        let area = Rect::new(0, 0, 80, 12);
        let mut buffer = Buffer::empty(area);
        draw(screen, area, &mut buffer);
        let here = |y: &u16| buffer[(1, *y)].style().add_modifier.contains(ratatui::style::Modifier::REVERSED);
        let y = (3..11).find(here).expect("a row is under the cursor");
        (1..9).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>()
    };
    screen.on_calls(many(100, 50));
    screen.on_key(Key::Down);
    assert_eq!(row(&mut screen), "00:01:41");
    screen.on_calls(many(0, 50));
    assert_eq!(row(&mut screen), "00:01:41");
    screen.on_key(Key::End);
    screen.on_calls(many(150, 50));
    assert_eq!(row(&mut screen), "00:03:19");
    screen.on_key(Key::Char('p'));
    screen.on_calls(many(200, 1));
    assert_eq!(row(&mut screen), "00:03:19");
    assert!(shown(&mut screen, 80, 12).contains("PAUSED, more came"));
    screen.on_key(Key::Char('p'));
    assert_eq!(row(&mut screen), "00:03:20");
}

#[test]
fn a_call_that_ended_is_not_made_live_by_what_was_told_before() {
    let mut played = Played::new(&flow());
    let mut screen = Screen::new("test", PLAIN, 1000);
    let up = played.up(&LiveAsk::Newest(100));
    assert!(!up.is_empty());
    let ended = up.iter().map(|call| Known {
        record: Arc::new(CallRecord { outcome: "answered", last: true, ..(*call.record).clone() }),
        is_up: false,
        ..call.clone()
    });
    screen.on_calls(ended.collect::<Vec<_>>());
    screen.on_up(up, false);
    assert!(!shown(&mut screen, 80, 24).contains("ringing"));
}

#[test]
fn what_is_older_than_all_that_are_told_of_may_still_be_up() {
    let mut played = Played::new("0 alice -> bob INVITE call=old\n1 alice -> bob INVITE call=new\n");
    let mut screen = Screen::new("test", PLAIN, 1000);
    let mut up = played.up(&LiveAsk::Newest(100));
    screen.on_up(up.clone(), false);
    up.retain(|call| &*call.record.call_id == "new");
    screen.on_up(up.clone(), true);
    assert!(shown(&mut screen, 80, 24).contains("2 up"), "{}", shown(&mut screen, 80, 24));
    screen.on_up(up, false);
    assert!(shown(&mut screen, 80, 24).contains("1 up"), "{}", shown(&mut screen, 80, 24));
}

#[test]
fn figures_are_those_of_what_is_chosen() {
    let (mut screen, _) = played(&flow(), &[], PLAIN);
    let figures = |screen: &mut Screen| shown(screen, 100, 20).lines().nth(1).unwrap_or_default().to_owned();
    assert_eq!(figures(&mut screen), "5 calls, 1 up, 2 of 4 answered (50.0 %), 1 failed, mean set-up 0.390 s");
    screen.on_key(Key::Char(' '));
    assert_eq!(figures(&mut screen), "marked: 1 call, 1 of 1 answered (100.0 %), 0 failed, mean set-up 0.310 s");
    screen.on_key(Key::Escape);
    assert!(figures(&mut screen).starts_with("5 calls"));
    screen.on_calls(many(500, 1));
    assert!(figures(&mut screen).starts_with("6 calls, 1 up, 2 of 5 answered"));
    for key in keys("F7 \"outcome == busy\" Enter") {
        screen.on_key(key);
    }
    assert!(figures(&mut screen).starts_with("2 calls, 0 of 2 answered"), "{}", figures(&mut screen));
}
