//! A new or forwarded request: its parties, CSeq and Vias (RFC 3261 §8.1.1, §12.2.1.1, §16.6).

use super::{Call, Dialog, Party, Request, body, extra_fields, own_tag};
use crate::endpoint::{Endpoint, address};
use crate::line::Line;
use crate::message::Message;

impl Call {
    pub(super) fn request(
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
    pub(super) fn learn_dialog(&mut self, invite: &Request) {
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

    pub(super) fn new_request(
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
    pub(super) fn via_stack(&mut self, stack: &str, method: &str, branch: Option<&str>) -> Result<Vec<String>, String> {
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
}

fn override_tag(tag: &mut Option<String>, given: Option<&str>) {
    match given {
        Some("-") => *tag = None,
        Some(given) => *tag = Some(given.to_owned()),
        None => {}
    }
}
