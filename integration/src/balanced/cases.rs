//! What happens behind a balancer, one case for each finding, each cause of a move, and healthy ones: played on real rules, with
//! what the backends themselves saw for the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use testnet::Family;

use super::capture::Capture;
use super::{Lab, Rules};
use crate::wait::eventually;

/// A case.
pub struct Case {
    /// What it is about.
    pub about: &'static str,
    /// Of the service address.
    pub family: Family,
    /// Who translates.
    pub rules: Rules,
    /// Where it is captured: `any` interface of the node, or the clients' alone.
    pub interface: &'static str,
    /// Keys of `[processors.affinity]` besides the service.
    pub settings: &'static [(&'static str, &'static str)],
    play: fn(&Lab, &mut Truth),
}

/// What the backends saw.
#[derive(Default)]
struct Truth {
    /// Backends that took anything, by their place.
    seen: BTreeSet<usize>,
    /// Dialogs by the backend that took their first request.
    dialogs: BTreeMap<usize, u64>,
    /// Dialogs that moved, by cause.
    moved: BTreeMap<&'static str, u64>,
    failed: u64,
    /// Client, its calls, and the backend that took them all.
    pinned: Option<(SocketAddr, u64, usize)>,
    off_port: u64,
    untranslated: u64,
    bypass: u64,
    unknown: u64,
}

/// All cases.
pub fn all() -> Vec<Case> {
    use Family::{V4, V6};
    use Rules::{Iptables, Nftables};
    let case = |about, family, rules, play| Case { about, family, rules, interface: "any", settings: &[], play };
    let short = &[("conntrack_timeout", "1s")][..];
    vec![
        case("healthy", V4, Iptables, healthy),
        case("healthy", V6, Nftables, healthy),
        case("healthy-masquerade", V4, Nftables, masqueraded),
        case("healthy-masquerade", V6, Iptables, masqueraded),
        case("healthy-fragments", V4, Iptables, fragmented),
        case("healthy-fragments", V6, Nftables, fragmented),
        case("pinned-trunk", V4, Iptables, pinned),
        case("pinned-trunk", V6, Nftables, pinned),
        case("moved-source-port", V4, Nftables, moved_by_port),
        case("moved-source-port", V6, Iptables, moved_by_port),
        Case { settings: short, ..case("moved-idle", V4, Iptables, moved_by_silence) },
        Case { settings: short, ..case("moved-idle", V6, Nftables, moved_by_silence) },
        case("moved-backend-gone", V4, Iptables, moved_from_the_dead),
        case("moved-auth-retry", V4, Nftables, moved_after_challenge),
        case("moved-other", V4, Iptables, moved_by_flush),
        case("moved-other", V6, Nftables, moved_by_flush),
        case("off-port-reply", V4, Iptables, off_port),
        case("untranslated-reply", V4, Nftables, untranslated),
        case("untranslated-reply", V6, Iptables, untranslated),
        case("bypass", V4, Iptables, bypassed),
        case("bypass", V6, Nftables, bypassed),
        Case { interface: "c0", ..case("unknown-backend", V4, Nftables, one_side) },
    ]
}

impl Case {
    /// Its name, also that of its capture.
    pub fn name(&self) -> String {
        let family = if self.family == Family::V4 { "ipv4" } else { "ipv6" };
        format!("{}-{}-{family}", self.about, self.rules.as_str())
    }

    /// Plays it: the capture, and what has to be found in it.
    ///
    /// # Errors
    /// When namespaces cannot be made.
    ///
    /// # Panics
    /// When a program is missing, or a message does not arrive.
    pub fn record(&self, folder: &Path) -> io::Result<(Vec<u8>, Value)> {
        let lab = Lab::new(self.family, self.rules)?;
        let witness = lab.client(20, 9);
        let capture = Capture::start(&lab.node, self.interface, folder);
        let truth = self.play(&lab);
        Ok((capture.finish(&lab, &witness), truth))
    }

    /// Plays it in a lab of its family and rules: what has to be found.
    ///
    /// # Panics
    /// When a message does not arrive.
    pub fn play(&self, lab: &Lab) -> Value {
        let mut truth = Truth::default();
        (self.play)(lab, &mut truth);
        self.expected(&truth)
    }

    fn expected(&self, truth: &Truth) -> Value {
        let settings: BTreeMap<_, _> = self.settings.iter().copied().collect();
        let pod = |pod: &usize| format!("pod{}", pod + 1);
        let dialogs: BTreeMap<String, u64> =
            truth.seen.iter().map(|seen| (pod(seen), truth.dialogs.get(seen).copied().unwrap_or_default())).collect();
        let pinned =
            truth.pinned.map(|(client, calls, to)| json!({ "client": client, "calls": calls, "backend": pod(&to) }));
        json!({
            "family": if self.family == Family::V4 { "ipv4" } else { "ipv6" },
            "rules": self.rules.as_str(),
            "interface": self.interface,
            "settings": settings,
            "dialogs": dialogs,
            "pinned": pinned,
            "moved": truth.moved,
            "failed": truth.failed,
            "off_port": truth.off_port,
            "untranslated": truth.untranslated,
            "bypass": truth.bypass,
            "unknown": truth.unknown,
        })
    }
}

/// A call of one client.
struct Call {
    id: String,
    pod: usize,
    /// Its client as the backend sees it.
    seen: SocketAddr,
}

/// A request of a call.
fn request(method: &str, id: &str, cseq: u32, client: &UdpSocket, in_dialog: bool) -> String {
    let own = client.local_addr().expect("it is bound");
    let tag = if in_dialog { ";tag=b" } else { "" };
    format!(
        "{method} sip:100@example.net SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{id}-{cseq}-{method};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:200@example.org>;tag=a\r\nTo: <sip:100@example.net>{tag}\r\nCall-ID: {id}\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:200@{own}>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A response to a request.
fn response(status: &str, request: &str) -> String {
    let lines = request
        .split("\r\n")
        .filter(|line| ["Via", "Fro", "To:", "Cal", "CSe"].iter().any(|name| line.starts_with(name)));
    let lines = lines.map(|line| {
        if line.starts_with("To:") && !line.contains(";tag") { format!("{line};tag=b") } else { line.to_owned() }
    });
    format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.collect::<Vec<_>>().join("\r\n"))
}

impl Truth {
    /// Sends a request to the service and has it answered where it arrives.
    fn ask(
        &mut self,
        lab: &Lab,
        client: &UdpSocket,
        request: &str,
        answers: impl Fn(usize) -> &'static [&'static str],
    ) -> (usize, SocketAddr) {
        let (pod, from) = lab.send(client, lab.service(), request);
        self.seen.insert(pod);
        for status in answers(pod) {
            lab.answer(pod, from, &response(status, request), client);
        }
        (pod, from)
    }

    /// A call is set up: INVITE, answers, ACK.
    fn call(&mut self, lab: &Lab, client: &UdpSocket, id: &str) -> Call {
        let invite = request("INVITE", id, 1, client, false);
        let (pod, seen) = self.ask(lab, client, &invite, |_| &["100 Trying", "180 Ringing", "200 OK"]);
        *self.dialogs.entry(pod).or_default() += 1;
        self.ask(lab, client, &request("ACK", id, 1, client, true), |_| &[]);
        Call { id: id.to_owned(), pod, seen }
    }

    /// A BYE ends the call where it is known, and is refused elsewhere; another backend than the call's is a move for `cause`.
    fn hang_up(&mut self, lab: &Lab, client: &UdpSocket, call: &Call, cause: &'static str) {
        let known = |pod| if pod == call.pod { &["200 OK"][..] } else { &["481 Call/Transaction Does Not Exist"][..] };
        let (pod, _) = self.ask(lab, client, &request("BYE", &call.id, 2, client, true), known);
        if pod != call.pod {
            *self.moved.entry(cause).or_default() += 1;
            self.failed += 1;
        }
    }

    /// Calls until so many have moved for `cause`; a backend is chosen by chance.
    fn until_moved(&mut self, cause: &'static str, times: u64, mut one: impl FnMut(&mut Self, u8)) {
        for number in 0..50 {
            if self.moved.get(cause).copied().unwrap_or_default() >= times {
                return;
            }
            one(self, number);
        }
        panic!("in fifty calls none moved");
    }
}

fn healthy(lab: &Lab, truth: &mut Truth) {
    for host in 10..16 {
        let client = lab.client(host, 5060);
        let call = truth.call(lab, &client, &format!("healthy-{host}"));
        truth.hang_up(lab, &client, &call, "none");
    }
}

fn masqueraded(lab: &Lab, truth: &mut Truth) {
    lab.masquerade();
    for host in 10..13 {
        let client = lab.client(host, 5060);
        let call = truth.call(lab, &client, &format!("masqueraded-{host}"));
        assert_ne!(call.seen, client.local_addr().expect("it is bound"), "the node is the sender");
        truth.hang_up(lab, &client, &call, "none");
    }
}

fn fragmented(lab: &Lab, truth: &mut Truth) {
    let client = lab.client(10, 5060);
    let padding = format!("X-Padding: {}\r\nContent-Length", "x".repeat(1900));
    let invite = request("INVITE", "fragmented", 1, &client, false).replace("Content-Length", &padding);
    let (pod, seen) = truth.ask(lab, &client, &invite, |_| &["180 Ringing", "200 OK"]);
    *truth.dialogs.entry(pod).or_default() += 1;
    truth.ask(lab, &client, &request("ACK", "fragmented", 1, &client, true), |_| &[]);
    truth.hang_up(lab, &client, &Call { id: "fragmented".to_owned(), pod, seen }, "none");
}

fn pinned(lab: &Lab, truth: &mut Truth) {
    let refused = |truth: &mut Truth, client: &UdpSocket, id: &str| {
        let (pod, _) = truth.ask(lab, client, &request("INVITE", id, 1, client, false), |_| &["486 Busy Here"]);
        *truth.dialogs.entry(pod).or_default() += 1;
        truth.ask(lab, client, &request("ACK", id, 1, client, true), |_| &[]);
        pod
    };
    let trunk = lab.client(10, 5060);
    let favourite = refused(truth, &trunk, "trunk-0");
    // Others spread, as each comes from a port of its own.
    for host in 11..20 {
        refused(truth, &lab.client(host, 5060), &format!("phone-{host}"));
    }
    assert!(truth.seen.len() > 1, "nine clients on one backend, by chance");
    for number in 1..105 {
        assert_eq!(refused(truth, &trunk, &format!("trunk-{number}")), favourite, "it is one flow");
    }
    truth.pinned = Some((trunk.local_addr().expect("it is bound"), 105, favourite));
}

fn moved_by_port(lab: &Lab, truth: &mut Truth) {
    truth.until_moved("source_port", 2, |truth, number| {
        let client = lab.client(10, 5060);
        let call = truth.call(lab, &client, &format!("port-{number}"));
        let other = lab.client(10, 40_000 + u16::from(number));
        truth.hang_up(lab, &other, &call, "source_port");
    });
}

fn moved_by_silence(lab: &Lab, truth: &mut Truth) {
    lab.remember_flows(1);
    truth.until_moved("idle", 1, |truth, number| {
        let client = lab.client(10, 5060);
        let call = truth.call(lab, &client, &format!("idle-{number}"));
        eventually("the flow is forgotten", || knows_no_flow(lab).then_some(()));
        truth.hang_up(lab, &client, &call, "idle");
    });
}

fn moved_from_the_dead(lab: &Lab, truth: &mut Truth) {
    let client = lab.client(10, 5060);
    let call = truth.call(lab, &client, "gone");
    // It is asked, and does not answer any more.
    truth.ask(lab, &client, &request("INFO", "gone", 2, &client, true), |_| &[]);
    thread::sleep(Duration::from_millis(10_100));
    let others: Vec<usize> = (0..super::PODS).filter(|pod| *pod != call.pod).collect();
    lab.set_backends(&others);
    lab.forget_flows();
    let bye = request("BYE", "gone", 3, &client, true);
    truth.ask(lab, &client, &bye, |_| &["481 Call/Transaction Does Not Exist"]);
    truth.moved.insert("backend_gone", 1);
    truth.failed += 1;
}

fn moved_after_challenge(lab: &Lab, truth: &mut Truth) {
    truth.until_moved("auth_retry", 1, |truth, number| {
        let id = format!("challenged-{number}");
        let client = lab.client(10, 5060);
        let challenge = &["407 Proxy Authentication Required"][..];
        let (first, _) = truth.ask(lab, &client, &request("INVITE", &id, 1, &client, false), |_| challenge);
        *truth.dialogs.entry(first).or_default() += 1;
        truth.ask(lab, &client, &request("ACK", &id, 1, &client, true), |_| &[]);
        let other = lab.client(10, 41_000 + u16::from(number));
        // One that gave no challenge knows no nonce and asks again.
        let known = |pod| if pod == first { &["486 Busy Here"][..] } else { challenge };
        let (pod, _) = truth.ask(lab, &other, &request("INVITE", &id, 2, &other, false), known);
        if pod != first {
            *truth.moved.entry("auth_retry").or_default() += 1;
        }
    });
}

fn moved_by_flush(lab: &Lab, truth: &mut Truth) {
    truth.until_moved("other", 1, |truth, number| {
        let client = lab.client(10, 5060);
        let call = truth.call(lab, &client, &format!("flushed-{number}"));
        lab.forget_flows();
        truth.hang_up(lab, &client, &call, "other");
    });
}

fn off_port(lab: &Lab, truth: &mut Truth) {
    let (client, other) = (lab.client(10, 40_000), lab.client(10, 5060));
    let invite = request("INVITE", "off-port", 1, &client, false);
    let (pod, seen) = truth.ask(lab, &client, &invite, |_| &["180 Ringing"]);
    *truth.dialogs.entry(pod).or_default() += 1;
    let to = SocketAddr::new(seen.ip(), 5060);
    let from = lab.answer(pod, to, &response("200 OK", &invite), &other);
    assert_eq!(from, super::backend(lab.family, pod), "no flow fits, so that nothing is translated");
    (truth.off_port, truth.untranslated) = (1, 1);
}

fn untranslated(lab: &Lab, truth: &mut Truth) {
    let healthy = lab.client(11, 5060);
    let call = truth.call(lab, &healthy, "translated");
    truth.hang_up(lab, &healthy, &call, "none");
    (0..super::PODS).for_each(|pod| lab.pass_untranslated(pod));
    let client = lab.client(10, 5060);
    let invite = request("INVITE", "untranslated", 1, &client, false);
    let (pod, seen) = lab.send(&client, lab.service(), &invite);
    truth.seen.insert(pod);
    *truth.dialogs.entry(pod).or_default() += 1;
    let from = lab.answer(pod, seen, &response("486 Busy Here", &invite), &client);
    assert_eq!(from, super::backend(lab.family, pod));
    truth.untranslated = 1;
}

fn bypassed(lab: &Lab, truth: &mut Truth) {
    let client = lab.client(10, 5060);
    let invite = request("INVITE", "bypass", 1, &client, false);
    let (pod, _) = truth.ask(lab, &client, &invite, |_| &["200 OK"]);
    *truth.dialogs.entry(pod).or_default() += 1;
    // To Contact, which names the backend.
    let straight = super::backend(lab.family, pod);
    lab.send(&client, straight, &request("ACK", "bypass", 1, &client, true));
    let bye = request("BYE", "bypass", 2, &client, true);
    let (_, from) = lab.send(&client, straight, &bye);
    lab.answer(pod, from, &response("200 OK", &bye), &client);
    truth.bypass = 2;
}

fn one_side(lab: &Lab, truth: &mut Truth) {
    let client = lab.client(10, 5060);
    let call = truth.call(lab, &client, "one-side");
    truth.hang_up(lab, &client, &call, "none");
    // Nothing shows that.
    (truth.seen, truth.dialogs, truth.unknown) = (BTreeSet::new(), BTreeMap::new(), 3);
}

fn knows_no_flow(lab: &Lab) -> bool {
    let listed = lab.node.command("conntrack").args(["-L", "-p", "udp"]).stderr(Stdio::null()).output();
    listed.expect("conntrack is installed").stdout.is_empty()
}
