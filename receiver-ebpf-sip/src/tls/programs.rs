//! The eBPF programs of `ebpf/tls`: loading them, their maps, setting their probes.
//!
//! Needs CAP_BPF and CAP_PERFMON. Where the kernel sets probes of many functions in one link (Linux 6.6) that is
//! enough for later probes too; an older one asks for CAP_SYS_ADMIN, for perf_event_open().

use std::collections::HashSet;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope};
use aya::programs::{ProgramError, RawTracePoint, UProbe};
use aya::{Btf, BtfError, Ebpf, EbpfError, EbpfLoader};
use aya_obj::Object;
use aya_obj::btf::BtfFeatures;
use caps::Capability;

use super::bpf::{self, Loadable, Points};
use super::library::Point;
use super::record::{Call, Process};
use crate::capabilities::has;
use crate::probe::version;
use crate::sys;

/// Why the programs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel does not describe its structures (CONFIG_DEBUG_INFO_BTF).
    #[error("the kernel's type information could not be read")]
    Types(#[from] BtfError),
    /// A map could not be made, or the object is not what the loader knows.
    #[error("the maps of the TLS programs could not be made")]
    Maps(#[from] EbpfError),
    /// The verifier or the kernel's permissions refused one.
    #[error("a TLS program was refused")]
    Program(#[from] ProgramError),
    /// Likewise, of those that aya does not load.
    #[error("the program of the TLS probes was refused")]
    Probes(#[source] io::Error),
    /// A map is not there or has another shape: the object belongs to another version.
    #[error("a map of the TLS programs is not usable")]
    Map(#[from] MapError),
    /// The object holds no such thing, or does not fit together: it belongs to another version.
    #[error("the object of the TLS programs is not usable: {0}")]
    Object(String),
}

/// How probes are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Many in one link: Linux 6.6.
    Links,
    /// One by one, as performance events.
    Events,
}

impl Way {
    /// The best one.
    fn of_this_kernel() -> Self {
        let version = sys::kernel_release().ok().and_then(|release| version(&release));
        if version.is_some_and(|version| version >= (6, 6)) { Self::Links } else { Self::Events }
    }

    /// What setting probes takes, loading programs does not, and the calling thread lacks.
    pub fn missing(self) -> Option<Capability> {
        (self == Self::Events && !has(Capability::CAP_SYS_ADMIN)).then_some(Capability::CAP_SYS_ADMIN)
    }

    /// What the thread that sets probes keeps: loaded programs and probes, and the roots of other processes.
    pub const fn capabilities(self) -> &'static [Capability] {
        match self {
            Self::Links => &[Capability::CAP_BPF, Capability::CAP_PERFMON, Capability::CAP_SYS_PTRACE],
            Self::Events => {
                &[Capability::CAP_BPF, Capability::CAP_PERFMON, Capability::CAP_SYS_PTRACE, Capability::CAP_SYS_ADMIN]
            }
        }
    }
}

/// The loaded programs with their maps, to be handed to those who use them.
pub struct Programs {
    pub prober: Prober,
    /// The SIP ports, as a set of bits.
    pub ports: Array<MapData, u64>,
    /// One word: 1, processes have to be decided about.
    pub settings: Array<MapData, u64>,
    pub records: RingBuf<MapData>,
    pub sightings: RingBuf<MapData>,
    /// `struct judgement` by process.
    pub processes: HashMap<MapData, Process, [u64; 2]>,
    /// The same map, for another thread.
    pub decisions: HashMap<MapData, Process, [u64; 2]>,
    /// Counters by [`COUNTS`].
    pub counts: PerCpuArray<MapData, u64>,
}

/// Counters of the kernel side, in its order; the first one counts records that were lost.
pub const COUNTS: [&str; 5] = ["records_lost", "bytes_unreadable", "calls_lost", "sightings_lost", "addresses_changed"];

impl Programs {
    /// Loads everything, and begins to watch what threads receive; no probe is set. `way` is for tests; by default it
    /// is the best the kernel offers.
    pub fn load(way: Option<Way>) -> Result<Self, LoadError> {
        let kernel = Btf::from_sys_fs()?;
        let mut ebpf = EbpfLoader::new().btf(Some(&kernel)).load(OBJECT)?;
        let links = match way.unwrap_or_else(Way::of_this_kernel) {
            Way::Links => Some(Links::load(&ebpf, &kernel)?),
            Way::Events => None,
        };
        if links.is_none() {
            for name in ["enter", "leave"] {
                uprobe(&mut ebpf, name)?.load()?;
            }
        }
        attach(&mut ebpf, "state_changed", "inet_sock_set_state")?;
        match links {
            // Called by receivers alone, and there since Linux 6.3.
            Some(_) => attach(&mut ebpf, "received_length", "sock_recv_length")?,
            None => attach(&mut ebpf, "received_bytes", "tcp_rcv_space_adjust")?,
        }
        let mut take = |name: &str| ebpf.take_map(name).ok_or_else(|| missing(name));
        let processes = take("processes")?;
        let decisions = copy(&processes)?;
        Ok(Self {
            ports: take("ports")?.try_into()?,
            settings: take("settings")?.try_into()?,
            records: take("records")?.try_into()?,
            sightings: take("processes_seen")?.try_into()?,
            counts: take("counts")?.try_into()?,
            processes: processes.try_into()?,
            decisions: decisions.try_into()?,
            prober: Prober { links, ebpf },
        })
    }
}

/// Sets probes in files; those set last as long as the [`Probes`] it returns, the rest as long as this.
pub struct Prober {
    links: Option<Links>,
    /// Also keeps what watches the threads.
    ebpf: Ebpf,
}

/// Probes in one file.
#[expect(dead_code, reason = "they are set as long as these live")]
pub enum Probes {
    Links([OwnedFd; 2]),
    Events(Vec<UProbeLink>),
}

/// Why probes could not be set.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel refused a link.
    #[error("the kernel refused")]
    Link(#[from] io::Error),
    /// Likewise, an event.
    #[error("the kernel refused")]
    Event(#[source] Box<ProgramError>),
}

impl Prober {
    /// How it sets them.
    pub const fn way(&self) -> Way {
        if self.links.is_some() { Way::Links } else { Way::Events }
    }

    /// Sets probes in a file, in every process that has it mapped or will.
    pub fn probe(&mut self, file: &File, points: &[Point]) -> Result<Probes, ProbeError> {
        // By the open file, so that nothing can take its place meanwhile.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let Some(links) = &self.links else {
            return self.probe_by_events(&path, points).map_err(|error| ProbeError::Event(Box::new(error)));
        };
        let path = CString::new(path).expect("digits hold no zero");
        let link = |program: &OwnedFd, on_return: bool| {
            let points = points.iter().filter(|point| !on_return || point.call != Call::Free);
            let (offsets, cookies): (Vec<u64>, Vec<u64>) =
                points.map(|point| (point.offset, point.call as u64)).unzip();
            bpf::probe(program.as_fd(), &Points { path: &path, offsets: &offsets, cookies: &cookies, on_return })
        };
        // Returns first: a call that is entered is then sure to be left.
        Ok(Probes::Links([link(&links.leave, true)?, link(&links.enter, false)?]))
    }

    fn probe_by_events(&mut self, path: &str, points: &[Point]) -> Result<Probes, ProgramError> {
        let mut probes = Vec::new();
        for (name, on_return) in [("leave", true), ("enter", false)] {
            let program: &mut UProbe = self.ebpf.program_mut(name).expect("it has been loaded").try_into()?;
            for point in points.iter().filter(|point| !on_return || point.call != Call::Free) {
                let location = UProbeAttachLocation::AbsoluteOffset(point.offset);
                let at = UProbeAttachPoint { location, cookie: Some(point.call as u64) };
                let link = program.attach(at, path, UProbeScope::AllProcesses)?;
                probes.push(program.take_link(link)?);
            }
        }
        Ok(Probes::Events(probes))
    }
}

/// The programs of the probes, loaded for links.
struct Links {
    enter: OwnedFd,
    leave: OwnedFd,
}

impl Links {
    /// Loads them beside aya, which has made the maps.
    fn load(ebpf: &Ebpf, kernel: &Btf) -> Result<Self, LoadError> {
        let mut object = Object::parse(OBJECT).map_err(unusable)?;
        // A kernel with such links knows all kinds of types.
        let all = BtfFeatures::new(true, true, true, true, true, true, true, true);
        let types = object.fixup_and_sanitize_btf(&all)?.ok_or_else(|| missing(".BTF"))?;
        let types = bpf::load_types(&types.to_bytes()).map_err(LoadError::Probes)?;
        object.relocate_btf(kernel).map_err(unusable)?;
        let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
        let maps = object.maps.clone();
        let mut known = Vec::new();
        for (name, map) in &maps {
            if let Some(made) = ebpf.map(name) {
                known.push((name.as_str(), descriptor(made)?, map));
            }
        }
        object.relocate_maps(known.into_iter(), &sections).map_err(unusable)?;
        object.relocate_calls(&sections).map_err(unusable)?;
        let load = |name: &str| {
            let program = object.programs.get(name).ok_or_else(|| missing(name))?;
            let function = object.functions.get(&program.function_key()).ok_or_else(|| missing(name))?;
            bpf::load_program(&Loadable {
                name,
                instructions: &function.instructions,
                types: types.as_fd(),
                functions: &function.func_info.func_info_bytes(),
                function_size: function.func_info_rec_size,
            })
            .map_err(LoadError::Probes)
        };
        Ok(Self { enter: load("enter")?, leave: load("leave")? })
    }
}

/// Lets a program watch a tracepoint.
fn attach(ebpf: &mut Ebpf, name: &str, tracepoint: &str) -> Result<(), LoadError> {
    let program: &mut RawTracePoint = ebpf.program_mut(name).ok_or_else(|| missing(name))?.try_into()?;
    program.load()?;
    program.attach(tracepoint)?;
    Ok(())
}

fn uprobe<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut UProbe, LoadError> {
    Ok(ebpf.program_mut(name).ok_or_else(|| missing(name))?.try_into()?)
}

/// A second handle of a map of processes.
fn copy(map: &Map) -> Result<Map, LoadError> {
    let Map::LruHashMap(data) = map else { return Err(missing("processes")) };
    let fd = data.fd().as_fd().try_clone_to_owned().map_err(LoadError::Probes)?;
    Ok(Map::LruHashMap(MapData::from_fd(fd)?))
}

fn descriptor(map: &Map) -> Result<i32, LoadError> {
    match map {
        Map::Array(data) | Map::LruHashMap(data) | Map::PerCpuArray(data) | Map::RingBuf(data) => {
            Ok(data.fd().as_fd().as_raw_fd())
        }
        _ => Err(LoadError::Object("a map of an unknown type".to_owned())),
    }
}

fn missing(name: &str) -> LoadError {
    LoadError::Object(format!("no {name}"))
}

fn unusable(error: impl std::error::Error) -> LoadError {
    LoadError::Object(crate::failure::failure(&error))
}

/// Compiled by build.rs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tls.o"));

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &str = include_str!("../../../ebpf/tls/records.h");

    #[test]
    fn counts_are_those_of_the_kernel_side_in_its_order() {
        let start = RECORDS.find("enum count {").expect("it is there");
        let body = RECORDS[start..].split("};").next().expect("it ends").lines().skip(1);
        let names: Vec<String> = body
            .filter_map(|line| line.trim().split(',').next())
            .filter(|name| !name.is_empty() && *name != "COUNTS")
            .map(str::to_lowercase)
            .collect();
        assert_eq!(names, COUNTS);
    }
}
