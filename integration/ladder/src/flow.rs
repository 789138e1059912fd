//! What a ladder leaves unsaid: per Call-ID, the branch, tags and CSeq a user agent would put there
//! (RFC 3261 §8.1.1, §12.2.1.1, §17.1.1.3, §9.1 for CANCEL, RFC 3262 §7.2 for RAck).

use std::collections::HashMap;

use crate::Step;
use crate::endpoint::{Endpoint, Endpoints, address};
use crate::line::{Line, What};
use crate::message::{Message, reason_phrase};

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

    fn request(
        &mut self,
        line: &Line,
        method: &str,
        source: &Endpoint,
        destination: &Endpoint,
    ) -> Result<&Request, String> {
        let request = if line.has("fwd") {
            self.forwarded_request(line, method, source, destination)?
        } else {
            self.new_request(line, method, source, destination)?
        };
        if method == "INVITE" && !line.has("fwd") {
            self.learn_dialog(&request);
        }
        self.requests.push(request);
        Ok(self.requests.last().expect("just pushed"))
    }

    /// An INVITE without To tag names the caller; one with a To tag does so when the call was not seen from its start.
    fn learn_dialog(&mut self, invite: &Request) {
        if invite.to.tag.is_some() && self.dialog.is_some() {
            return;
        }
        self.dialog = Some(Dialog {
            caller: invite.from.clone(),
            caller_name: invite.source.name.clone(),
            callee: invite.to.clone(),
            confirmed: invite.to.tag.is_some(),
            rseq: None,
        });
    }

    fn forwarded_request(
        &mut self,
        line: &Line,
        method: &str,
        source: &Endpoint,
        destination: &Endpoint,
    ) -> Result<Request, String> {
        let mut request = self
            .requests
            .iter()
            .rev()
            .find(|request| request.method == method && request.destination == *source)
            .cloned()
            .ok_or_else(|| format!("{} has received no {method} to forward", source.name))?;
        let via = self.via(source, line.value("branch"));
        request.message.vias.insert(0, via);
        request.source = source.clone();
        request.destination = destination.clone();
        request.responses.clear();
        Ok(request)
    }

    fn new_request(
        &mut self,
        line: &Line,
        method: &str,
        source: &Endpoint,
        destination: &Endpoint,
    ) -> Result<Request, String> {
        // ACK and CANCEL continue an INVITE: its CSeq, and unless the ACK follows a 2xx its branch.
        let invite = matches!(method, "ACK" | "CANCEL").then(|| self.invite_between(source, destination)).flatten();
        let (mut from, mut to) = self.parties(method, source, destination, invite);
        if let Some(uri) = line.value("from") {
            uri.clone_into(&mut from.uri);
        }
        if let Some(uri) = line.value("to") {
            uri.clone_into(&mut to.uri);
        }
        override_tag(&mut from.tag, line.value("ftag"));
        override_tag(&mut to.tag, line.value("ttag"));
        let invite_vias = invite
            .filter(|invite| method == "CANCEL" || invite.responses.last().is_none_or(|(status, _)| *status >= 300))
            .map(|invite| vec![invite.message.vias[0].clone()]);
        let cseq = match (line.number("cseq")?, invite) {
            (Some(cseq), _) => cseq,
            (None, Some(invite)) => invite.cseq,
            (None, None) => self.cseq.get(&source.name).unwrap_or(&0) + 1,
        };
        if !matches!(method, "ACK" | "CANCEL") {
            self.cseq.insert(source.name.clone(), cseq);
        }
        let vias = match (line.value("via"), invite_vias) {
            (Some(stack), _) => self.via_stack(stack, method, line.value("branch"))?,
            (None, Some(vias)) if line.value("branch").is_none() => vias,
            (None, _) => vec![self.via(source, line.value("branch"))],
        };
        let contact = match line.value("contact") {
            Some("none") => None,
            Some(contact) => Some(contact.to_owned()),
            None if matches!(method, "INVITE" | "REGISTER") => {
                Some(format!("<sip:{}@{}>", source.name, source.address))
            }
            None => None,
        };
        let mut fields = vec!["Max-Forwards: 70".to_owned()];
        fields.extend(self.identity(&from, &to, cseq, method));
        fields.extend(contact.iter().map(|contact| format!("Contact: {contact}")));
        let rack = (method == "PRACK").then(|| self.dialog.as_ref()?.rseq).flatten();
        fields.extend(rack.map(|rseq| format!("RAck: {rseq} {} INVITE", self.last_invite_cseq())));
        fields.extend(extra_fields(line));
        let target = if method == "REGISTER" {
            "example.com".to_owned()
        } else {
            format!("{}@{}", destination.name, destination.address)
        };
        Ok(Request {
            method: method.to_owned(),
            cseq,
            source: source.clone(),
            destination: destination.clone(),
            from,
            to,
            contact,
            expires: line.number("expires")?,
            message: Message {
                start: format!("{method} sip:{target} SIP/2.0"),
                vias,
                fields,
                body: body(line, source),
            },
            responses: Vec::new(),
        })
    }

    /// From and To of a new request: the dialog's where the method lives in one, else the two endpoints'.
    fn parties(
        &self,
        method: &str,
        source: &Endpoint,
        destination: &Endpoint,
        invite: Option<&Request>,
    ) -> (Party, Party) {
        if let Some(invite) = invite {
            let mut to = invite.to.clone();
            if method == "ACK" && to.tag.is_none() {
                to.tag = invite.responses.iter().rev().find_map(|(_, tag)| tag.clone());
            }
            return (invite.from.clone(), to);
        }
        let only_in_dialog = matches!(method, "ACK" | "BYE" | "PRACK" | "UPDATE" | "INFO");
        match &self.dialog {
            Some(dialog) if method != "REGISTER" && (dialog.confirmed || only_in_dialog) => {
                let mut callee = dialog.callee.clone();
                callee.tag.get_or_insert_with(|| {
                    own_tag(if source.name == dialog.caller_name { destination } else { source })
                });
                if source.name == dialog.caller_name {
                    (dialog.caller.clone(), callee)
                } else {
                    (callee, dialog.caller.clone())
                }
            }
            _ => {
                let from = Party { uri: format!("sip:{}@example.com", source.name), tag: Some(own_tag(source)) };
                let to = if method == "REGISTER" { &source.name } else { &destination.name };
                let tag = only_in_dialog.then(|| own_tag(destination));
                (from, Party { uri: format!("sip:{to}@example.com"), tag })
            }
        }
    }

    fn response(
        &mut self,
        line: &Line,
        status: u16,
        source: &Endpoint,
        destination: &Endpoint,
    ) -> Result<Written, String> {
        let index = match self.answered_by(line, source, destination)? {
            Some(index) => index,
            None => self.unseen_request(line, source, destination)?,
        };
        let tag = match (line.value("tag").or_else(|| line.value("ttag")), status) {
            (Some("-"), _) => None,
            (Some(tag), _) => Some(tag.to_owned()),
            (None, _) if self.requests[index].to.tag.is_some() => self.requests[index].to.tag.clone(),
            (None, 100) => None,
            (None, _) => Some(self.response_tag(index, status, source)),
        };
        self.requests[index].responses.push((status, tag.clone()));
        let request = &self.requests[index];
        let of = (request.cseq, request.method.clone());
        if let Some(dialog) =
            self.dialog.as_mut().filter(|_| of.1 == "INVITE" && request.to.tag.is_none() && status < 300)
        {
            dialog.callee.tag = tag.clone().or(dialog.callee.tag.take());
            dialog.confirmed |= status >= 200;
            dialog.rseq = line.number("rseq")?.or(dialog.rseq);
        }
        if line.has("fwd") {
            return Ok(Written { message: self.forwarded_response(status, source, &of)?, tag, of });
        }
        let vias = match line.value("via") {
            Some(stack) => self.via_stack(stack, &of.1, line.value("branch"))?,
            None => self.requests[index].message.vias.clone(),
        };
        let request = &self.requests[index];
        let to = Party { uri: request.to.uri.clone(), tag: tag.clone() };
        let mut fields = self.identity(&request.from, &to, request.cseq, &request.method);
        fields.extend(response_contact(line, request, status, source).map(|contact| format!("Contact: {contact}")));
        fields.extend(extra_fields(line));
        let start = format!("SIP/2.0 {status} {}", reason_phrase(status));
        Ok(Written { message: Message { start, vias, fields, body: body(line, source) }, tag, of })
    }

    /// Which request a response answers: between the same two, the newest without a final, else the newest.
    fn answered_by(&self, line: &Line, source: &Endpoint, destination: &Endpoint) -> Result<Option<usize>, String> {
        let cseq = line.number("cseq")?;
        let fits = |request: &Request| {
            request.method != "ACK"
                && request.source == *destination
                && request.destination == *source
                && cseq.is_none_or(|cseq| request.cseq == cseq)
                && line.value("of").is_none_or(|method| request.method == method)
        };
        let open = |request: &Request| request.responses.iter().all(|(status, _)| *status < 200);
        let newest = self.requests.iter().rposition(|request| fits(request) && open(request));
        Ok(newest.or_else(|| self.requests.iter().rposition(fits)))
    }

    /// A response whose request was never seen: the request is made up and not sent.
    fn unseen_request(&mut self, line: &Line, source: &Endpoint, destination: &Endpoint) -> Result<usize, String> {
        let method = line.value("of").unwrap_or("INVITE");
        let request = self.new_request(line, method, destination, source)?;
        if method == "INVITE" {
            self.learn_dialog(&request);
        }
        self.requests.push(request);
        Ok(self.requests.len() - 1)
    }

    /// The To tag of a response: what a proxy relays, else what this request was answered with before, else the sender's own.
    fn response_tag(&self, index: usize, status: u16, source: &Endpoint) -> String {
        let request = &self.requests[index];
        let same = |other: &Request| other.method == request.method && other.cseq == request.cseq;
        let relays = self.requests.iter().any(|other| other.source == *source && same(other));
        let of = (request.cseq, request.method.clone());
        let relayed = || self.received_response(status, source, &of)?.tag.clone();
        let before = || request.responses.iter().rev().find_map(|(_, tag)| tag.clone());
        relays.then(relayed).flatten().or_else(before).unwrap_or_else(|| own_tag(source))
    }

    fn forwarded_response(&self, status: u16, source: &Endpoint, of: &(u32, String)) -> Result<Message, String> {
        let received = self.received_response(status, source, of);
        let mut message =
            received.ok_or_else(|| format!("{} has received no {status} to forward", source.name))?.message.clone();
        message.vias.remove(0);
        Ok(message)
    }

    /// The last response with this status to this request that reached an endpoint.
    fn received_response(&self, status: u16, endpoint: &Endpoint, of: &(u32, String)) -> Option<&Written> {
        let received = |sent: &&Sent| {
            sent.written.of == *of && sent.what == What::Response(status) && sent.step.destination == endpoint.address
        };
        Some(&self.sent.iter().rev().find(received)?.written)
    }

    fn invite_between(&self, source: &Endpoint, destination: &Endpoint) -> Option<&Request> {
        let mut invites =
            self.requests.iter().rev().filter(|request| request.method == "INVITE" && request.source == *source);
        invites.clone().find(|request| request.destination == *destination).or_else(|| invites.next())
    }

    fn last_invite_cseq(&self) -> u32 {
        self.requests.iter().rev().find(|request| request.method == "INVITE").map_or(1, |request| request.cseq)
    }

    /// Via of an endpoint: with the branch given (`-`: none), else the next one of this call.
    fn via(&mut self, endpoint: &Endpoint, branch: Option<&str>) -> String {
        let branch = match branch {
            Some("-") => return format!("SIP/2.0/UDP {}", endpoint.address),
            Some(branch) => branch.to_owned(),
            None => {
                self.branches += 1;
                format!("z9hG4bK{}.{}", self.number, self.branches)
            }
        };
        format!("SIP/2.0/UDP {};branch={branch}", endpoint.address)
    }

    /// `via=`: the top one gets a branch of its own; below it stands what that endpoint last sent of this method.
    fn via_stack(&mut self, stack: &str, method: &str, branch: Option<&str>) -> Result<Vec<String>, String> {
        let mut vias = Vec::new();
        for item in stack.split(',') {
            let (name, own_branch) = item.split_once('/').map_or((item, None), |(name, branch)| (name, Some(branch)));
            let known =
                self.requests.iter().rev().find(|request| request.source.name == name && request.method == method);
            let top = vias.is_empty();
            vias.push(match (own_branch, known) {
                (None, Some(request)) if !top => request.message.vias[0].clone(),
                _ => {
                    let address = known.map_or_else(|| address(name), |request| request.source.address);
                    let endpoint = Endpoint { name: name.to_owned(), address };
                    self.via(&endpoint, own_branch.or(branch.filter(|_| top)))
                }
            });
        }
        Ok(vias)
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

fn override_tag(tag: &mut Option<String>, given: Option<&str>) {
    match given {
        Some("-") => *tag = None,
        Some(given) => *tag = Some(given.to_owned()),
        None => {}
    }
}

/// What a registrar and an answering phone say about themselves.
fn response_contact(line: &Line, request: &Request, status: u16, source: &Endpoint) -> Option<String> {
    match (line.value("contact"), request.method.as_str(), status) {
        (Some("none"), ..) => None,
        (Some(contact), ..) => Some(contact.to_owned()),
        // RFC 3261 §10.3 step 8: the bindings now in force, each with its expiry.
        (None, "REGISTER", 200..=299) => {
            let contact = request.contact.as_deref().filter(|contact| *contact != "*" && request.expires != Some(0))?;
            Some(request.expires.map_or(contact.to_owned(), |expires| format!("{contact};expires={expires}")))
        }
        (None, "INVITE", 101..=299) => Some(format!("<sip:{}@{}>", source.name, source.address)),
        _ => None,
    }
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
