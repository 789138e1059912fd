//! What a response means: who took its request, whether it fits, and whether it comes back the way it should.

use affinity::{Glance, Start};
use pipeline::SipFrame;
use pipeline::affinity::AffinityFact;
use sip::Method;

use crate::dialogs::Fate;
use crate::services::Place;
use crate::state::{Out, State};
use crate::transactions::{Part, Port, Reply, Taken};

impl State {
    /// A response was seen, of what stands at `source`.
    pub fn on_response(&mut self, frame: &SipFrame, message: &[u8], source: Option<Place>, out: &mut Out<'_>) {
        let now = self.now;
        if let Some(Place::Service(service)) = source {
            self.services.services[usize::from(service)].replied = Some(now);
        }
        if self.transactions.is_empty() {
            return;
        }
        let Some(glance) = Glance::at(message) else { return };
        let (Start::Response(status), Some(call_id), Some(cseq)) = (glance.start, glance.call_id, glance.cseq) else {
            return;
        };
        let branch = glance.via.map_or(&b""[..], |via| via.branch);
        let key = self.hashes.transaction(self.hashes.dialog(call_id), branch, cseq);
        let Some(sent) = self.transactions.get_mut(key).filter(|sent| sent.part != Part::Bypass) else { return };
        sent.answered = true;
        let service = sent.service;
        let of = &mut self.services.services[usize::from(service)];
        of.seen(Self::shown(frame));
        self.flows.reply(sent.flow, now);
        if sent.taken == Taken::Open {
            let member = match source {
                Some(Place::Backend(backend)) => of.member(backend),
                _ => None,
            };
            match member {
                Some(member) => self.on_taken(key, member, None, out),
                None => {
                    sent.taken = Taken::Unknown;
                    of.counts.unknown += 1;
                    self.tell(service, AffinityFact::UnknownBackend, out);
                }
            }
        }
        self.on_status(key, status, cseq.1, out);
        self.on_way_back(key, status, frame, source, out);
    }

    /// What a status says of the dialog.
    fn on_status(&mut self, key: u64, status: u16, method: Method, out: &mut Out<'_>) {
        let Some(sent) = self.transactions.get_mut(key) else { return };
        let Some(dialog_key) = sent.dialog else { return };
        let Some(dialog) = self.dialogs.get_mut(dialog_key) else { return };
        let challenge = matches!(status, 401 | 407);
        if challenge && method == Method::Invite {
            dialog.challenged = true;
        }
        if status == 481 && matches!(sent.taken, Taken::Elsewhere(_)) && dialog.fate == Fate::Moved {
            dialog.fate = Fate::Failed;
            let service = sent.service;
            self.services.services[usize::from(service)].counts.moved.failed += 1;
            self.tell(service, AffinityFact::MovedFailed, out);
        }
        let Some(sent) = self.transactions.get_mut(key) else { return };
        let refused = (sent.initial || sent.part == Part::First) && status >= 300 && !challenge;
        // Whatever the answer, the client is through with it (RFC 3261 §15.1.1).
        let hung_up = matches!(sent.part, Part::Bye(_)) && status >= 200 && !challenge;
        if refused || hung_up {
            self.dialogs.end(dialog_key, self.now);
        }
    }

    /// Whether a response comes from where its request was sent to, and goes to where it came from.
    fn on_way_back(&mut self, key: u64, status: u16, frame: &SipFrame, source: Option<Place>, out: &mut Out<'_>) {
        let Some(sent) = self.transactions.get_mut(key) else { return };
        let service = sent.service;
        let own = source == Some(Place::Service(service));
        // Behind the translation a request may have another sender, and there responses go back to that.
        let expected = match sent.translated {
            Some(behind) if !own && behind.ip() == frame.destination.ip() => behind.port(),
            _ => sent.client.port(),
        };
        let mut missed = false;
        if sent.port == Port::Same && frame.destination.port() != expected {
            sent.port = Port::Missed;
            missed = true;
        }
        match sent.reply {
            Reply::Waits(waits) if own && waits == status => sent.reply = Reply::Fine,
            Reply::Fine if !own && frame.destination.ip() == sent.client.ip() => {
                self.transactions.wait(key, status, self.now, self.settings.config.max_flows);
            }
            _ => {}
        }
        if missed {
            self.services.services[usize::from(service)].counts.off_port += 1;
            self.tell(service, AffinityFact::OffPortReply, out);
        }
    }
}
