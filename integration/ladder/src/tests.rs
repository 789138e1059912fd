use std::time::Duration;

use super::{Step, endpoint, pcap, play};

fn text(step: &Step) -> &str {
    std::str::from_utf8(&step.bytes).expect("these ladders are ASCII")
}

/// The values of a header field, top first.
fn field<'a>(step: &'a Step, name: &str) -> Vec<&'a str> {
    let prefix = format!("{name}: ");
    text(step).split("\r\n").filter_map(|line| line.strip_prefix(prefix.as_str())).collect()
}

fn branch(step: &Step) -> &str {
    field(step, "Via")[0].split_once(";branch=").expect("the top Via has a branch").1
}

#[test]
fn a_request_is_spelt_as_a_user_agent_spells_it() {
    let steps = play("1.5 alice -> bob INVITE ua=\"Yealink T46\" se=90 # dial");
    assert_eq!(
        text(&steps[0]),
        "INVITE sip:bob@198.51.100.20:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK1.1\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=alice-tag\r\n\
         To: <sip:bob@example.com>\r\n\
         Call-ID: call-1\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:alice@192.0.2.10:5060>\r\n\
         User-Agent: Yealink T46\r\n\
         Session-Expires: 90\r\n\
         Content-Length: 0\r\n\r\n"
    );
    assert_eq!(steps[0].at, Duration::from_millis(1500));
    assert_eq!((steps[0].source, steps[0].destination), (endpoint::address("alice"), endpoint::address("bob")));
}

#[test]
fn a_call_needs_no_words() {
    let steps = play(
        "
         0.000  alice -> bob  INVITE
         0.040  alice <- bob  100
         1.000  alice <- bob  180
         4.000  alice <- bob  200
         4.020  alice -> bob  ACK
        64.000  alice <- bob  BYE
        64.010  alice -> bob  200
        ",
    );
    assert_eq!(field(&steps[1], "To"), ["<sip:bob@example.com>"], "a 100 has no tag");
    assert_eq!(field(&steps[3], "To"), ["<sip:bob@example.com>;tag=bob-tag"]);
    assert_eq!(field(&steps[3], "Via"), field(&steps[0], "Via"));
    assert_eq!(field(&steps[4], "CSeq"), ["1 ACK"]);
    assert_ne!(branch(&steps[4]), branch(&steps[0]), "the ACK of a 2xx is a transaction of its own");
    assert_eq!(field(&steps[4], "To"), ["<sip:bob@example.com>;tag=bob-tag"]);
    assert_eq!(field(&steps[5], "From"), ["<sip:bob@example.com>;tag=bob-tag"]);
    assert_eq!(field(&steps[5], "To"), ["<sip:alice@example.com>;tag=alice-tag"]);
    assert_eq!(field(&steps[6], "CSeq"), ["1 BYE"]);
    assert_eq!(field(&steps[6], "To"), ["<sip:alice@example.com>;tag=alice-tag"]);
}

#[test]
fn a_refused_invite_is_acknowledged_in_its_own_transaction() {
    let steps = play("0 alice -> bob INVITE\n1 alice <- bob 486\n1.1 alice -> bob ACK\n2 alice -> bob INVITE");
    assert_eq!(branch(&steps[2]), branch(&steps[0]));
    assert_eq!(field(&steps[2], "To"), ["<sip:bob@example.com>;tag=bob-tag"]);
    assert_eq!(field(&steps[3], "CSeq"), ["2 INVITE"]);
    assert_eq!(field(&steps[3], "To"), ["<sip:bob@example.com>"], "no dialog was made");
}

#[test]
fn a_cancel_is_answered_before_the_invite() {
    let steps = play(
        "0 alice -> bob INVITE\n1 alice <- bob 180\n2 alice -> bob CANCEL\n3 alice <- bob 200\n4 alice <- bob 487\n5 alice -> bob ACK",
    );
    assert_eq!(branch(&steps[2]), branch(&steps[0]));
    assert_eq!(field(&steps[2], "To"), ["<sip:bob@example.com>"]);
    assert_eq!(field(&steps[3], "CSeq"), ["1 CANCEL"]);
    assert_eq!(field(&steps[4], "CSeq"), ["1 INVITE"]);
    assert_eq!(branch(&steps[5]), branch(&steps[0]));
}

#[test]
fn a_proxy_pushes_and_pops_vias_and_relays_tags() {
    let steps = play(
        "
        0.0  alice -> proxy  INVITE
        0.1  proxy -> bob    INVITE fwd
        0.2  proxy -> carol  INVITE fwd
        1.0  proxy <- bob    180
        1.1  alice <- proxy  180
        2.0  proxy <- carol  200 se=90
        2.1  alice <- proxy  200 fwd
        2.2  proxy -> bob    CANCEL
        9.0  proxy <- carol  BYE
        9.1  alice <- proxy  BYE fwd
        ",
    );
    assert_eq!(field(&steps[1], "Via")[1..], field(&steps[0], "Via")[..]);
    assert_ne!(branch(&steps[1]), branch(&steps[2]));
    assert_eq!(field(&steps[4], "Via"), field(&steps[0], "Via"));
    assert_eq!(field(&steps[4], "To"), field(&steps[3], "To"), "the tag is bob's, not the proxy's");
    assert_eq!(field(&steps[6], "Via"), field(&steps[0], "Via"));
    assert_eq!(field(&steps[6], "To"), ["<sip:proxy@example.com>;tag=carol-tag"]);
    assert_eq!(field(&steps[6], "Session-Expires"), ["90"]);
    assert_eq!(field(&steps[7], "Via"), [field(&steps[1], "Via")[0]], "a CANCEL has the Via of its hop alone");
    assert_eq!(field(&steps[8], "From"), ["<sip:proxy@example.com>;tag=carol-tag"]);
    assert_eq!(field(&steps[9], "Via").len(), 2);
}

#[test]
fn a_via_stack_refers_to_what_was_sent() {
    let steps = play("0 alice -> proxy INVITE\n1 proxy -> bob INVITE via=proxy,alice cseq=1 branch=z9hG4bKx");
    assert_eq!(field(&steps[1], "Via")[1], field(&steps[0], "Via")[0]);
    assert_eq!(branch(&steps[1]), "z9hG4bKx");
    let steps = play("0 proxy -> bob INVITE via=proxy,alice/old branch=-");
    assert_eq!(field(&steps[0], "Via"), ["SIP/2.0/UDP 203.0.113.5:5060", "SIP/2.0/UDP 192.0.2.10:5060;branch=old"]);
}

#[test]
fn repeats_are_byte_identical() {
    let steps = play(
        "0 alice -> bob INVITE\n0.5 alice -> bob INVITE again\n0.5 dave -> bob INVITE copy\n1 alice <- bob 200\n2 alice <- bob 200 again",
    );
    assert_eq!(steps[0].bytes, steps[1].bytes);
    assert_eq!(steps[0].bytes, steps[2].bytes);
    assert_eq!(steps[2].source, endpoint::address("dave"));
    assert_eq!(steps[3].bytes, steps[4].bytes);
}

#[test]
fn a_fork_answers_with_several_tags() {
    let steps =
        play("0 alice -> bob INVITE\n1 alice <- bob 200 tag=b1\n2 alice <- bob 200 tag=b2\n3 alice -> bob ACK ttag=b1");
    assert_eq!(field(&steps[2], "To"), ["<sip:bob@example.com>;tag=b2"]);
    assert_eq!(field(&steps[2], "CSeq"), ["1 INVITE"]);
    assert_eq!(field(&steps[3], "To"), ["<sip:bob@example.com>;tag=b1"]);
}

#[test]
fn a_registration_is_echoed_by_the_registrar() {
    let steps = play(
        "
        0  alice -> registrar  REGISTER
        1  alice <- registrar  401
        2  alice -> registrar  REGISTER expires=60
        3  alice <- registrar  200
        4  alice -> registrar  REGISTER contact=* expires=0
        5  alice <- registrar  200
        ",
    );
    assert_eq!(field(&steps[2], "CSeq"), ["2 REGISTER"]);
    assert_eq!(field(&steps[2], "To"), ["<sip:alice@example.com>"]);
    assert_eq!(field(&steps[3], "Contact"), ["<sip:alice@192.0.2.10:5060>;expires=60"]);
    assert_eq!(field(&steps[4], "Contact"), ["*"]);
    assert!(field(&steps[5], "Contact").is_empty());
}

#[test]
fn a_capture_may_begin_in_mid_call() {
    let steps =
        play("0 alice -> bob INVITE ttag=b1 cseq=7\n1 alice <- bob 200\n2 alice -> bob ACK\n3 alice <- bob BYE");
    assert_eq!(field(&steps[1], "To"), ["<sip:bob@example.com>;tag=b1"]);
    assert_eq!(field(&steps[2], "CSeq"), ["7 ACK"]);
    assert_eq!(field(&steps[3], "From"), ["<sip:bob@example.com>;tag=b1"]);
    let steps = play("0 alice <- bob 200 of=BYE");
    assert_eq!(field(&steps[0], "CSeq"), ["1 BYE"]);
}

#[test]
fn a_prack_acknowledges_the_last_rseq() {
    let steps = play(
        "0 alice -> bob INVITE\n1 alice <- bob 183 rseq=9\n2 alice -> bob PRACK\n3 alice <- bob 200\n4 alice <- bob 200",
    );
    assert_eq!(field(&steps[2], "RAck"), ["9 1 INVITE"]);
    assert_eq!(field(&steps[2], "CSeq"), ["2 PRACK"]);
    assert_eq!(field(&steps[3], "CSeq"), ["2 PRACK"]);
    assert_eq!(field(&steps[4], "CSeq"), ["1 INVITE"]);
}

#[test]
fn calls_do_not_share_state() {
    let steps = play("0 alice -> bob INVITE call=a\n0 alice -> bob INVITE call=b");
    assert_eq!(field(&steps[1], "Call-ID"), ["b"]);
    assert_eq!(field(&steps[1], "CSeq"), ["1 INVITE"]);
    assert_ne!(branch(&steps[0]), branch(&steps[1]));
}

#[test]
fn anything_can_be_sent_raw() {
    let steps = play(
        "0 alice -> bob raw=\"\\x80\\xff a\\r\\n\"\n1 alice@[2001:db8::1]:5070 -> bob@[2001:db8::2]:5060 crlf\n2 alice -> bob OPTIONS sdp",
    );
    assert_eq!(steps[0].bytes, b"\x80\xff a\r\n");
    assert_eq!(steps[1].bytes, b"\r\n\r\n");
    assert_eq!(steps[2].source.to_string(), "[2001:db8::1]:5070", "a name keeps its address");
    assert!(text(&steps[2]).contains("c=IN IP6 2001:db8::1\r\n"));
}

#[test]
fn a_wrong_line_is_named() {
    let message = |text: &'static str| {
        let panic = std::panic::catch_unwind(|| play(text)).expect_err("must not be accepted");
        panic.downcast::<String>().expect("a panic with text")
    };
    assert!(message("\n0 alice -> bob INVITE agian").starts_with("ladder line 2: unknown word \"agian\""));
    assert!(message("0 alice => bob INVITE").contains("neither -> nor <-"));
    assert!(message("x alice -> bob INVITE").contains("no time"));
    assert!(message("0 alice -> bob INVITE again").contains("nothing to repeat"));
    assert!(message("0 alice -> bob INVITE hdr=\"X").contains("not closed"));
}

#[test]
fn a_capture_file_holds_every_step_with_its_time() {
    let steps = play("0.25 alice -> bob OPTIONS\n1 a@[2001:db8::1]:5060 -> b@[2001:db8::2]:5060 OPTIONS call=2");
    let file = pcap::write(&steps, Duration::from_secs(1_767_225_600));
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((u32_at(0), u32_at(20)), (0xa1b2_3c4d, 1));
    assert_eq!((u32_at(24), u32_at(28)), (1_767_225_600, 250_000_000));
    let first = u32_at(32) as usize;
    assert_eq!(&file[40 + 14 + 28..40 + first], &steps[0].bytes[..]);
    let second = 40 + first;
    assert_eq!(file[second + 16 + 12..second + 16 + 14], [0x86, 0xdd]);
    assert!(file.ends_with(&steps[1].bytes));
}
