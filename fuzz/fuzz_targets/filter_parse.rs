//! A filter as somebody types it: no panic, no endless nesting, and an error points into the text.
#![no_main]

use call_filter::Filter;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(error) = Filter::parse(text) {
        assert!(!error.pointed(text).is_empty());
    }
});
