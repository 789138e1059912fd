//! Views as people see them, one folder for each case: `flow` is what happened, `media` what was heard of it where there is
//! such a file, the others what is shown of it.
//!
//! With `RINGSIDE_BLESS=1` the files are written instead of compared: look at the difference before you keep it.

mod calls;
mod traits;

use std::fs;
use std::path::{Path, PathBuf};

use call_views::message::{self, Detail};
use call_views::{Style, Summary, ladder};

use calls::{Played, hear, play, play_exchanges, play_messages};

#[test]
fn ladders_are_shown_as_in_their_folders() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ladders");
    let mut wrong = Vec::new();
    for case in folders(&folder) {
        let calls = calls_of(&case);
        assert!(!calls.is_empty(), "{}: no call", case.display());
        let shown = |style: &Style| {
            let texts: Vec<String> = calls.iter().map(|call| ladder::text(&call.view(), style)).collect();
            texts.join("\n")
        };
        for width in [40, 80, 200] {
            let style = Style { width: Some(width), unicode: true, colour: false, ..Style::default() };
            compare(&case.join(width.to_string()), &shown(&style), &mut wrong);
        }
        compare(&case.join("80.ascii"), &shown(&Style::default()), &mut wrong);
        let diagrams: Vec<String> = calls.iter().map(|call| ladder::mermaid(&call.view(), "")).collect();
        compare(&case.join("mermaid"), &diagrams.join("\n"), &mut wrong);
        let objects = calls.iter().map(|call| ladder::json(&call.view()));
        let objects = objects.map(|object| serde_json::to_string_pretty(&object).expect("it can be written") + "\n");
        compare(&case.join("json"), &objects.collect::<String>(), &mut wrong);
    }
    assert!(wrong.is_empty(), "shown otherwise than in:\n{}", wrong.join("\n"));
}

#[test]
fn tables_are_shown_as_in_their_folders() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables");
    let mut wrong = Vec::new();
    for case in folders(&folder) {
        let calls: Vec<_> = calls_of(&case).iter().map(|call| call.view().summary()).collect();
        for width in [40, 80, 120, 200] {
            let style = Style { width: Some(width), unicode: true, colour: false, ..Style::default() };
            compare(&case.join(width.to_string()), &call_views::table(&calls, &style), &mut wrong);
        }
        let whole = Style { width: None, unicode: true, colour: false, ..Style::default() };
        compare(&case.join("whole"), &call_views::table(&calls, &whole), &mut wrong);
        let lines = calls.iter().map(|call| serde_json::to_string(call).expect("it can be written") + "\n");
        compare(&case.join("json"), &lines.collect::<String>(), &mut wrong);
    }
    assert!(wrong.is_empty(), "shown otherwise than in:\n{}", wrong.join("\n"));
}

#[test]
fn what_is_no_call_is_shown_as_in_its_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchanges");
    let mut wrong = Vec::new();
    for case in folders(&folder) {
        let exchanges = play_exchanges(&fs::read_to_string(case.join("flow")).expect("every case has a flow"));
        let summary = |exchange: &call_views::Exchange| Summary {
            times: (exchange.times > 1).then_some(exchange.times),
            ..exchange.view().summary()
        };
        let summaries: Vec<_> = exchanges.iter().map(summary).collect();
        for width in [80, 120] {
            let style = Style { width: Some(width), unicode: true, colour: false, ..Style::default() };
            compare(&case.join(width.to_string()), &call_views::table(&summaries, &style), &mut wrong);
        }
        let lines = summaries.iter().map(|call| serde_json::to_string(call).expect("it can be written") + "\n");
        compare(&case.join("json"), &lines.collect::<String>(), &mut wrong);
        let style = Style { width: Some(80), unicode: true, colour: false, ..Style::default() };
        let ladders: Vec<_> = exchanges.iter().map(|exchange| ladder::text(&exchange.view(), &style)).collect();
        compare(&case.join("ladders"), &ladders.join("\n"), &mut wrong);
    }
    assert!(wrong.is_empty(), "shown otherwise than in:\n{}", wrong.join("\n"));
}

#[test]
fn messages_are_shown_as_in_their_folders() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let mut wrong = Vec::new();
    for case in folders(&folder) {
        let calls = play_messages(&fs::read_to_string(case.join("flow")).expect("every case has a flow"));
        let style = |cells, unicode| Style { width: Some(cells), unicode, colour: false, ..Style::default() };
        let shown = |detail, style: &Style| {
            calls.iter().map(|call| message::all(&call.view(), detail, style)).collect::<Vec<_>>().join("\n")
        };
        compare(&case.join("80"), &shown(Detail::All, &style(80, true)), &mut wrong);
        compare(&case.join("40.ascii"), &shown(Detail::All, &style(40, false)), &mut wrong);
        compare(&case.join("headers"), &shown(Detail::Headers, &style(120, true)), &mut wrong);
        let objects = calls.iter().map(|call| ladder::json(&call.view()));
        let objects = objects.map(|object| serde_json::to_string_pretty(&object).expect("it can be written") + "\n");
        compare(&case.join("json"), &objects.collect::<String>(), &mut wrong);
    }
    assert!(wrong.is_empty(), "shown otherwise than in:\n{}", wrong.join("\n"));
}

/// The example of the page is made of one of the cases, and stays what is printed.
#[test]
fn the_page_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let calls = play(&fs::read_to_string(root.join("tests/ladders/documented/flow")).expect("the case is there"));
    let style = Style { width: Some(110), unicode: true, colour: false, ..Style::default() };
    let summaries: Vec<_> = calls.iter().map(|call| call.view().summary()).collect();
    let page = fs::read_to_string(root.join("../docs/calls.md")).expect("the page is there");
    for shown in [call_views::table(&summaries, &style), ladder::text(&calls[0].view(), &style)] {
        assert!(page.contains(&shown), "not in docs/calls.md:\n{shown}");
    }
}

fn calls_of(case: &Path) -> Vec<Played> {
    let flow = fs::read_to_string(case.join("flow")).expect("every case has a flow");
    let mut calls = play(&flow);
    if let Ok(streams) = fs::read_to_string(case.join("media")) {
        hear(&mut calls, &streams);
    }
    calls
}

fn compare(file: &Path, shown: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("RINGSIDE_BLESS").is_some() {
        return fs::write(file, shown).expect("the checkout can be written");
    }
    if fs::read_to_string(file).ok().as_deref() != Some(shown) {
        wrong.push(format!("{}\n{shown}", file.display()));
    }
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        fs::read_dir(of).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}
