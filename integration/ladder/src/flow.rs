//! What a ladder leaves unsaid: per Call-ID, the branch, tags and CSeq a user agent would put there
//! (RFC 3261 §8, §12, §17.1.1.3, §9.1 for CANCEL, RFC 3262 §7.2 for RAck).

mod request;
mod response;

use std::collections::HashMap;

use crate::Step;
use crate::endpoint::{Endpoint, Endpoints};
use crate::line::{Line, What};
use crate::message::Message;

/// All calls of a ladder.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    endpoints: Endpoints,
    calls: HashMap<String, Call>,
}

/// Everything under one Call-ID.
#[derive(Debug)]
struct Call {
    id: String,
    /// Position among the calls of the ladder: keeps branches of different calls apart.
    number: usize,
    branches: usize,
    /// Last CSeq used, by name of the sender.
    cseq: HashMap<String, u32>,
    requests: Vec<Request>,
    dialog: Option<Dialog>,
    sent: Vec<Sent>,
}

/// A request on one hop, and what its responses copy.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    cseq: u32,
    source: Endpoint,
    destination: Endpoint,
    from: Party,
    to: Party,
    contact: Option<String>,
    expires: Option<u32>,
    message: Message,
    /// Status and To tag of its responses, in order.
    responses: Vec<(u16, Option<String>)>,
}

/// From or To.
#[derive(Clone, Debug)]
struct Party {
    uri: String,
    tag: Option<String>,
}

/// The two ends of the call as the first INVITE and its responses named them.
#[derive(Clone, Debug)]
struct Dialog {
    caller: Party,
    caller_name: String,
    callee: Party,
    confirmed: bool,
    rseq: Option<u32>,
}

/// A message as it went out, for `again`, `copy` and relayed responses.
#[derive(Debug)]
struct Sent {
    what: What,
    step: Step,
    written: Written,
}

/// A message and what is looked for in it again.
#[derive(Debug)]
struct Written {
    message: Message,
    /// To tag of a response.
    tag: Option<String>,
    /// CSeq number and method.
    of: (u32, String),
}

impl Flows {
    pub(crate) fn step(&mut self, line: &Line) -> Result<Step, String> {
        let source = self.endpoints.resolve(&line.source)?;
        let destination = self.endpoints.resolve(&line.destination)?;
        let step = |bytes| Step { at: line.at, source: source.address, destination: destination.address, bytes };
        if let What::Raw(bytes) = &line.what {
            return Ok(step(bytes.clone()));
        }
        let id = line.value("call").unwrap_or("call-1");
        let number = self.calls.len() + 1;
        let call = self.calls.entry(id.to_owned()).or_insert_with(|| Call::new(id, number));
        if line.has("again") || line.has("copy") {
            return call.repeat(line, &source, &destination).map(step);
        }
        let written = match &line.what {
            What::Request(method) => {
                let request = call.request(line, method, &source, &destination)?;
                Written { message: request.message.clone(), tag: None, of: (request.cseq, method.clone()) }
            }
            What::Response(status) => call.response(line, *status, &source, &destination)?,
            What::Raw(_) => unreachable!("returned above"),
        };
        let step = step(written.message.bytes());
        call.sent.push(Sent { what: line.what.clone(), step: step.clone(), written });
        Ok(step)
    }
}

impl Call {
    fn new(id: &str, number: usize) -> Self {
        Self {
            id: id.to_owned(),
            number,
            branches: 0,
            cseq: HashMap::new(),
            requests: Vec::new(),
            dialog: None,
            sent: Vec::new(),
        }
    }

    fn repeat(&self, line: &Line, source: &Endpoint, destination: &Endpoint) -> Result<Vec<u8>, String> {
        let same_path =
            |sent: &&Sent| sent.step.source == source.address && sent.step.destination == destination.address;
        let candidates = self.sent.iter().rev().filter(|sent| sent.what == line.what);
        let cseq = line.number("cseq")?;
        let mut candidates = candidates
            .filter(|sent| cseq.is_none_or(|cseq| sent.written.of.0 == cseq))
            .filter(|sent| line.value("of").is_none_or(|method| sent.written.of.1 == method))
            .filter(|sent| line.value("tag").is_none_or(|tag| sent.written.tag.as_deref() == Some(tag)));
        let sent = if line.has("copy") { candidates.next() } else { candidates.find(same_path) };
        sent.map(|sent| sent.step.bytes.clone()).ok_or_else(|| "there is nothing to repeat".to_owned())
    }

    fn identity(&self, from: &Party, to: &Party, cseq: u32, method: &str) -> Vec<String> {
        vec![
            format!("From: {}", from.header()),
            format!("To: {}", to.header()),
            format!("Call-ID: {}", self.id),
            format!("CSeq: {cseq} {method}"),
        ]
    }
}

impl Party {
    fn header(&self) -> String {
        let address = if self.uri.contains('<') { self.uri.clone() } else { format!("<{}>", self.uri) };
        match &self.tag {
            Some(tag) => format!("{address};tag={tag}"),
            None => address,
        }
    }
}

fn own_tag(endpoint: &Endpoint) -> String {
    format!("{}-tag", endpoint.name)
}

fn extra_fields(line: &Line) -> Vec<String> {
    let named = [
        ("ua", "User-Agent"),
        ("expires", "Expires"),
        ("se", "Session-Expires"),
        ("reason", "Reason"),
        ("rseq", "RSeq"),
    ];
    let mut fields: Vec<_> =
        named.iter().filter_map(|(key, name)| Some(format!("{name}: {}", line.value(key)?))).collect();
    fields.extend(line.values("hdr").map(str::to_owned));
    fields
}

fn body(line: &Line, source: &Endpoint) -> String {
    if !line.has("sdp") {
        return String::new();
    }
    let ip = source.address.ip();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}
