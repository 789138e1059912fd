//! `ringside-steer explain CAPTURE`: what would be decided of each packet, and why, by the model of the kernel's program.
//!
//! The model sees the packets in their order, on the clock of the capture, as if all had entered by a device through which
//! this node's own pods send, in the mode that is configured; it begins knowing no dialog, and without the time to settle.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use affinity::steer::{Clients, Device, Kind, Model, Tables, Verdict};
use affinity::{CallHash, Key};
use receiver_pcap::trace::{Numbered, Packets};
use sip::Method;
use steer::config::Loaded;
use steer::director::{Director, Numbers, Overrides, View};

use crate::cli::Configured;
use crate::commands::load;
use crate::failure::Failure;
use crate::shown::{print, say};

/// The device that all packets enter by.
const DEVICE: u32 = 1;

/// Prints a line for each packet to or from a service or backend.
pub fn explain(capture: &Path, configured: &Configured) -> Result<(), Failure> {
    let Loaded { settings, warnings, .. } = load(configured)?;
    say(&warnings.to_string());
    // Without the key of the cluster other backends are chosen, as evenly.
    if settings.cluster_key.is_none() {
        say("without `cluster_key` the backends of new dialogs are others than on your nodes\n");
    }
    let key = settings.cluster_key.unwrap_or(Key::default());
    let mut director = Director::new(settings, key, Numbers::default(), Overrides::default());
    director.devices(BTreeMap::from([(DEVICE, Device { clients: Clients::Own, is_pod: true, controller: None })]));
    let mut tables = director.tables();
    tables.times.settle = std::time::Duration::ZERO;
    let view = director.view();
    let told = packets(capture, &tables, &view)?;
    match told {
        0 => Err(Failure::Failed("no packet is to or from a service or backend of the configuration".to_owned())),
        _ => Ok(()),
    }
}

/// Explains every packet; says how many there was something to say of.
fn packets(capture: &Path, tables: &Tables, view: &View<'_>) -> Result<u64, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let mut packets = Packets::open(&[capture.to_owned()]).map_err(|error| failed(&error))?;
    let mut explainer = Explainer { view, model: None, known: HashSet::new() };
    let (mut told, mut frame) = (0, Vec::new());
    while let Some(Numbered { number, packet, link_type, .. }) = packets.read().map_err(|error| failed(&error))? {
        if !ethernet(&mut frame, packet.bytes, link_type) {
            continue;
        }
        let now = packet.at.as_nanos();
        let Some(sentence) = explainer.packet(tables, &mut frame, now) else { continue };
        told += 1;
        if !print(&format!("{:>6}  {sentence}\n", number + 1)) {
            break;
        }
    }
    Ok(told)
}

/// The model, and what is needed to say why.
struct Explainer<'a> {
    view: &'a View<'a>,
    /// From the first packet on, for its clock is that of the capture.
    model: Option<Model>,
    /// Dialogs that an entry was left of.
    known: HashSet<CallHash>,
}

impl Explainer<'_> {
    /// What is decided of a packet; nothing to say of one that concerns nobody.
    fn packet(&mut self, tables: &Tables, frame: &mut [u8], now: u64) -> Option<String> {
        let model = self.model.get_or_insert_with(|| Model::new(tables, now));
        model.beat(now);
        let entries = |model: &Model| model.counters().backends.values().map(|one| one.new_dialogs + one.learned).sum();
        let before: u64 = entries(model);
        let decision = model.ingress(frame, DEVICE, 0, now);
        let entered = entries(model) > before;
        let was_known = decision.hash.is_some_and(|hash| self.known.contains(&hash));
        if entered {
            self.known.extend(decision.hash);
        }
        let service = self.view.services.iter().find(|service| Some(service.number) == decision.service)?;
        let backend = service.backends.iter().find(|backend| Some(backend.number) == decision.backend);
        let backend = backend.map_or("no backend", |backend| backend.name);
        let message = match decision.kind {
            Some(Kind::Request(Method::Other)) => "a request of another method, or no SIP".to_owned(),
            Some(Kind::Request(method)) => method.as_str().to_owned(),
            Some(Kind::Response) => "a response".to_owned(),
            None => "a packet".to_owned(),
        };
        let why = match (entered, was_known, decision.hash) {
            (true, ..) => "it begins a dialog",
            (_, true, _) => "its dialog is there",
            (_, _, Some(_)) => "by its Call-ID, no dialog is known",
            (_, _, None) => "it has no Call-ID: by the address it comes from",
        };
        let rule = if decision.rule > 0 { format!("; rule {}", decision.rule) } else { String::new() };
        let name = service.name;
        Some(match decision.verdict {
            Verdict::Untouched => return None,
            Verdict::Steered => format!("{message} to {name}: to {backend}; {why}{rule}"),
            Verdict::Observed if decision.backend.is_none() => {
                format!(
                    "{message} to {name}: standard path, whose choice is learned from the answer{rule} (mode observe)"
                )
            }
            Verdict::Observed => format!("{message} to {name}: would go to {backend}; {why}{rule} (mode observe)"),
            Verdict::Passed(reason) => {
                format!("{message} to {name}: standard path, {}{rule}", reason.as_str().replace('_', " "))
            }
            Verdict::Dropped => format!("{message} to {name}: dropped{rule}"),
            Verdict::Followed => format!("a later fragment to {name}: to where its first one went"),
            Verdict::Heard | Verdict::Translated if entered => {
                format!("{message} from {name}/{backend}: its dialog is learned")
            }
            Verdict::Heard | Verdict::Translated => format!("{message} from {name}/{backend}"),
        })
    }
}

/// Puts a packet into a frame of Ethernet, whatever its file has around it; `false` where that is not known.
fn ethernet(frame: &mut Vec<u8>, bytes: &[u8], link_type: u16) -> bool {
    frame.clear();
    let header = match link_type {
        ETHERNET => {
            frame.extend_from_slice(bytes);
            return true;
        }
        RAW => 0,
        SLL => 16,
        SLL2 => 20,
        _ => return false,
    };
    let Some(packet) = bytes.get(header..).filter(|packet| !packet.is_empty()) else { return false };
    let protocol: u16 = if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 };
    frame.extend_from_slice(&[0; 12]);
    frame.extend_from_slice(&protocol.to_be_bytes());
    frame.extend_from_slice(packet);
    true
}

/// Link types of capture files (tcpdump.org/linktypes.html).
const ETHERNET: u16 = 1;
const RAW: u16 = 101;
const SLL: u16 = 113;
const SLL2: u16 = 276;
