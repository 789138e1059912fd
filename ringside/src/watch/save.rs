//! Calls of the screen in a file: packets of the messages that were kept, or ladders and messages as text.

use std::fs::OpenOptions;
use std::io::Write;

use call_screen::Known;
use call_views::message::{self, Detail};
use call_views::{Style, ladder, packets};
use pipeline::CallRecord;

/// Writes calls to a new file, in the form that its name asks for. What became of it, in a line.
pub fn save(calls: &[Known], path: &str) -> String {
    let number = match calls.len() {
        1 => "1 call".to_owned(),
        number => format!("{number} calls"),
    };
    let Some(bytes) = (if path.ends_with(".txt") { Some(text(calls).into_bytes()) } else { capture(calls) }) else {
        return "no message of these calls was kept: nothing was saved".to_owned();
    };
    // Nobody is asked whether a file may go, so none goes.
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    match file.and_then(|mut file| file.write_all(&bytes)) {
        Ok(()) => format!("{number} saved in {path}"),
        Err(error) => format!("{path} cannot be written: {error}"),
    }
}

fn text(calls: &[Known]) -> String {
    let style = Style { width: None, unicode: true, colour: false, ..Style::default() };
    let of = |call: &Known| {
        let view = call.view();
        format!("{}\n{}", ladder::text(&view, &style), message::all(&view, Detail::All, &style))
    };
    calls.iter().map(of).collect::<Vec<_>>().join("\n\n")
}

fn capture(calls: &[Known]) -> Option<Vec<u8>> {
    let records: Vec<&CallRecord> = calls.iter().map(|call| &*call.record).collect();
    packets::pcap(&ladder::joined(&records)?)
}
