//! RFC 4475: each of its 49 messages behaves as the class it belongs to, and no prefix of a message does harm.
//!
//! The messages are other people's: where they are not at hand ([`corpus`]) the tests are skipped.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use sip::AnomalyKind::{self, ContentLength, DupHeader, NoContentLength, Number, StartLineSpace, TrailingBytes};
use sip::{Framing, Message, Method, ParseError, Payload, Start, parse, sort};

#[path = "invariants/parsed.rs"]
mod parsed;
#[path = "invariants/sorted.rs"]
mod sorted;

const DATAGRAM: Framing = Framing::Datagram { truncated: false };

/// What becomes of each file in a datagram.
const CLASSES: [(&str, Result<&[AnomalyKind], ParseError>); 49] = [
    ("badaspec", Ok(&[])),
    ("badbranch", Ok(&[])),
    ("baddate", Ok(&[])),
    ("baddn", Ok(&[])),
    ("badinv01", Err(ParseError::Via)),
    ("badvers", Err(ParseError::Version)),
    ("bcast", Ok(&[])),
    ("bext01", Ok(&[])),
    ("bigcode", Err(ParseError::Status)),
    ("clerr", Ok(&[ContentLength])),
    ("cparam01", Ok(&[])),
    ("cparam02", Ok(&[])),
    ("dblreq", Ok(&[TrailingBytes])),
    ("esc01", Ok(&[])),
    ("esc02", Ok(&[])),
    ("escnull", Ok(&[])),
    ("escruri", Ok(&[StartLineSpace])),
    ("insuf", Err(ParseError::MissingHeader)),
    ("intmeth", Ok(&[])),
    ("inv2543", Ok(&[])),
    ("invut", Ok(&[])),
    ("longreq", Ok(&[])),
    ("ltgtruri", Ok(&[StartLineSpace])),
    ("lwsdisp", Ok(&[])),
    ("lwsruri", Ok(&[StartLineSpace])),
    ("lwsstart", Ok(&[StartLineSpace])),
    ("mcl01", Ok(&[DupHeader, TrailingBytes])),
    ("mismatch01", Err(ParseError::CseqMismatch)),
    ("mismatch02", Err(ParseError::CseqMismatch)),
    ("mpart01", Ok(&[])),
    ("multi01", Ok(&[DupHeader])),
    ("ncl", Ok(&[ContentLength])),
    ("noreason", Ok(&[])),
    ("novelsc", Ok(&[])),
    ("quotbal", Ok(&[])),
    ("regaut01", Ok(&[])),
    ("regbadct", Ok(&[])),
    ("regescrt", Ok(&[])),
    ("scalar02", Err(ParseError::Cseq)),
    ("scalarlg", Err(ParseError::Cseq)),
    ("sdp01", Ok(&[])),
    ("semiuri", Ok(&[])),
    ("transports", Ok(&[])),
    ("trws", Ok(&[StartLineSpace])),
    ("unkscm", Ok(&[])),
    ("unksm2", Ok(&[])),
    ("unreason", Ok(&[])),
    ("wsinv", Ok(&[])),
    ("zeromf", Ok(&[])),
];

/// The messages by the names of their files.
struct Messages(BTreeMap<String, Vec<u8>>);

impl Messages {
    /// Those of a folder; `None` when they are not at hand for `test`.
    fn of(folder: &str, test: &str) -> Option<Self> {
        let files = corpus::files(&format!("{test} ({folder})"), &format!("captures/{folder}"))?;
        let read = |path: PathBuf| {
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        };
        Some(Self(files.into_iter().map(read).collect()))
    }

    #[track_caller]
    fn bytes(&self, name: &str) -> &[u8] {
        self.0.get(name).unwrap_or_else(|| panic!("{name} is missing"))
    }

    /// One of them, which can be parsed.
    #[track_caller]
    fn check(&self, name: &str, check: impl FnOnce(Message<'_>)) {
        check(parse(self.bytes(name), DATAGRAM).unwrap_or_else(|error| panic!("{name}: {error}")));
    }
}

fn torture(test: &str) -> Option<Messages> {
    Messages::of("torture-rfc4475", test)
}

#[test]
fn every_message_behaves_as_its_class_says() {
    let Some(messages) = torture("classes") else { return };
    assert_eq!(messages.0.len(), CLASSES.len());
    for (name, class) in CLASSES {
        let bytes = messages.bytes(name);
        assert_eq!(sort(bytes), Payload::Sip(bytes), "{name}");
        let parsed = parse(bytes, DATAGRAM).map(|message| message.anomalies.iter().collect::<Vec<_>>());
        assert_eq!(parsed, class.map(<[AnomalyKind]>::to_vec), "{name}");
    }
}

#[test]
fn every_prefix_of_every_message_is_harmless() {
    for folder in ["torture-rfc4475", "fuzz-seed-sip"] {
        let Some(messages) = Messages::of(folder, "prefixes") else { continue };
        for message in messages.0.values() {
            for len in 0..=message.len() {
                sorted::check(&message[..len]);
                parsed::check(&message[..len]);
            }
        }
    }
}

#[test]
fn wsinv_is_read_through_folds_and_white_space() {
    let Some(messages) = torture("wsinv") else { return };
    messages.check("wsinv", |message| {
        assert_eq!((message.to.uri, message.to.tag), (&b"sip:vivekg@chair-dnrc.example.com"[..], &b"1918181833n"[..]));
        assert_eq!((message.from.uri, message.from.tag), (&b"sip:jdrosen@example.com"[..], &b"98asjd8"[..]));
        assert_eq!((message.cseq.number, message.cseq.method), (9, Method::Invite));
        assert!(!message.via.unique_branch(), "the top branch has no cookie");
        let vias: Vec<_> = message.vias().map(|via| (via.host, via.branch)).collect();
        let expected: [(&[u8], &[u8]); 3] = [
            (b"192.0.2.2", b"390skdjuw"),
            (b"spindle.example.com", b"z9hG4bK9ikj8"),
            (b"192.168.255.111", b"z9hG4bK30239"),
        ];
        assert_eq!(vias, expected);
        assert_eq!((message.body().len(), message.has_sdp()), (150, true));
        assert_eq!(message.contacts().count(), 1);
    });
}

#[test]
fn intmeth_has_an_unknown_method_of_every_token_character() {
    let Some(messages) = torture("intmeth") else { return };
    messages.check("intmeth", |message| {
        assert_eq!((message.method(), message.cseq.number), (Method::Other, 139_122_385));
        assert_eq!(message.from.tag, b"_token~1'+`*%!-.");
        assert_eq!(message.from.uri, b"sip:mundane@example.com");
    });
}

#[test]
fn esc02_is_not_a_register() {
    let Some(messages) = torture("esc02") else { return };
    messages.check("esc02", |message| {
        assert_eq!((message.method(), message.cseq.name), (Method::Other, &b"RE%47IST%45R"[..]))
    });
}

#[test]
fn longreq_keeps_long_values_and_every_via() {
    let Some(messages) = torture("longreq") else { return };
    messages.check("longreq", |message| {
        assert_eq!(message.via_count, 34);
        assert_eq!(message.via.host, b"sip33.example.com");
        assert!(message.from.tag.starts_with(b"12982982982982982") && message.call_id.len() > 100);
    });
}

#[test]
fn dblreq_is_its_first_message_only() {
    let Some(messages) = torture("dblreq") else { return };
    messages.check("dblreq", |message| assert_eq!((message.method(), message.body()), (Method::Register, &b""[..])));
}

#[test]
fn semiuri_has_a_semicolon_in_its_user_part() {
    let Some(messages) = torture("semiuri") else { return };
    messages.check("semiuri", |message| {
        let Start::Request { uri, .. } = message.start else { panic!("a request") };
        assert_eq!(sip::uri::user(uri), Some(&b"user;par=u%40example.net"[..]));
    });
}

#[test]
fn transports_has_five_vias_and_the_port_of_tls() {
    let Some(messages) = torture("transports") else { return };
    messages.check("transports", |message| {
        let ports: Vec<_> = message.vias().map(|via| via.port).collect();
        assert_eq!(ports, [5060, 5060, 5061, 5060, 5060]);
    });
}

#[test]
fn unreason_and_noreason_are_responses() {
    let Some(messages) = torture("unreason, noreason, novelsc") else { return };
    messages.check("unreason", |message| assert_eq!(message.status(), Some(200)));
    messages.check("noreason", |message| assert_eq!(message.status(), Some(100)));
    messages.check("novelsc", |message| assert!(message.is_request()));
}

#[test]
fn quotbal_damages_one_value_only() {
    let Some(messages) = torture("quotbal") else { return };
    messages.check("quotbal", |message| {
        assert_eq!((message.to.uri, message.to.tag), (&b""[..], &b""[..]));
        assert_eq!(message.from.tag, b"93334");
    });
}

#[test]
fn baddn_and_badaspec_yield_their_tags() {
    let Some(messages) = torture("baddn, badaspec") else { return };
    messages.check("baddn", |message| assert_eq!(message.from.tag, b"43"));
    messages.check("badaspec", |message| {
        assert_eq!((message.to.uri, message.from.tag), (&b"sip:t.watson@example.org"[..], &b"433423"[..]));
    });
}

#[test]
fn badbranch_and_inv2543_have_no_unique_branch() {
    let Some(messages) = torture("badbranch, inv2543") else { return };
    messages.check("badbranch", |message| assert!(!message.via.branch.is_empty() && !message.via.unique_branch()));
    messages.check("inv2543", |message| {
        assert_eq!((message.via.branch, message.from.tag), (&b""[..], &b""[..]));
        assert_eq!(message.to.uri, b"sip:+16505552222@ss1.example.net");
    });
}

#[test]
fn multi01_counts_the_first_of_each() {
    let Some(messages) = torture("multi01") else { return };
    messages.check("multi01", |message| {
        assert_eq!((message.call_id, message.cseq.number), (&b"multi01.98asdh@192.0.2.1"[..], 5));
        assert_eq!((message.from.tag, message.to.uri), (&b"3413415"[..], &b"sip:user@example.com"[..]));
        assert_eq!(message.contacts().count(), 2);
    });
}

#[test]
fn clerr_ncl_and_mcl01_cannot_be_framed_on_a_stream() {
    let Some(messages) = torture("framing on a stream") else { return };
    for name in ["clerr", "ncl", "mcl01"] {
        assert_eq!(parse(messages.bytes(name), Framing::Stream).err(), Some(ParseError::ContentLength), "{name}");
    }
    let message = parse(messages.bytes("inv2543"), Framing::Stream).expect("a message");
    assert!(message.anomalies.contains(NoContentLength));
}

#[test]
fn numbers_of_scalar02_and_scalarlg_are_clamped_once_their_cseq_is_mended() {
    let Some(messages) = torture("numbers out of range") else { return };
    for (name, broken) in [("scalar02", "36893488147419103232"), ("scalarlg", "9292394834772304023312")] {
        let text = std::str::from_utf8(messages.bytes(name)).expect("text").replace(broken, "1");
        let message = parse(text.as_bytes(), DATAGRAM).expect("a message");
        assert!(message.anomalies.contains(Number), "{name}");
        assert_eq!(message.expires().or(message.retry_after()), Some(u32::MAX));
    }
}
