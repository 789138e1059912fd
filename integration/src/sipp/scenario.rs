//! A call flow as text, turned into the two scenario files SIPp wants.
//!
//! ```text
//!        -> INVITE ua=Yealink
//!        <- 180
//!   200  <- 200            # sent 200 ms after the 180
//!        -> ACK
//!   300  -> BYE
//!        <- 200
//! ```
//!
//! `->` is what the caller sends, `<-` what the callee sends; a number before it is how long the sender waits, in
//! milliseconds. `<- nothing` is a caller that gives up after that time. Words after a method: `ua=` (User-Agent),
//! `pad=` (bytes of padding). A 401 or 407 carries a digest challenge, the request after it the credentials; a 302
//! carries a Contact; a REGISTER asks for 60 s and is granted what it asks for.

use std::fmt::Write;

/// Who plays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Starts the calls.
    Caller,
    /// Waits for them.
    Callee,
}

/// A call flow.
#[derive(Clone, Debug)]
pub struct Scenario {
    steps: Vec<Step>,
    lingers: bool,
    transport: Transport,
    people: Option<(&'static str, &'static str)>,
}

/// How the messages travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// In datagrams, one socket for all calls.
    #[default]
    Udp,
    /// On one TCP connection for all calls.
    Tcp,
    /// On a TCP connection for each call.
    TcpPerCall,
}

impl Transport {
    /// What SIPp calls it (`-t`).
    pub(super) const fn mode(self) -> &'static str {
        match self {
            Self::Udp => "u1",
            Self::Tcp => "t1",
            Self::TcpPerCall => "tn",
        }
    }
}

#[derive(Clone, Debug)]
struct Step {
    /// Milliseconds the sender waits.
    pause: u32,
    sender: Side,
    message: Message,
    user_agent: Option<String>,
    padding: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Message {
    Request(String),
    Response(u16),
    Nothing,
}

/// What a message must refer to, followed from step to step.
#[derive(Clone, Debug, Default)]
struct State {
    cseq: u32,
    /// Method and CSeq of requests without a final response, newest last; with the side that sent them.
    open: Vec<(String, u32, Side)>,
    /// A 2xx to an INVITE has been sent.
    confirmed: bool,
    /// Final status of the last INVITE.
    refused: bool,
    challenged: bool,
    has_received_invite: bool,
}

impl Scenario {
    /// # Panics
    /// At a line that is no step, naming it.
    #[track_caller]
    pub fn new(text: &str) -> Self {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let steps = lines.filter(|line| !line.is_empty());
        let steps = steps.map(|line| Step::parse(line).unwrap_or_else(|| panic!("no step: {line:?}"))).collect();
        Self { steps, lingers: false, transport: Transport::Udp, people: None }
    }

    /// The callee stays for a while after each call, to answer again where its last answer was lost: what a load that
    /// overruns SIPp's own sockets needs.
    pub fn lingering(self) -> Self {
        Self { lingers: true, ..self }
    }

    /// The same flow over another transport.
    pub fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// The same flow as between people: numbers of caller and callee, reason phrases, and session descriptions in
    /// INVITEs and what answers them.
    pub fn between(self, caller: &'static str, callee: &'static str) -> Self {
        Self { people: Some((caller, callee)), ..self }
    }

    /// How the messages travel.
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// The scenario file of one side.
    pub fn xml(&self, side: Side) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"us-ascii\"?>\n<scenario name=\"ringside\">\n");
        let mut state = State::default();
        for step in &self.steps {
            let text = match (&step.message, step.sender == side) {
                (Message::Nothing, _) if side == Side::Caller => give_up(step.pause),
                (Message::Nothing, _) => String::new(),
                (_, true) => self.dressed(step, send(step, &state), &state),
                (_, false) => receive(step, &state),
            };
            xml.push_str(&text);
            state.follow(step);
        }
        match side {
            // A label needs something behind it to jump to.
            Side::Caller => xml.push_str("<label id=\"end\"/>\n<pause milliseconds=\"1\"/>\n"),
            Side::Callee if self.lingers => xml.push_str(LINGER),
            Side::Callee => {}
        }
        xml.push_str("</scenario>\n");
        let Some((caller, callee)) = self.people else { return xml };
        xml.replace("sip:caller@", &format!("sip:{caller}@")).replace("sip:callee@", &format!("sip:{callee}@"))
    }

    /// A message as people's phones send it.
    fn dressed(&self, step: &Step, xml: String, state: &State) -> String {
        if self.people.is_none() {
            return xml;
        }
        let (phrase, offers) = match &step.message {
            Message::Request(method) => ("", method == "INVITE"),
            Message::Response(status) => {
                let to_invite = state.open.last().is_some_and(|(method, ..)| method == "INVITE");
                (phrase(*status), to_invite && matches!(status, 183 | 200))
            }
            Message::Nothing => ("", false),
        };
        let xml = xml.replacen(" Answer\n", &format!(" {phrase}\n"), 1);
        if offers { xml.replacen("Content-Length: 0\n", SDP, 1) } else { xml }
    }
}

impl Step {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().peekable();
        let pause = match words.peek()?.parse() {
            Ok(pause) => {
                words.next();
                pause
            }
            Err(_) => 0,
        };
        let sender = match words.next()? {
            "->" => Side::Caller,
            "<-" => Side::Callee,
            _ => return None,
        };
        let message = match words.next()? {
            "nothing" => Message::Nothing,
            word => word.parse().map_or_else(|_| Message::Request(word.to_owned()), Message::Response),
        };
        let mut step = Self { pause, sender, message, user_agent: None, padding: 0 };
        for word in words {
            match word.split_once('=')? {
                ("ua", value) => step.user_agent = Some(value.to_owned()),
                ("pad", value) => step.padding = value.parse().ok()?,
                _ => return None,
            }
        }
        Some(step)
    }
}

impl State {
    /// CSeq of a request: ACK and CANCEL keep that of the INVITE.
    fn cseq_of(&self, method: &str) -> u32 {
        if matches!(method, "ACK" | "CANCEL") { self.cseq } else { self.cseq + 1 }
    }

    fn follow(&mut self, step: &Step) {
        match &step.message {
            Message::Request(method) => {
                self.cseq = self.cseq_of(method);
                self.challenged = false;
                self.has_received_invite |= method == "INVITE";
                if method != "ACK" {
                    self.open.push((method.clone(), self.cseq, step.sender));
                }
            }
            Message::Response(status @ 200..) => {
                let (method, ..) = self.open.pop().expect("a response follows a request");
                if method == "INVITE" {
                    self.confirmed |= *status < 300;
                    self.refused = *status >= 300;
                }
                self.challenged = matches!(status, 401 | 407);
            }
            Message::Response(_) | Message::Nothing => {}
        }
    }
}

fn send(step: &Step, state: &State) -> String {
    let mut xml = pause(step.pause);
    let (text, retransmitted) = match &step.message {
        Message::Request(method) => (request(method, step, state), method != "ACK"),
        Message::Response(status) => {
            let (method, cseq, _) = state.open.last().expect("a response follows a request");
            (response(*status, method, *cseq, step.sender, state), *status >= 200 && method == "INVITE")
        }
        Message::Nothing => unreachable!("nothing is never sent"),
    };
    let retransmit = if retransmitted { " retrans=\"500\"" } else { "" };
    write!(xml, "<send{retransmit}><![CDATA[\n\n{text}\n]]></send>\n").expect("writing into a String cannot fail");
    xml
}

fn request(method: &str, step: &Step, state: &State) -> String {
    let in_dialog = state.confirmed;
    // The ACK of a refusal and a CANCEL belong to the INVITE's transaction.
    let hop = method == "CANCEL" || (method == "ACK" && state.refused);
    let via = if hop { "[last_Via:]" } else { "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]" };
    let uri = if in_dialog && method != "CANCEL" { "[next_url]" } else { "sip:callee@[remote_ip]:[remote_port]" };
    let to_tag = if in_dialog || method == "ACK" { "[peer_tag_param]" } else { "" };
    let caller = "<sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]";
    let (from, to) = match (step.sender, method) {
        (Side::Caller, "REGISTER") => (caller.to_owned(), "<sip:caller@[local_ip]:[local_port]>".to_owned()),
        (Side::Caller, _) => (caller.to_owned(), format!("<sip:callee@[remote_ip]:[remote_port]>{to_tag}")),
        (Side::Callee, _) => {
            ("<sip:callee@[local_ip]:[local_port]>;tag=[pid]s[call_number]".to_owned(), "[$peer]".to_owned())
        }
    };
    let mut lines = vec![
        format!("{method} {uri} SIP/2.0"),
        via.to_owned(),
        if in_dialog && method != "CANCEL" { "[routes]".to_owned() } else { String::new() },
        format!("From: {from}"),
        format!("To: {to}"),
        "Call-ID: [call_id]".to_owned(),
        format!("CSeq: {} {method}", state.cseq_of(method)),
        "Max-Forwards: 70".to_owned(),
        format!("User-Agent: {}", step.user_agent.as_deref().unwrap_or("ringside-test")),
    ];
    if matches!(method, "INVITE" | "REGISTER") {
        lines.push("Contact: <sip:caller@[local_ip]:[local_port]>".to_owned());
    }
    if method == "REGISTER" {
        lines.push("Expires: 60".to_owned());
    }
    if state.challenged && method != "ACK" {
        lines.push("[authentication username=caller password=secret]".to_owned());
    }
    if step.padding > 0 {
        lines.push(format!("Subject: {}", "x".repeat(step.padding)));
    }
    finish(lines)
}

fn response(status: u16, method: &str, cseq: u32, sender: Side, state: &State) -> String {
    let tag = match (sender, state.confirmed, status) {
        (_, true, _) | (_, _, 100) => "",
        (Side::Callee, ..) => ";tag=[pid]s[call_number]",
        (Side::Caller, ..) => "",
    };
    let mut lines = vec![
        format!("SIP/2.0 {status} Answer"),
        "[last_Via:]".to_owned(),
        "[last_Record-Route:]".to_owned(),
        "[last_From:]".to_owned(),
        format!("[last_To:]{tag}"),
        "[last_Call-ID:]".to_owned(),
        // Not [last_CSeq:]: the last message may have been the CANCEL of the INVITE that is answered.
        format!("CSeq: {cseq} {method}"),
    ];
    match (status, method) {
        (401, _) => lines.push("WWW-Authenticate: Digest realm=\"ringside\", nonce=\"4711\", algorithm=MD5".to_owned()),
        (407, _) => {
            lines.push("Proxy-Authenticate: Digest realm=\"ringside\", nonce=\"4711\", algorithm=MD5".to_owned())
        }
        (302, _) | (101..=299, "INVITE") => lines.push("Contact: <sip:callee@[local_ip]:[local_port]>".to_owned()),
        (200, "REGISTER") => lines.extend(["[last_Contact:];expires=60".to_owned()]),
        _ => {}
    }
    finish(lines)
}

/// Lines of a header block; a line left empty is left out.
fn finish(mut lines: Vec<String>) -> String {
    lines.retain(|line| !line.is_empty());
    lines.push("Content-Length: 0".to_owned());
    lines.push(String::new());
    lines.join("\n")
}

fn receive(step: &Step, state: &State) -> String {
    match &step.message {
        // What the callee needs to send a request of its own later.
        Message::Request(method) if method == "INVITE" && !state.has_received_invite => {
            "<recv request=\"INVITE\" rrs=\"true\"><action>\
            <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"peer\"/></action></recv>\n\
            <Reference variables=\"peer\"/>\n"
                .to_owned()
        }
        Message::Request(method) => format!("<recv request=\"{method}\"/>\n"),
        Message::Response(status @ (401 | 407)) => format!("<recv response=\"{status}\" auth=\"true\"/>\n"),
        // Where the rest of the dialog goes: Contact and Record-Route of the 2xx (RFC 3261 §12.1.2).
        Message::Response(200) if state.open.last().is_some_and(|(method, ..)| method == "INVITE") => {
            "<recv response=\"200\" rrs=\"true\"/>\n".to_owned()
        }
        Message::Response(status) => format!("<recv response=\"{status}\"/>\n"),
        Message::Nothing => String::new(),
    }
}

/// The registered reason phrases of what these flows answer (RFC 3261 §21).
fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        302 => "Moved Temporarily",
        401 => "Unauthorized",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Request Terminated",
        503 => "Service Unavailable",
        _ => "Answer",
    }
}

/// An offer, or an answer to it.
const SDP: &str = "Content-Type: application/sdp\nContent-Length: [len]\n\n\
    v=0\no=- 1 1 IN IP[local_ip_type] [local_ip]\ns=-\nc=IN IP[local_ip_type] [local_ip]\nt=0 0\n\
    m=audio 6000 RTP/AVP 8 0\na=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\n";

/// As long as a BYE is sent again close together (RFC 3261 §17.1.2.2: T2).
const LINGER: &str = "<timewait milliseconds=\"4000\"/>\n";

fn pause(milliseconds: u32) -> String {
    if milliseconds == 0 { String::new() } else { format!("<pause milliseconds=\"{milliseconds}\"/>\n") }
}

fn give_up(milliseconds: u32) -> String {
    format!("<recv response=\"200\" timeout=\"{milliseconds}\" ontimeout=\"end\"/>\n")
}

#[cfg(test)]
mod tests {
    use super::{Scenario, Side};

    const CALL: &str = "-> INVITE ua=Yealink pad=3\n<- 180\n200 <- 200 # answered\n-> ACK\n300 -> BYE\n<- 200";

    #[test]
    fn both_sides_are_made_from_one_text() {
        let scenario = Scenario::new(CALL);
        let (caller, callee) = (scenario.xml(Side::Caller), scenario.xml(Side::Callee));
        assert_eq!((caller.matches("<send").count(), caller.matches("<recv").count()), (3, 3));
        assert_eq!((callee.matches("<send").count(), callee.matches("<recv").count()), (3, 3));
        assert!(caller.contains("User-Agent: Yealink\n") && caller.contains("Subject: xxx\n"));
        assert!(caller.contains("CSeq: 2 BYE") && callee.contains("CSeq: 2 BYE"));
        assert!(callee.contains("<pause milliseconds=\"200\"/>") && !caller.contains("\"200\"/>\n<send"));
    }

    #[test]
    fn a_cancelled_invite_is_answered_by_its_own_cseq() {
        let scenario = Scenario::new("-> INVITE\n<- 180\n-> CANCEL\n<- 200\n<- 487\n-> ACK");
        let callee = scenario.xml(Side::Callee);
        let (ok, terminated) = (callee.find("SIP/2.0 200").expect("a 200"), callee.find("SIP/2.0 487").expect("a 487"));
        assert!(callee[ok..terminated].contains("CSeq: 1 CANCEL"));
        assert!(callee[terminated..].contains("CSeq: 1 INVITE"));
    }

    #[test]
    #[should_panic(expected = "no step: \"=> INVITE\"")]
    fn a_line_that_is_no_step_is_named() {
        Scenario::new("=> INVITE");
    }
}
