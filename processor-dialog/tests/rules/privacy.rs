//! What a record shows of numbers, Call-IDs and addresses: nothing that is not to be shown, wherever it stood.

use call_records::{self, Addresses, CallIds, Numbers, Privacy, trace_id};
use pipeline::{CallRecord, CallsWanted};
use processor_dialog::Config;

use crate::expect::{call_with, calls_for, wanted};

fn with(privacy: Privacy) -> Config {
    Config { calls: call_records::Config { privacy, ..call_records::Config::default() }, ..Config::default() }
}

fn numbers(numbers: Numbers) -> Config {
    with(Privacy { numbers, key: "secret".to_owned(), ..Privacy::default() })
}

/// Numbers of a call in every place that a record could take one from.
const CALLER: &str = "4915112345678";
const CALLEE: &str = "493099887766";
const ASSERTED: &str = "493055443322";
const TARGET: &str = "498912121212";
const CONTACT: &str = "447700900123";

fn revealing() -> String {
    format!(
        "0.0 alice -> bob raw=\"INVITE sip:+{TARGET}@203.0.113.77:5080;user=phone SIP/2.0\\r\\n\
           Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{CALLER}\\r\\n\
           From: \\\"{CALLER}\\\" <sip:+{CALLER}@example.com>;tag=a-{CALLER}\\r\\nTo: <sip:{CALLEE}@example.com>\\r\\n\
           P-Asserted-Identity: <tel:+{ASSERTED}>\\r\\nContact: <sip:{CONTACT}@192.0.2.10>\\r\\n\
           Call-ID: {CALLER}-1@192.0.2.10\\r\\nCSeq: 1 INVITE\\r\\nUser-Agent: Phone of {CALLEE}, {ASSERTED}\\r\\n\
           Authorization: Digest username={CALLER}\\r\\nReason: Q.850;cause=16;text=\\\"{CALLER}\\\"\\r\\n\
           Content-Type: application/sdp\\r\\n\\r\\no={CALLER} 192.0.2.10\"
         1.0 alice <- bob raw=\"SIP/2.0 480 {CALLEE} and +{TARGET} at {CONTACT} away, {CALLER}\\r\\n\
           Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{CALLER}\\r\\n\
           From: <sip:+{CALLER}@example.com>;tag=a-{CALLER}\\r\\nTo: <sip:{CALLEE}@example.com>;tag={CALLEE}\\r\\n\
           Call-ID: {CALLER}-1@192.0.2.10\\r\\nCSeq: 1 INVITE\\r\\n\\r\\n\"
         2.0 alice -> registrar raw=\"REGISTER sip:{TARGET}@example.com SIP/2.0\\r\\n\
           Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKr{CALLER}\\r\\n\
           From: <sip:+{CALLER}@example.com>;tag=r\\r\\nTo: <sip:{CALLEE}@example.com>\\r\\n\
           Call-ID: {CALLER}-2\\r\\nCSeq: 1 REGISTER\\r\\nUser-Agent: {CALLER}\\r\\n\\r\\n\"
         2.1 alice <- registrar raw=\"SIP/2.0 403 Not {CALLER}\\r\\n\
           Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKr{CALLER}\\r\\n\
           From: <sip:+{CALLER}@example.com>;tag=r\\r\\nTo: <sip:{CALLEE}@example.com>;tag=x\\r\\n\
           Call-ID: {CALLER}-2\\r\\nCSeq: 1 REGISTER\\r\\n\\r\\n\""
    )
}

fn shown(config: Config) -> String {
    let records = calls_for(wanted(), config, &revealing());
    assert_eq!(records.len(), 2);
    format!("{records:?}")
}

#[test]
fn no_number_of_a_call_is_anywhere_in_its_record_unless_numbers_are_plain() {
    for how in [Numbers::Drop, Numbers::Mask, Numbers::Hmac] {
        let shown = shown(numbers(how));
        for number in [CALLER, CALLEE, ASSERTED, TARGET, CONTACT] {
            // The national part too.
            assert!(!shown.contains(&number[2..]), "{how:?} shows {number}: {shown}");
        }
    }
    let plain = shown(numbers(Numbers::Plain));
    for number in [CALLER, CALLEE, ASSERTED, TARGET, CONTACT] {
        assert!(plain.contains(number), "{number}");
    }
}

#[test]
fn what_is_no_number_stays() {
    let record = call_with(
        numbers(Numbers::Drop),
        "0.0 alice -> bob INVITE ua=\"Yealink SIP-T46S 66.84.0.15\"\n 1.0 alice <- bob 486",
    );
    assert_eq!(record.user_agent.as_deref(), Some("Yealink SIP-T46S 66.84.0.15"));
    assert_eq!(record.transactions[0].reason.as_deref(), Some("Busy Here"));
    assert_eq!(record.server, Some(("198.51.100.20".into(), Some(5060))));
    assert_eq!((&*record.call_id, &*record.transactions[0].branch), ("call-1", "z9hG4bK1.1"));
    let answered = call_with(numbers(Numbers::Drop), "0.0 alice -> bob INVITE\n 1.0 alice <- bob 200");
    assert_eq!(answered.transactions[0].reason, None, "200 says it all");
}

#[test]
fn numbers_are_dropped_masked_hashed_or_plain() {
    let ladder = "0.0 alice -> bob INVITE from=sip:+49123456@a to=sip:98@b";
    let shown = |how| {
        let call = call_with(numbers(how), ladder);
        (call.caller.map(String::from), call.callee.map(String::from))
    };
    assert_eq!(shown(Numbers::Drop), (None, None));
    assert_eq!(shown(Numbers::Mask), (Some("+4912****".to_owned()), Some("98".to_owned())));
    assert_eq!(shown(Numbers::Hmac).0.as_deref(), Some("d96281a1bd656b90"));
    assert_eq!(shown(Numbers::Plain), (Some("+49123456".to_owned()), Some("98".to_owned())));
}

/// From a hash of the Call-ID itself whoever guesses it could tell that he did: ids are made of a token of it.
#[test]
fn a_hidden_call_id_makes_ids_under_a_key() {
    let hidden = |key: &str| {
        let privacy = Privacy { call_id: CallIds::Hash, key: "secret".to_owned(), ..Privacy::default() };
        let mut config = with(privacy);
        config.calls.trace_id.key = key.to_owned();
        call_with(config, "0.0 alice -> bob INVITE\n 1.0 alice <- bob 200")
    };
    let record = hidden("fleet");
    // echo -n call-1 | openssl dgst -sha256 -hmac secret | cut -c 1-32
    assert_eq!(&*record.call_id, "3e827d1a86323a6f39bd1808151475ca");
    // printf '\0\0\0\20' and the first 16 bytes of: echo -n call-1 | openssl dgst -sha256 -hmac fleet; both | md5sum
    let hex: String = record.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "85ccdbf0b905fe6a6e8e8046e61bd4d3");
    let plain = call_with(Config::default(), "0.0 alice -> bob INVITE\n 1.0 alice <- bob 200");
    assert_eq!(plain.trace_id, trace_id(b"call-1"));
    let ids = |record: &CallRecord| (record.span, record.transactions[0].span, record.sessions[0].dialog_id);
    assert_ne!(ids(&record), ids(&plain));
    assert_eq!(ids(&record), ids(&hidden("fleet")), "on every host of the fleet the same");
    assert_ne!(hidden("").trace_id, plain.trace_id, "without a key under a secret of the process");
}

/// Whoever is named anywhere is not shown in a Call-ID either, however short the number.
#[test]
fn a_call_id_that_holds_anybody_who_is_named_is_hidden() {
    for hdr in [
        "Remote-Party-ID: \\\"A\\\" <sip:4930998877@h>;party=calling",
        "P-Preferred-Identity: <sip:4930998877@h>",
        "Diversion: <sip:1@h>;reason=\\\"a, b\\\", <tel:+4930998877>;counter=1",
        "History-Info: <sip:1@h>;index=1, <sip:4930998877@h?Reason=SIP%3Bcause%3D302>;index=1.1",
        "Referred-By: sip:4930998877@h;x=y",
        "b: <sip:4930998877@h>",
        "P-Asserted-Identity: \\\"+49 30 998877\\\" <sip:x@h>",
    ] {
        let ladder = format!("0.0 alice -> bob INVITE call=x-4930998877-y hdr=\"{hdr}\"");
        let shown = |how| call_with(numbers(how), &ladder).call_id.to_string();
        assert_eq!(shown(Numbers::Plain), "x-4930998877-y");
        let hidden = shown(Numbers::Drop);
        assert!(!hidden.contains("998877") && hidden.len() == 32, "{hdr}: {hidden}");
    }
    for (from, call) in [("sip:1001@h", "abc1001xyz"), ("sip:54321@h", "54321@pbx"), ("sip:x@h", "alice.smith.7@h")] {
        let ladder = format!("0.0 alice -> bob INVITE call={call} from=\"\\\"alice.smith\\\" <{from}>\"");
        assert_eq!(call_with(numbers(Numbers::Drop), &ladder).call_id.len(), 32, "{call}");
    }
    let other = call_with(numbers(Numbers::Drop), "0.0 alice -> bob INVITE call=a1002b from=sip:1001@h");
    assert_eq!(&*other.call_id, "a1002b");
}

#[test]
fn a_number_that_a_later_message_names_hides_the_call_id_too() {
    let record = call_with(
        numbers(Numbers::Drop),
        "0.0 alice -> bob INVITE call=x-4930998877
         1.0 alice <- bob 302 call=x-4930998877 hdr=\"Diversion: <tel:+4930998877>\"
         1.1 alice -> bob ACK call=x-4930998877",
    );
    assert_eq!(record.call_id.len(), 32);
}

/// However a number is written, with its country before it: whoever searches a store for it has one token.
#[test]
fn one_number_has_one_token() {
    let token = |user: &str| {
        let ladder = format!("0.0 alice -> bob INVITE from=sip:{user}@h");
        call_with(numbers(Numbers::Hmac), &ladder).caller.map(String::from)
    };
    for same in
        ["+4930123456", "4930123456", "004930123456", "+49-30-123456", "4930123456;phone-context=x", "%2B4930123456"]
    {
        assert_eq!(token(same), token("4930123456"), "{same}");
    }
    for other in ["030123456", "alice", "4930123457", "00"] {
        assert_ne!(token(other), token("4930123456"), "{other}");
    }
}

#[test]
fn addresses_are_shown_as_networks_and_told_apart_all_the_same() {
    let record = call_with(
        with(Privacy { ip: Addresses::Prefix, numbers: Numbers::Plain, ..Privacy::default() }),
        "0.0 alice -> bob INVITE call=x@192.0.2.10
         0.1 alice -> carol INVITE call=x@192.0.2.10
         1.0 alice <- carol 486 call=x@192.0.2.10",
    );
    let endpoints: Vec<String> = record.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
    assert_eq!(endpoints, ["192.0.2.0:5060", "198.51.100.0:5060", "198.51.100.0:5060"]);
    assert_eq!((record.ladder[0].destination, record.ladder[1].destination), (1, 2));
    assert_eq!(record.server.as_ref().map(|(host, _)| &**host), Some("198.51.100.0"));
    assert!(!format!("{record:?}").contains("192.0.2.10"), "nor in the Call-ID");
}

#[test]
fn a_number_looked_for_is_found_in_calls_and_said_of_others() {
    let looking = |number: &str, config: Config| {
        let wanted = CallsWanted { number: Some(number.into()), requests: false, ..wanted() };
        let ladder = "0.0 alice -> bob INVITE call=a from=sip:+49301234567@h
                      0.1 alice -> bob INVITE call=b to=sip:4567@h
                      0.2 alice -> bob INVITE call=c hdr=\"P-Asserted-Identity: <tel:+1-234-567>\"
                      0.3 alice -> bob INVITE call=d";
        calls_for(wanted, config, ladder)
            .iter()
            .filter(|record: &&CallRecord| record.has_number)
            .map(|record| record.call_id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(looking("4567", numbers(Numbers::Drop)), ["a", "b", "c"]);
    assert_eq!(looking("034567", numbers(Numbers::Drop)), [""; 0]);
    assert_eq!(looking("4567", numbers(Numbers::Hmac)), ["b"]);
    assert_eq!(looking("0049301234567", numbers(Numbers::Hmac)), ["a"]);
}

#[test]
fn a_number_that_a_redirect_brings_is_found_too() {
    let wanted = CallsWanted { number: Some("777".into()), ..wanted() };
    let records = calls_for(
        wanted,
        Config::default(),
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 302
         0.2 alice -> carol INVITE to=sip:49777@h",
    );
    assert!(records[0].has_number);
}
