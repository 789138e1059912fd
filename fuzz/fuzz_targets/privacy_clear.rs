//! A message cleared of the people in it: no panic, and no number of those who call is left in any of its fields.
//!
//! The input: which privacy, the message.
#![no_main]

use call_records::{Addresses, Numbers, Privacy};
use sip::Framing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [kind, bytes @ ..] = input else { return };
    let Ok(message) = sip::parse(bytes, Framing::Datagram { truncated: false }) else { return };
    let numbers = [Numbers::Drop, Numbers::Mask, Numbers::Hmac][usize::from(kind % 3)];
    let ip = if kind & 4 == 0 { Addresses::Plain } else { Addresses::Prefix };
    let privacy = Privacy { numbers, ip, key: "key".to_owned(), ..Privacy::default() };
    let users = [&message.from, &message.to].map(|party| sip::uri::user(party.uri).unwrap_or_default());
    for cleared in call_records::cleared(&message, &privacy, 1024) {
        for user in users {
            // Of seven digits or more, so that it is a number of somebody and no short word.
            let is_number = (7..=32).contains(&user.len()) && user.iter().all(u8::is_ascii_digit);
            let is_there = cleared.as_bytes().windows(user.len().max(1)).any(|window| window == user);
            assert!(!(is_number && is_there), "{cleared:?}");
        }
    }
});
