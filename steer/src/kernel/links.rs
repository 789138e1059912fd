//! The programs on devices: links of tcx (Linux 6.6), pinned; before that filters of the classifier of tc.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle};
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};
use aya::util::KernelVersion;
use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcFilterBpfOption, TcMessage, TcOption};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_indextoname;

use super::KernelError;
use crate::rtnetlink::Questions;

/// Names of the programs, which also tell that they are ours.
pub const INGRESS: &str = "steer_ingress";
/// Likewise.
pub const EGRESS: &str = "steer_egress";

/// Filters of tc have a place of their own, so that a later program replaces them there.
const PRIORITY: u16 = 1000;
const HANDLE: TcHandle = TcHandle::new(0, 0x51b);

/// How long links may take to go, and how often that is looked at.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(1);

/// Where a link or filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Ingress,
    Egress,
}

/// The programs on devices.
#[derive(Default)]
pub struct Links {
    /// Where they are pinned; `None`: they last as long as this.
    pins: Option<PathBuf>,
    held: BTreeMap<(u32, Side), SchedClassifierLink>,
    attached: BTreeMap<u32, Means>,
}

/// By what a device has the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Tcx,
    Classifier,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    const fn attach_type(self) -> TcAttachType {
        match self {
            Self::Ingress => TcAttachType::Ingress,
            Self::Egress => TcAttachType::Egress,
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Ingress => INGRESS,
            Self::Egress => EGRESS,
        }
    }
}

impl Links {
    /// The links that are pinned in a folder go on.
    pub fn open(pins: Option<&Path>) -> Self {
        let mut links = Self { pins: pins.map(Path::to_owned), ..Self::default() };
        for device in links.pinned() {
            links.attached.insert(device, Means::Tcx);
        }
        links
    }

    pub fn attached(&self) -> Vec<u32> {
        self.attached.keys().copied().collect()
    }

    /// Devices that have both pins.
    fn pinned(&self) -> Vec<u32> {
        let Some(pins) = &self.pins else { return Vec::new() };
        let names: Vec<String> = std::fs::read_dir(pins)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        let devices =
            names.iter().filter_map(|name| name.strip_prefix("link-")?.strip_suffix("-ingress")?.parse().ok());
        devices.filter(|device: &u32| names.iter().any(|name| *name == format!("link-{device}-egress"))).collect()
    }

    fn pin(&self, device: u32, side: Side) -> Option<PathBuf> {
        let side = if side == Side::Ingress { "ingress" } else { "egress" };
        Some(self.pins.as_ref()?.join(format!("link-{device}-{side}")))
    }

    /// Puts a program on one side of a device: into the link that is pinned there, else into a new one.
    pub fn attach(&mut self, program: &mut SchedClassifier, device: u32, side: Side) -> Result<(), KernelError> {
        let name = name(device)?;
        if self.take_over(program, device, side)? {
            return Ok(());
        }
        let order = TcAttachOptions::TcxOrder(LinkOrder::default());
        match program.attach_with_options(&name, side.attach_type(), order) {
            Ok(id) => {
                let link = program.take_link(id).map_err(|error| KernelError::of("attach a program", error))?;
                self.hold(link, device, side)?;
                self.attached.insert(device, Means::Tcx);
                Ok(())
            }
            Err(error) => match KernelError::of("attach a program", error) {
                // Before Linux 6.6 there is no such link.
                KernelError::System { source, .. } if source.raw_os_error() == Some(nix::libc::EINVAL) => {
                    classify(program, &name, side)?;
                    self.attached.insert(device, Means::Classifier);
                    Ok(())
                }
                error => Err(error),
            },
        }
    }

    /// Whether the link of a pin took the program. A pin whose device is gone is removed.
    fn take_over(&mut self, program: &mut SchedClassifier, device: u32, side: Side) -> Result<bool, KernelError> {
        let Some(pin) = self.pin(device, side) else { return Ok(false) };
        let Ok(pinned) = PinnedLink::from_pin(&pin) else { return Ok(false) };
        let link = SchedClassifierLink::try_from(FdLink::from(pinned));
        let taken = link
            .map_err(|error| KernelError::of("take a link over", error))
            .and_then(|link| program.attach_to_link(link).map_err(|error| KernelError::of("take a link over", error)));
        match taken {
            Ok(id) => {
                // The pin holds it.
                drop(program.take_link(id).map_err(|error| KernelError::of("take a link over", error))?);
                self.attached.insert(device, Means::Tcx);
                Ok(true)
            }
            Err(KernelError::Permission { what, source }) => Err(KernelError::Permission { what, source }),
            Err(_) => {
                std::fs::remove_file(&pin).map_err(|error| KernelError::of("remove a pin", error))?;
                Ok(false)
            }
        }
    }

    fn hold(&mut self, link: SchedClassifierLink, device: u32, side: Side) -> Result<(), KernelError> {
        let Some(pin) = self.pin(device, side) else {
            self.held.insert((device, side), link);
            return Ok(());
        };
        let link = FdLink::try_from(link).map_err(|error| KernelError::of("pin a link", error))?;
        link.pin(&pin).map_err(|error| KernelError::of("pin a link", error))?;
        Ok(())
    }

    /// Moves pins that are in another folder to the one of these links.
    pub fn move_from(&mut self, folder: &Path) -> Result<(), KernelError> {
        let there = Self::open(Some(folder));
        for device in there.attached() {
            for side in Side::BOTH {
                if let (Some(from), Some(to)) = (there.pin(device, side), self.pin(device, side)) {
                    std::fs::rename(from, to).map_err(|error| KernelError::of("move a pin", error))?;
                }
            }
            self.attached.insert(device, Means::Tcx);
        }
        Ok(())
    }

    /// Takes both programs off a device. One that is gone is no error.
    pub fn detach(&mut self, device: u32) -> Result<(), KernelError> {
        let Some(means) = self.attached.remove(&device) else { return Ok(()) };
        for side in Side::BOTH {
            self.held.remove(&(device, side));
            if let Some(pin) = self.pin(device, side) {
                match std::fs::remove_file(pin) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(KernelError::of("remove a pin", error));
                    }
                    _ => {}
                }
            }
            if means == Means::Classifier
                && let Ok(name) = name(device)
            {
                unclassify(&name, side)?;
            }
        }
        Ok(())
    }

    /// Takes the programs off every device, also off those that an earlier daemon put them on.
    pub fn detach_all(&mut self) -> Result<(), KernelError> {
        let attached = self.attached();
        for device in &attached {
            self.detach(*device)?;
        }
        // The kernel takes them off a moment after their pins are gone.
        let is_on = |device: &u32| {
            let names = programs(*device).unwrap_or_default();
            names.iter().any(|name| name == INGRESS || name == EGRESS)
        };
        let until = Instant::now() + PATIENCE;
        while attached.iter().any(is_on) && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        if KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0)) {
            return Ok(());
        }
        for name in devices()?.into_values() {
            for side in Side::BOTH {
                unclassify(&name, side)?;
            }
        }
        Ok(())
    }

    /// Forgets devices that are no more, and removes their pins.
    pub fn forget_gone(&mut self) -> Result<(), KernelError> {
        for device in self.attached().into_iter().filter(|device| name(*device).is_err()) {
            self.detach(device)?;
        }
        Ok(())
    }
}

/// Programs of others on a device that are not on a list.
pub fn foreign(device: u32, beside: &[String]) -> Result<Vec<String>, KernelError> {
    let mut found = programs(device)?;
    found.extend(filters(device).map_err(|error| KernelError::of("list filters", error))?);
    found.retain(|name| name != INGRESS && name != EGRESS && !beside.contains(name));
    found.sort();
    found.dedup();
    Ok(found)
}

/// As [`super::programs_on`].
pub fn programs(device: u32) -> Result<Vec<String>, KernelError> {
    let name = name(device)?;
    let mut found = Vec::new();
    for side in Side::BOTH {
        // Refused, or not known before Linux 6.6.
        let Ok((_, programs)) = SchedClassifier::query_tcx(&name, side.attach_type()) else { continue };
        found.extend(programs.iter().map(|program| program.name_as_str().unwrap_or("?").to_owned()));
    }
    Ok(found)
}

/// Names of the programs that filters of the classifier of tc run on a device, `?` of one without a name.
fn filters(device: u32) -> io::Result<Vec<String>> {
    let mut questions = Questions::open()?;
    let mut found = Vec::new();
    for parent in [CLSACT_INGRESS, CLSACT_EGRESS] {
        let mut message = TcMessage::default();
        (message.header.index, message.header.parent) = (device.cast_signed(), parent.into());
        // Where a device has no such hook there is nothing to list; what cannot be read is no program.
        let answers = questions.ask(RouteNetlinkMessage::GetTrafficFilter(message), NLM_F_DUMP).unwrap_or_default();
        for answer in answers {
            let RouteNetlinkMessage::NewTrafficFilter(filter) = answer else { continue };
            let is_bpf = |attribute: &TcAttribute| matches!(attribute, TcAttribute::Kind(kind) if kind == "bpf");
            let options = filter.attributes.iter().find_map(|attribute| match attribute {
                TcAttribute::Options(options) => Some(options),
                _ => None,
            });
            if let Some(options) = options.filter(|_| filter.attributes.iter().any(is_bpf)) {
                let name = options.iter().find_map(|option| match option {
                    TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => Some(name.trim_end_matches('\0').to_owned()),
                    _ => None,
                });
                found.push(name.unwrap_or_else(|| "?".to_owned()));
            }
        }
    }
    Ok(found)
}

/// `TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)` and `TC_H_MIN_EGRESS`.
const CLSACT_INGRESS: u32 = 0xffff_fff2;
const CLSACT_EGRESS: u32 = 0xffff_fff3;

/// Whether packets of a device have an Ethernet header.
pub fn is_ethernet(device: u32) -> Result<bool, KernelError> {
    const ARPHRD_ETHER: u16 = 1;
    let mut addresses = getifaddrs().map_err(|error| KernelError::of("list devices", io::Error::from(error)))?;
    Ok(addresses.any(|address| {
        let link = address.address.as_ref().and_then(|address| address.as_link_addr());
        link.is_some_and(|link| link.ifindex() == device as usize && link.hatype() == ARPHRD_ETHER)
    }))
}

fn devices() -> Result<BTreeMap<usize, String>, KernelError> {
    let addresses = getifaddrs().map_err(|error| KernelError::of("list devices", io::Error::from(error)))?;
    Ok(addresses
        .filter_map(|address| {
            let index = address.address.as_ref()?.as_link_addr()?.ifindex();
            Some((index, address.interface_name))
        })
        .collect())
}

/// The name that a device has now.
fn name(device: u32) -> Result<String, KernelError> {
    let name = if_indextoname(device).map_err(|error| KernelError::of("find a device", io::Error::from(error)))?;
    // Where there is no such device, nix 0.32 gives an empty name.
    if name.is_empty() {
        return Err(KernelError::of("find a device", io::Error::from_raw_os_error(nix::libc::ENODEV)));
    }
    CString::into_string(name).map_err(|error| KernelError::of("read the name of a device", error))
}

/// Puts a program into the filter of tc that is ours, whether it is there or not.
fn classify(program: &mut SchedClassifier, device: &str, side: Side) -> Result<(), KernelError> {
    let failed = |error| KernelError::of("attach a program", error);
    if let Err(error) = tc::qdisc_add_clsact(device) {
        match KernelError::of("attach a program", error) {
            // It has one.
            KernelError::System { source, .. } if source.raw_os_error() == Some(nix::libc::EEXIST) => {}
            error => return Err(error),
        }
    }
    let there = SchedClassifierLink::attached(device, side.attach_type(), PRIORITY, HANDLE, None)
        .map_err(|error| KernelError::of("attach a program", error))?;
    let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
    let id = match program.attach_to_link(there) {
        Ok(id) => id,
        Err(_) => program
            .attach_with_options(device, side.attach_type(), TcAttachOptions::Netlink(options))
            .map_err(failed)?,
    };
    // The filter stays, whatever becomes of this process.
    std::mem::forget(program.take_link(id).map_err(failed)?);
    Ok(())
}

/// Takes our filter off. None there is no error.
fn unclassify(device: &str, side: Side) -> Result<(), KernelError> {
    match tc::qdisc_detach_program(device, side.attach_type(), side.program()) {
        Ok(()) => Ok(()),
        Err(error) => match KernelError::of("detach a program", error) {
            KernelError::Permission { what, source } => Err(KernelError::Permission { what, source }),
            // Not there, no qdisc, or no such device.
            _ => Ok(()),
        },
    }
}
