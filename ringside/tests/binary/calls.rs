//! `calls` and `ladder`: what they print of capture files, and when there is nothing to print.

use std::fs;
use std::process::Stdio;

use crate::program::{EPOCH, Folder, Outcome, command, run};

/// Answered, busy, overloaded, a BYE nobody answers, and one that goes on.
const CALLS: &str = "
     0.000  alice -> bob  INVITE sdp from=sip:+4930123456@example.org to=sip:2002@example.org
     0.500  alice <- bob  180
     4.000  alice <- bob  200 sdp
     4.010  alice -> bob  ACK
     5.000  carol -> bob  INVITE call=busy from=sip:1001@example.org to=sip:2003@example.org
     5.200  carol <- bob  486 call=busy
     5.210  carol -> bob  ACK call=busy
     6.000  carol -> bob  INVITE call=overloaded from=sip:1001@example.org to=sip:2004@example.org
     6.500  carol -> bob  INVITE call=overloaded again
     6.600  carol <- bob  503 call=overloaded
     6.610  carol -> bob  ACK call=overloaded
     8.000  carol -> bob  INVITE call=unheard from=sip:1001@example.org to=sip:2005@example.org
     8.900  carol <- bob  200 call=unheard
     8.910  carol -> bob  ACK call=unheard
    10.000  carol -> bob  BYE call=unheard
    64.000  alice -> bob  BYE
    64.020  alice <- bob  200
    99.000  carol -> bob  INVITE call=up from=sip:1001@example.org to=sip:2006@example.org
    99.100  carol <- bob  180 call=up
";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("calls.pcap", ladder::pcap::write(&ladder::play(CALLS), EPOCH));
    folder
}

/// What is printed where no terminal and no environment says how.
pub fn printed(folder: &Folder, arguments: &[&str]) -> Outcome {
    let mut command = command(folder.path(), arguments);
    for variable in ["COLUMNS", "LC_ALL", "LC_CTYPE", "LANG"] {
        command.env_remove(variable);
    }
    command.env("TZ", "UTC0");
    crate::program::outcome(command)
}

pub fn objects(outcome: &Outcome) -> Vec<serde_json::Value> {
    outcome.stdout.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

fn listed(folder: &Folder, arguments: &[&str]) -> Vec<String> {
    let outcome = printed(folder, &[&["calls", "calls.pcap", "--format", "json"], arguments].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    objects(&outcome).iter().map(|call| call["call_id"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn calls_are_listed_the_newest_last() {
    let folder = folder();
    assert_eq!(listed(&folder, &[]), ["call-1", "busy", "overloaded", "unheard", "up"]);
    let outcome = printed(&folder, &["calls", "calls.pcap"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 6, "{}", outcome.stdout);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        words(lines[1])[..9],
        ["2026-01-01", "00:00:00", "+4930123456", "2002", "200", "answered", "0.500", "3.500", "1:00"]
    );
    assert!(lines[5].contains("in_progress") && lines[5].ends_with("  up"), "{}", lines[5]);
}

#[test]
fn failed_calls_are_those_that_are_errors_and_those_nobody_heard_hang_up() {
    assert_eq!(listed(&folder(), &["--failed"]), ["overloaded", "unheard"]);
}

/// The vector has three calls with media: one that is heard one way, one on hold, one that falls silent.
#[test]
fn poor_calls_are_those_whose_media_have_a_fault_or_sounded_poor() {
    let vector = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/media-vectors/P23.pcap");
    let vector = vector.display().to_string();
    let outcome = printed(&folder(), &["calls", &vector, "--poor", "--format", "json"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let calls = objects(&outcome);
    let ids: Vec<_> = calls.iter().map(|call| call["call_id"].as_str().expect("text")).collect();
    assert_eq!(ids, ["p23-c1@192.0.2.10", "p23-c3@192.0.2.10"]);
    assert_eq!(calls[0]["media"]["faults"][0]["fault"], "one_way");
    let table = printed(&folder(), &["calls", &vector, "--poor"]).stdout;
    let mos = |line: &str| line.split_whitespace().rev().nth(1).map(str::to_owned);
    assert_eq!(table.lines().map(mos).collect::<Vec<_>>(), ["MOS", "4.37!", "4.37!"].map(|text| Some(text.to_owned())));
    let ladder = printed(&folder(), &["ladder", &vector, "--call-id", "p23-c1@192.0.2.10"]).stdout;
    assert!(ladder.contains("heard     callee PCMU: 350 packets, 0.0 % lost, 0.0 ms jitter, MOS 4.37\n"), "{ladder}");
    assert!(ladder.contains("faults    one_way (callee_only)\n"), "{ladder}");
    let plain = printed(&folder(), &["calls", &vector, "--format", "json"]);
    assert!(objects(&plain).iter().all(|call| call.get("media").is_none()), "nobody listened");
}

#[test]
fn calls_are_the_objects_that_replay_writes() {
    let folder = folder();
    assert_eq!(run(folder.path(), &["replay", "calls.pcap", "--calls", "out.json"]).code, 0);
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let written = fs::read_to_string(folder.path().join("out.json")).expect("it was written");
    let listed = printed(&folder, &["calls", "calls.pcap", "--format", "json"]);
    assert_eq!(sorted(&written), sorted(&listed.stdout));
}

#[test]
fn a_ladder_is_drawn_in_80_columns_of_ascii_where_nothing_says_otherwise() {
    let outcome = printed(&folder(), &["ladder", "calls.pcap", "--call-id", "overloaded"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert!(outcome.stdout.is_ascii() && outcome.stdout.lines().all(|line| line.len() <= 80), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("overloaded\n") && outcome.stdout.contains("ineffective (503)"));
    assert!(outcome.stdout.contains("INVITE x2"), "{}", outcome.stdout);
}

#[test]
fn without_a_call_id_all_ladders_are_drawn_the_newest_last() {
    let outcome = printed(&folder(), &["ladder", "calls.pcap"]);
    let heads: Vec<_> = outcome.stdout.lines().filter(|line| line.starts_with("Call-ID")).collect();
    assert_eq!(heads.len(), 5, "{}", outcome.stdout);
    assert_eq!((heads[0], heads[4]), ("Call-ID   call-1", "Call-ID   up"));
}

#[test]
fn one_diagram_stands_alone_and_several_are_a_document() {
    let folder = folder();
    let one = printed(&folder, &["ladder", "calls.pcap", "--call-id", "busy", "--format", "mermaid"]);
    assert!(one.stdout.starts_with("sequenceDiagram\n"), "{}", one.stdout);
    let all = printed(&folder, &["ladder", "calls.pcap", "--format", "mermaid"]);
    assert_eq!(all.stdout.matches("```mermaid\nsequenceDiagram\n").count(), 5, "{}", all.stdout);
}

#[test]
fn a_ladder_as_json_has_the_call_object_its_endpoints_and_messages() {
    let outcome = printed(&folder(), &["ladder", "calls.pcap", "--call-id", "busy", "--format", "json"]);
    let calls = objects(&outcome);
    assert_eq!((calls.len(), &calls[0]["outcome"]), (1, &"busy".into()));
    assert_eq!(calls[0]["endpoints"], serde_json::json!(["198.51.100.30:5060", "198.51.100.20:5060"]));
    let statuses: Vec<_> = calls[0]["ladder"].as_array().expect("a list").iter().map(|step| &step["status"]).collect();
    assert_eq!(statuses, [&serde_json::Value::Null, &486.into(), &serde_json::Value::Null]);
}

#[test]
fn calls_are_found_by_the_end_of_a_number() {
    let folder = folder();
    assert_eq!(listed(&folder, &["--number", "123456"]), ["call-1"]);
    assert_eq!(listed(&folder, &["--number", "2003"]), ["busy"]);
    assert_eq!(listed(&folder, &["--number", "1001", "--failed"]), ["overloaded", "unheard"]);
}

#[test]
fn one_filter_picks_the_same_calls_for_every_command() {
    let folder = folder();
    for (filter, expected) in [
        ("outcome == busy", &["busy"][..]),
        ("status >= 500 and destination == 198.51.100.0/24", &["overloaded"]),
        ("from ~ \"1001\" and failed", &["overloaded", "unheard"]),
        ("live", &["up"]),
        ("not failed and outcome != busy and not live", &["call-1"]),
        ("header:call-id == overloaded", &["overloaded"]),
    ] {
        let mut sorted = listed(&folder, &["--filter", filter]);
        sorted.sort();
        assert_eq!(sorted, expected, "{filter}");
        let ladders = printed(&folder, &["ladder", "calls.pcap", "--filter", filter, "--format", "json"]);
        let ids = |text: &str| {
            let object = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("an object");
            let id = |line: &str| object(line)["call_id"].as_str().expect("a text").to_owned();
            let mut ids: Vec<String> = text.lines().map(id).collect();
            ids.sort();
            ids
        };
        assert_eq!(ids(&ladders.stdout), expected, "{filter}");
        assert_eq!(run(folder.path(), &["replay", "calls.pcap", "--calls", "out.json", "--filter", filter]).code, 0);
        let written = fs::read_to_string(folder.path().join("out.json")).expect("it was written");
        assert_eq!(ids(&written), expected, "{filter}");
    }
}

#[test]
fn what_is_no_call_is_listed_and_drawn_when_asked_for() {
    let folder = folder();
    let flow = "0.00 alice -> bob REGISTER call=phone cseq=1 branch=z9hG4bK1
        0.01 alice <- bob 401 call=phone
        0.02 alice -> bob REGISTER call=phone cseq=2 branch=z9hG4bK2
        0.03 alice <- bob 403 call=phone
        1.00 alice -> bob OPTIONS call=o1 branch=z9hG4bK3
        1.01 alice <- bob 200 call=o1
        31.0 alice -> bob OPTIONS call=o2 branch=z9hG4bK4
        31.1 alice <- bob 200 call=o2";
    folder.write("phone.pcap", ladder::pcap::write(&ladder::play(flow), EPOCH));
    let listed = |arguments: &[&str]| {
        let outcome = printed(&folder, &[&["calls", "phone.pcap", "--format", "json"], arguments].concat());
        let row = |object: &serde_json::Value| {
            let text = |key: &str| object[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {}", text("method"), text("outcome"), object["status"], object["times"])
        };
        objects(&outcome).iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--all"]), ["REGISTER failure 403 null", "OPTIONS success 200 2"]);
    assert_eq!(listed(&["--all", "--filter", "status >= 400"]), ["REGISTER failure 403 null"]);
    assert_eq!(listed(&["--all", "--failed"]), ["REGISTER failure 403 null"]);
    let alone = printed(&folder, &["calls", "phone.pcap"]);
    assert_eq!(alone.code, 1);
    assert!(alone.stderr.contains("--all lists other requests"), "{}", alone.stderr);
    let drawn = printed(&folder, &["ladder", "phone.pcap", "--call-id", "phone"]);
    for part in ["REGISTER", "401", "403", "failure (403)"] {
        assert!(drawn.stdout.contains(part), "{part} in {}", drawn.stdout);
    }
}

#[test]
fn columns_order_and_period_are_of_ones_choice() {
    let folder = folder();
    let with = |arguments: &[&str]| printed(&folder, &[&["calls", "calls.pcap"], arguments].concat());
    let csv = with(&["--format", "csv", "--columns", "call_id,status,header:CSeq", "--sort", "-status"]);
    let lines: Vec<_> = csv.stdout.lines().collect();
    assert_eq!(lines[0], "call_id,status,header:CSeq");
    assert_eq!(lines[1].split(',').take(2).collect::<Vec<_>>(), ["overloaded", "503"]);
    assert_eq!(lines[2].split(',').take(2).collect::<Vec<_>>(), ["busy", "486"]);
    assert!(lines[5].starts_with("up,,"), "what has none comes last: {}", csv.stdout);
    let up: Vec<_> = with(&["--columns", "call_id", "--sort", "status"]).stdout.lines().map(str::to_owned).collect();
    assert_eq!((up[0].as_str(), up[3].as_str(), up[4].as_str()), ("call_id", "busy", "overloaded"));
    assert!(up.iter().all(|line| !line.contains(' ')), "{up:?}");
    let usual = with(&["--format", "csv"]).stdout;
    assert!(usual.starts_with("start,method,from,to,"), "{usual}");
    assert!(usual.contains(",'+4930123456,"), "a number is no formula: {usual}");
    let all = with(&["--since", "2026-01-01", "--until", "2026-01-02T00:00:00Z"]);
    assert_eq!((all.code, all.stdout.lines().count()), (0, 6), "{}", all.stderr);
    assert_eq!(with(&["--since", "2026-01-02"]).code, 1);
    assert_eq!(with(&["--until", "2026-01-01T00:00:00Z"]).code, 1);
    for wrong in [
        &["--since", "yesterday"][..],
        &["--columns", "who"],
        &["--sort", "x"],
        &["--columns", "to", "--format", "json"],
    ] {
        assert_eq!(with(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_filter_that_cannot_be_read_is_shown_with_the_place() {
    let outcome = printed(&folder(), &["calls", "calls.pcap", "--filter", "outcome == busy and setup > 3"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
    let pointed = "outcome == busy and setup > 3\n                            ^ \"3\" is no duration\n";
    assert!(outcome.stderr.contains(pointed), "{}", outcome.stderr);
}

#[test]
fn numbers_are_plain_unless_a_configuration_says_otherwise() {
    let folder = folder();
    let hidden = printed(&folder, &["calls", "calls.pcap", "--set", "processors.dialog.calls.privacy.numbers=drop"]);
    assert!(!hidden.stdout.contains("4930123456") && hidden.stdout.contains("  -  "), "{}", hidden.stdout);
    let hidden = printed(&folder, &["ladder", "calls.pcap", "--set", "processors.dialog.calls.privacy.numbers=mask"]);
    assert!(!hidden.stdout.contains("4930123456") && hidden.stdout.contains("+4930******"), "{}", hidden.stdout);
}

#[test]
fn what_matches_nothing_ends_with_1_and_a_line() {
    let folder = folder();
    folder.write("none.pcap", ladder::pcap::write(&ladder::play("0 alice -> bob OPTIONS"), EPOCH));
    for arguments in [
        &["calls", "calls.pcap", "--number", "999"][..],
        &["calls", "calls.pcap", "--number", "2002", "--failed"],
        &["calls", "calls.pcap", "--filter", "outcome == redirected"],
        &["ladder", "calls.pcap", "--filter", "outcome == redirected"],
        &["calls", "none.pcap"],
        &["calls", "none.pcap", "--format", "json"],
        &["ladder", "calls.pcap", "--call-id", "another"],
        &["ladder", "none.pcap"],
    ] {
        let outcome = printed(&folder, arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(outcome.stderr.starts_with("ringside: no call "), "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    }
}

#[test]
fn captures_are_read_as_replay_reads_them() {
    let folder = folder();
    let input = fs::File::open(folder.path().join("calls.pcap")).expect("it was written");
    let output = command(folder.path(), &["calls", "-", "--format", "json"]).stdin(Stdio::from(input)).output();
    let output = output.expect("the binary was built");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 5);

    let bytes = fs::read(folder.path().join("calls.pcap")).expect("it was written");
    folder.write("cut.pcap", &bytes[..bytes.len() - 10]);
    let cut = printed(&folder, &["calls", "cut.pcap"]);
    assert_eq!((cut.code, cut.stderr.lines().count()), (0, 1), "{}", cut.stderr);
    assert_eq!(cut.stdout.lines().count(), 6);

    folder.write("text.pcap", "no capture");
    assert_eq!(printed(&folder, &["ladder", "text.pcap"]).code, 1);
    let elsewhere = printed(&folder, &["calls", "calls.pcap", "--ports", "5080"]);
    assert_eq!(elsewhere.code, 1);
    assert!(elsewhere.stderr.contains("try --ports 5060"), "{}", elsewhere.stderr);
    assert_eq!(printed(&folder, &["calls", "calls.pcap", "--number", ""]).code, 2);
}

#[test]
fn the_packets_of_a_call_are_cut_out_as_they_were() {
    let folder = folder();
    let extract =
        |arguments: &[&str]| printed(&folder, &[&["extract", "calls.pcap", "-o", "out.pcapng"], arguments].concat());
    let cut = extract(&["--filter", "outcome == busy"]);
    assert_eq!((cut.code, cut.stdout.as_str()), (0, ""), "{}", cut.stderr);
    let objects_of =
        |file: &str| objects(&printed(&folder, &["ladder", file, "--format", "json", "--call-id", "busy"]));
    assert_eq!(objects_of("out.pcapng"), objects_of("calls.pcap"), "the same call, with the same times");
    let all = printed(&folder, &["calls", "out.pcapng", "--all", "--format", "json"]);
    assert_eq!(objects(&all).len(), 1, "and nothing else");
    // A call over TCP among others on one connection, in tunnels, in fragments: what our own captures hold.
    let testdata = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/captures");
    let mut seen = 0;
    for file in fs::read_dir(&testdata).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let file = file.display().to_string();
        let listed = printed(&folder, &["calls", &file, "--all", "--format", "json"]);
        if listed.code != 0 {
            continue;
        }
        for call in objects(&listed).iter().take(2) {
            let id = call["call_id"].as_str().expect("a text");
            let cut = printed(&folder, &["extract", &file, "-o", "one.pcapng", "--call-id", id]);
            assert_eq!(cut.code, 0, "{file}: {}", cut.stderr);
            // Where nothing more comes, a wait is not over.
            let messages = |file: &str| {
                let drawn = objects(&printed(&folder, &["ladder", file, "--format", "json", "--call-id", id]));
                drawn.iter().map(|call| call["ladder"].clone()).collect::<Vec<_>>()
            };
            assert_eq!(messages("one.pcapng"), messages(&file), "{file}: {id}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen} calls");
}

#[test]
fn each_keep_alive_is_cut_out_although_they_are_one_row() {
    let folder = Folder::new();
    let pings = "0 alice -> bob OPTIONS call=one\n1 alice <- bob 200 call=one\n9 alice -> bob OPTIONS call=two\n9.1 alice <- bob 200 call=two\n";
    folder.write("calls.pcap", ladder::pcap::write(&ladder::play(pings), EPOCH));
    assert_eq!(printed(&folder, &["extract", "calls.pcap", "--all", "-o", "out.pcapng"]).code, 0);
    let rows = |file: &str| printed(&folder, &["calls", file, "--all"]).stdout;
    assert!(rows("calls.pcap").contains("OPTIONS x2"), "{}", rows("calls.pcap"));
    assert_eq!(rows("out.pcapng"), rows("calls.pcap"));
}

/// A balancer that rewrites addresses and adds no Via: what passes it is seen on either side of it.
#[test]
fn a_balancer_without_a_via_has_a_column_of_its_own() {
    let folder = Folder::new();
    let text = "0 alice -> bob INVITE\n0.5 alice <- bob 180\n1 alice <- bob 200\n1.1 alice -> bob ACK\n9 alice -> bob BYE\n9.1 alice <- bob 200\n";
    let backend: std::net::SocketAddr = "10.0.0.9:5060".parse().expect("an address");
    let mut steps = Vec::new();
    for step in ladder::play(text) {
        let mut behind = ladder::Step { at: step.at + std::time::Duration::from_millis(1), ..step.clone() };
        let is_request = !step.bytes.starts_with(b"SIP/2.0");
        *if is_request { &mut behind.destination } else { &mut behind.source } = backend;
        steps.extend([step.clone(), behind]);
        if is_request && step.at.is_zero() {
            // And again, on both sides.
            let again = steps.clone();
            let later = std::time::Duration::from_millis(100);
            steps.extend(again.into_iter().map(|step| ladder::Step { at: step.at + later, ..step }));
        }
    }
    folder.write("calls.pcap", ladder::pcap::write(&steps, EPOCH));
    let drawn = &objects(&printed(&folder, &["ladder", "calls.pcap", "--format", "json"]))[0];
    assert_eq!(drawn["endpoints"].as_array().map(Vec::len), Some(3), "{drawn}");
    let copies = drawn["ladder"].as_array().expect("a list").iter().filter(|message| message["copy"] == true);
    let copies: Vec<String> = copies.map(|copy| format!("{} {}", copy["method"], copy["retransmissions"])).collect();
    let expected = ["INVITE 1", "INVITE 0", "INVITE 0", "ACK 0", "BYE 0", "BYE 0"];
    assert_eq!(copies.iter().map(|copy| copy.replace('"', "")).collect::<Vec<_>>(), expected);
    assert_eq!((drawn["retransmissions"].as_u64(), drawn["messages"].as_u64()), (Some(1), Some(14)));
    let text = printed(&folder, &["ladder", "calls.pcap"]).stdout;
    assert!(text.contains("10.0.0.9:5060"), "{text}");
}

#[test]
fn what_cannot_be_cut_out_is_said_and_nothing_is_written() {
    let folder = folder();
    let extract = |arguments: &[&str]| printed(&folder, &[&["extract"], arguments].concat());
    assert_eq!(extract(&["calls.pcap", "-o", "out.pcapng", "--call-id", "nobody"]).code, 1);
    assert!(!folder.path().join("out.pcapng").exists());
    assert_eq!(extract(&["calls.pcap", "-o", "calls.pcap"]).code, 2);
    assert_eq!(extract(&["-", "-o", "out.pcapng"]).code, 2);
    assert_eq!(extract(&["calls.pcap"]).code, 2);
    let nowhere = extract(&["calls.pcap", "-o", "no/such/folder/out.pcapng"]);
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.stderr.contains("see whether its folder exists"), "{}", nowhere.stderr);
}

/// A challenge and its answer, the second with credentials.
const CHALLENGED: &str = "
    0.000 alice -> bob INVITE sdp
    0.500 alice -> bob INVITE again
    0.510 alice <- bob 407
    0.520 alice -> bob ACK
    0.530 alice -> bob INVITE sdp hdr=\"Authorization: Digest username=\\\"alice\\\", response=\\\"758724523\\\"\"
    0.700 alice <- bob 486
    0.710 alice -> bob ACK
";

fn challenged() -> Folder {
    let folder = Folder::new();
    folder.write("calls.pcap", ladder::pcap::write(&ladder::play(CHALLENGED), EPOCH));
    folder
}

#[test]
fn messages_stand_below_the_ladder_without_their_credentials() {
    let folder = challenged();
    let raw = printed(&folder, &["ladder", "calls.pcap", "--raw"]);
    assert_eq!((raw.code, raw.stderr.as_str()), (0, ""));
    for line in [
        "1 of 6  00:00:00.000  192.0.2.10:5060 > 198.51.100.20:5060  INVITE (SDP) x2",
        "sent again  +0.500 s",
        "media       audio 192.0.2.10:40000 PCMU",
        "INVITE sip:bob@198.51.100.20:5060 SIP/2.0",
        "m=audio 40000 RTP/AVP 0",
        "repeats     message 1, sent again with credentials",
        "+ Authorization: Digest username=\"alice\", response=***",
    ] {
        assert!(raw.stdout.lines().any(|printed| printed == line), "no {line:?} in\n{}", raw.stdout);
    }
    assert!(!raw.stdout.contains("758724523"));
    let headers = printed(&folder, &["ladder", "calls.pcap", "--headers"]).stdout;
    assert!(headers.contains("\nCall-ID: call-1\n") && headers.contains("media ") && !headers.contains("m=audio"));
    let plain = printed(&folder, &["ladder", "calls.pcap"]).stdout;
    assert!(raw.stdout.starts_with(&plain) && headers.starts_with(&plain));
}

#[test]
fn messages_are_part_of_the_object_where_they_were_asked_for() {
    let folder = challenged();
    let steps = |more: &str| {
        let outcome = printed(&folder, &["ladder", "calls.pcap", "--format", "json", more]);
        objects(&outcome)[0]["ladder"].as_array().expect("a list").clone()
    };
    let raw = steps("--raw");
    assert_eq!(raw[0]["again"], serde_json::json!([0.5]));
    assert_eq!(raw[0]["media"][0]["codecs"], serde_json::json!(["PCMU"]));
    assert_eq!((&raw[3]["repeats"]["message"], &raw[3]["repeats"]["way"]), (&0.into(), &"credentials".into()));
    assert!(raw[0]["raw"].as_str().is_some_and(|text| text.contains("\n\nv=0\n")));
    let headers = steps("--headers");
    assert!(headers[0]["raw"].is_null() && headers[0]["headers"].is_array() && headers[0]["media"].is_array());
    assert!(steps("--all")[0]["headers"].is_null());
}

#[test]
fn with_any_port_sip_is_found_wherever_it_is() {
    let flow = "
        0.0 alice@192.0.2.10:7777 -> bob@198.51.100.20:8888 INVITE call=odd
        0.1 alice <- bob 486 call=odd
        0.2 alice -> bob ACK call=odd
        1.0 carol -> dave INVITE call=usual
        1.1 carol <- dave 486 call=usual
        1.2 carol -> dave ACK call=usual
    ";
    let folder = Folder::new();
    folder.write("calls.pcap", ladder::pcap::write(&ladder::play(flow), EPOCH));
    let listed = |ports: &[&str]| {
        let outcome = printed(&folder, &[&["calls", "calls.pcap", "--format", "json"], ports].concat());
        let ids = objects(&outcome).iter().map(|call| call["call_id"].as_str().expect("text").to_owned()).collect();
        (ids, outcome.stderr.is_empty())
    };
    let odd_and_usual: Vec<String> = vec!["odd".to_owned(), "usual".to_owned()];
    assert_eq!(listed(&[]), (odd_and_usual[1..].to_vec(), false));
    assert_eq!(listed(&["--ports", "any"]), (odd_and_usual.clone(), true));
    assert_eq!(listed(&["--ports", "8888,5060"]), (odd_and_usual, true));
    let pipe = printed(&folder, &["calls", "-", "--ports", "any"]);
    assert_eq!((pipe.code, pipe.stderr.contains("which a pipe cannot be")), (2, true), "{}", pipe.stderr);
    let wrong = printed(&folder, &["calls", "calls.pcap", "--ports", "all"]);
    assert_eq!((wrong.code, wrong.stderr.contains("or any")), (2, true), "{}", wrong.stderr);
}

#[test]
fn times_are_those_of_the_zone_unless_utc_is_asked_for() {
    let folder = folder();
    let at = |zone: &str, arguments: &[&str]| {
        let mut command = command(folder.path(), arguments);
        command.env("TZ", zone).env("COLUMNS", "200");
        crate::program::outcome(command).stdout
    };
    let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
    let listed = at(berlin, &["calls", "calls.pcap"]);
    assert!(listed.starts_with("time (local)  ") && listed.contains("\n2026-01-01 01:00:05 "), "{listed}");
    let listed = at(berlin, &["calls", "calls.pcap", "--utc"]);
    assert!(listed.starts_with("time (UTC)  ") && listed.contains("\n2026-01-01 00:00:05 "), "{listed}");
    let drawn = at(berlin, &["ladder", "calls.pcap", "--call-id", "busy"]);
    assert!(drawn.contains("2026-01-01 01:00:05.000 +01:00") && drawn.contains("\n01:00:05.200"), "{drawn}");
    assert_eq!(
        at(berlin, &["calls", "calls.pcap", "--format", "json"]),
        at("UTC0", &["calls", "calls.pcap", "--format", "json"])
    );
}

#[test]
fn several_calls_are_one_ladder() {
    let folder = folder();
    let drawn = printed(&folder, &["ladder", "calls.pcap", "--call-id", "busy", "--call-id", "call-1"]);
    assert_eq!((drawn.code, drawn.stderr.as_str()), (0, ""));
    assert_eq!(drawn.stdout.lines().next(), Some("Call-ID   call-1, busy"));
    let of = |text: &str| drawn.stdout.lines().position(|line| line.contains(text)).expect("it is there");
    // In order of time: the call that is busy began within the other one.
    assert!(of("00:00:04.010") < of("486 Busy Here") && of("486 Busy Here") < of("00:01:04.000"), "{}", drawn.stdout);
    let outcome =
        printed(&folder, &["ladder", "calls.pcap", "--call-id", "busy", "--call-id", "call-1", "--format", "json"]);
    let joined = &objects(&outcome)[0];
    assert_eq!((joined["ladder"].as_array().map(Vec::len), joined["messages"].as_u64()), (Some(9), Some(9)));
}

#[test]
fn who_hides_numbers_sees_no_messages() {
    let folder = challenged();
    let arguments = ["ladder", "calls.pcap", "--raw", "--set", "processors.dialog.calls.privacy.numbers=mask"];
    let outcome = printed(&folder, &arguments);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
    assert!(
        outcome.stderr.contains("set calls.privacy.numbers = \"plain\", or calls.raw = \"off\""),
        "{}",
        outcome.stderr
    );
}

#[test]
fn messages_that_could_not_be_read_are_told_and_shown() {
    let broken = "
        1.0 alice -> bob raw=\"INVITE sip:bob:secret@example.org SIP/2.0\\r\\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\\r\\n\\r\\n\"
        2.0 carol -> bob raw=\"HELLO sip:bob SIP/2.0 \\x1b[2J\\r\\nVia: x\\r\\n\\r\\n\"
        3.0 alice -> bob OPTIONS call=ping
    ";
    let folder = Folder::new();
    folder.write("calls.pcap", ladder::pcap::write(&ladder::play(broken), EPOCH));
    let listed = printed(&folder, &["calls", "calls.pcap", "--all"]);
    let remark = "2 messages could not be read, the last (start_line) from 198.51.100.30:5060: \
                  `ringside calls --refused` shows the newest";
    assert_eq!((listed.code, listed.stderr.trim_start_matches("ringside: ").trim_end()), (0, remark));
    let shown = printed(&folder, &["calls", "calls.pcap", "--refused", "--format", "json"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    let shown = objects(&shown);
    let of = |at: usize| (shown[at]["reason"].as_str().expect("text"), shown[at]["line"].as_str().expect("text"));
    assert_eq!(of(0), ("missing_header", "INVITE sip:bob:***@example.org SIP/2.0"));
    assert_eq!(of(1), ("start_line", "HELLO sip:bob SIP/2.0 \\u{1b}[2J"));
    let table = printed(&folder, &["calls", "calls.pcap", "--refused"]).stdout;
    assert!(table.starts_with("time ") && table.contains(" missing_header  INVITE sip:"), "{table}");
}

#[test]
fn where_every_message_could_be_read_there_is_none_to_show() {
    let outcome = printed(&folder(), &["calls", "calls.pcap", "--refused"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
}

/// Somebody goes on repeating a response after a call; another one uses a Call-ID again, whose messages are not late.
#[test]
fn what_came_after_a_call_was_over_is_told() {
    const CALLS: &str = "
        0.000 alice -> bob INVITE sdp
        1.000 alice <- bob 200 sdp
        1.010 alice -> bob ACK
        9.000 alice -> bob BYE
        9.020 alice <- bob 200
        9.520 alice <- bob 200
        20.000 alice <- bob 200
        24.000 alice <- bob 200
        40.000 carol -> bob INVITE call=busy
        40.200 carol <- bob 486 call=busy
        40.210 carol -> bob ACK call=busy
        60.000 carol -> bob INVITE call=busy
        60.200 carol <- bob 486 call=busy
        60.210 carol -> bob ACK call=busy
    ";
    let folder = Folder::new();
    folder.write("calls.pcap", ladder::pcap::write(&ladder::play(CALLS), EPOCH));
    let drawn = printed(&folder, &["ladder", "calls.pcap"]);
    let later: Vec<&str> = drawn.stdout.lines().filter(|line| line.contains("later message")).collect();
    assert_eq!(later, ["2 later messages, the last 14.5 s after the call was over"], "{}", drawn.stdout);
    let diagrams = printed(&folder, &["ladder", "calls.pcap", "--format", "mermaid"]).stdout;
    let notes: Vec<&str> = diagrams.lines().filter(|line| line.contains("later message")).collect();
    let note = "    Note over E0,E1: 2 later messages, the last 14.5 s after the call was over";
    assert_eq!(notes, [note], "{diagrams}");
    let objects = objects(&printed(&folder, &["ladder", "calls.pcap", "--format", "json"]));
    let told: Vec<_> =
        objects.iter().map(|call| (call["messages"].as_u64(), call["later_messages"].as_u64())).collect();
    assert_eq!(told, [(Some(6), Some(2)), (Some(3), None), (Some(3), None)]);
    let listed = printed(&folder, &["calls", "calls.pcap"]);
    let remark = "ringside: 2 messages came after a call had been over: `ringside ladder` tells whose\n";
    assert!(listed.stderr.ends_with(remark), "{}", listed.stderr);
}

/// A Call-ID that is used again an hour later: what came late is told of the call it followed, with its time, once.
#[test]
fn late_messages_are_those_of_the_call_they_followed() {
    const CALLS: &str = "
        0.000 alice -> bob INVITE
        0.200 alice <- bob 486
        0.210 alice -> bob ACK
        60.000 alice <- bob 486
        61.000 alice <- bob 486
        3600.000 alice -> bob INVITE
        3600.200 alice <- bob 486
        3600.210 alice -> bob ACK
    ";
    let folder = Folder::new();
    folder.write("calls.pcap", ladder::pcap::write(&ladder::play(CALLS), EPOCH));
    let drawn = printed(&folder, &["ladder", "calls.pcap"]);
    let later: Vec<&str> = drawn.stdout.lines().filter(|line| line.contains("later message")).collect();
    assert_eq!(later, ["2 later messages, the last 60.8 s after the call was over"], "{}", drawn.stdout);
    let listed = printed(&folder, &["calls", "calls.pcap"]);
    let remark = "ringside: 2 messages came after a call had been over: `ringside ladder` tells whose\n";
    assert!(listed.stderr.ends_with(remark), "{}", listed.stderr);
}
