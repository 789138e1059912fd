//! A response: which request it answers and with which To tag (RFC 3261 §8.2.6, §16.7).

use super::{Call, Party, Request, Sent, Written, body, extra_fields, own_tag};
use crate::endpoint::Endpoint;
use crate::line::{Line, What};
use crate::message::{Message, reason_phrase};

impl Call {
    pub(super) fn response(
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
    pub(super) fn unseen_request(
        &mut self,
        line: &Line,
        source: &Endpoint,
        destination: &Endpoint,
    ) -> Result<usize, String> {
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
