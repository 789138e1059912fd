//! JSON as `calls`, `ladder` and `replay --calls` write it: an object in, one line of text out.

use std::fmt::Write;

use serde::Serialize;

/// The object in one line. What a terminal would obey if the line ended up on one stands escaped: JSON itself asks
/// for that below U+0020 only.
pub fn line(object: &impl Serialize) -> String {
    let text = serde_json::to_string(object).expect("numbers and text can be written as JSON");
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            // Controls of ISO 6429, and what turns the direction of text or breaks its line. All within strings.
            '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(line, "\\u{:04x}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => line.push(c),
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_is_left_and_the_text_is_the_same() {
        let text = "\u{1b}[31m\u{9b}2J\u{202e}Zoë 你\"\n";
        let line = line(&text);
        assert_eq!(line, "\"\\u001b[31m\\u009b2J\\u202eZoë 你\\\"\\n\"\n");
        assert_eq!(serde_json::from_str::<String>(&line).expect("it is JSON"), text);
    }
}
