//! The kernel side for real: programs, maps and links, pinned so that they outlive the daemon.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use affinity::CallHash;
use affinity::steer::{Capacity, Counters, Dialog, Flow, Mode, Tables};
use aya::Ebpf;
use aya::maps::{Array, MapData};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions};

use super::links::{EGRESS, INGRESS, Links, Side};
use super::maps::{self, Before, Maps, failed};
use super::{Census, Event, Kernel, KernelError, apply, counts, layout, links};

/// The programs in the kernel, their maps, and the devices they are on.
pub struct Steering {
    programs: Programs,
    links: Links,
    /// `None`: what the maps hold was written by a daemon before.
    applied: Option<Tables>,
    /// Holds a folder of pins for each layout.
    pin_dir: Option<PathBuf>,
}

impl Steering {
    /// Loads the programs. In `pin_dir`, on a BPF file system, everything is pinned; what is there already is taken over,
    /// and programs on devices are replaced in their links at once. Maps of another capacity, or of the layout before, are
    /// copied, all but counters, fragments and limits: before the programs are replaced, and dialogs and flows once more
    /// after that. `None`: nothing outlives this.
    ///
    /// Needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; afterwards none where there are links of tcx (Linux 6.6).
    pub fn open(pin_dir: Option<&Path>, capacity: &Capacity) -> Result<Self, KernelError> {
        let Some(pin_dir) = pin_dir else {
            let programs = Programs::load(None, capacity, false)?;
            return Ok(Self { programs, links: Links::open(None), applied: None, pin_dir: None });
        };
        let folder = pin_dir.join(format!("v{}", layout::LAYOUT));
        let outgrown = pin_dir.join(OUTGROWN);
        // What is outgrown already was left by a daemon that ended in the middle of this; it counts as long as it has links.
        let has_links = || !Links::open(Some(&outgrown)).attached().is_empty();
        if folder.exists() && outgrown.exists() && !has_links() {
            remove(&outgrown)?;
        }
        let earlier = pin_dir.join(format!("v{}", layout::LAYOUT - 1));
        if earlier.exists() && !folder.exists() && !outgrown.exists() {
            std::fs::rename(&earlier, &outgrown).map_err(|error| KernelError::of("move pins", error))?;
        }
        if folder.exists() && !maps::fit(&folder, capacity) {
            if outgrown.exists() {
                remove(&folder)?;
            } else {
                std::fs::rename(&folder, &outgrown).map_err(|error| KernelError::of("move pins", error))?;
            }
        }
        std::fs::create_dir_all(&folder).map_err(|error| KernelError::of("make a folder for pins", error))?;
        let mut programs = Programs::load(Some(&folder), capacity, false)?;
        let before = outgrown.exists().then(|| Before::open(&outgrown)).transpose()?;
        if let Some(before) = &before {
            before.copy_tables(&mut programs.maps)?;
            before.copy_memory(&mut programs.maps)?;
        }
        let links = Links::open(Some(if before.is_some() { &outgrown } else { &folder }));
        let mut steering = Self { programs, links, applied: None, pin_dir: Some(pin_dir.to_owned()) };
        steering.links.forget_gone()?;
        for device in steering.links.attached() {
            steering.put(device)?;
        }
        if let Some(before) = &before {
            // What the programs of before wrote meanwhile.
            before.copy_memory(&mut steering.programs.maps)?;
            steering.links = Links::open(Some(&folder));
            steering.links.move_from(&outgrown)?;
            remove(&outgrown)?;
        }
        for other in folders(pin_dir)?.into_iter().filter(|other| *other != folder) {
            // Both would change packets. What such programs remember is laid out in a way that is not known here.
            tracing::warn!(pins = %other.display(), "the programs of another version are taken off, with their dialogs");
            unpin(&other)?;
        }
        Ok(steering)
    }

    fn put(&mut self, device: u32) -> Result<(), KernelError> {
        for (side, name) in [(Side::Egress, EGRESS), (Side::Ingress, INGRESS)] {
            self.links.attach(program(&mut self.programs.ebpf, name)?, device, side)?;
        }
        Ok(())
    }

    fn times(&self) -> Result<(u64, Duration), KernelError> {
        let settings = self.programs.settings()?;
        Ok((settings.grace, Duration::from_nanos(settings.dialog_idle)))
    }
}

impl Kernel for Steering {
    fn apply(&mut self, tables: &Tables, now: u64) -> Result<(), KernelError> {
        // What fails halfway is written anew as a whole.
        let before = self.applied.take();
        self.programs.apply(before.as_ref(), tables, now)?;
        self.applied = Some(tables.clone());
        Ok(())
    }

    fn beat(&mut self, now: u64) -> Result<(), KernelError> {
        let (grace, _) = self.times()?;
        if let (Some(last), Some(tables)) = (self.last_beat()?, &self.applied)
            && now.wrapping_sub(last).cast_signed() > grace.cast_signed()
        {
            let settle = apply::nanos(tables.times.settle);
            self.programs.settle(now.saturating_add(settle))?;
        }
        self.programs.beat(now)
    }

    fn last_beat(&self) -> Result<Option<u64>, KernelError> {
        let beat = self.programs.maps.heartbeat.get(&0, 0).map_err(failed("read the heartbeat"))?;
        Ok((beat != 0).then_some(beat))
    }

    fn attach(&mut self, device: u32, beside: &[String]) -> Result<(), KernelError> {
        if self.links.attached().contains(&device) {
            return Ok(());
        }
        if !links::is_ethernet(device)? {
            return Err(KernelError::NotEthernet { device });
        }
        let programs = links::foreign(device, beside)?;
        if !programs.is_empty() {
            return Err(KernelError::Foreign { device, programs });
        }
        self.put(device)
    }

    fn detach(&mut self, device: u32) -> Result<(), KernelError> {
        self.links.detach(device)
    }

    fn detach_all(&mut self) -> Result<(), KernelError> {
        // First what other versions left: the links wait until no program of ours is on their devices.
        for folder in self.pin_dir.iter().flat_map(|pin_dir| folders(pin_dir)).flatten() {
            unpin(&folder)?;
        }
        self.links.detach_all()
    }

    fn attached(&self) -> Vec<u32> {
        self.links.attached()
    }

    fn counters(&self) -> Result<Counters, KernelError> {
        self.programs.counters()
    }

    fn dialog(&self, service: u16, hash: CallHash) -> Result<Option<Dialog>, KernelError> {
        counts::dialog(&self.programs.maps, service, hash)
    }

    fn sweep(&mut self, now: u64) -> Result<Census, KernelError> {
        let (_, idle) = self.times()?;
        self.links.forget_gone()?;
        self.programs.sweep(now, idle)
    }

    fn watch(&mut self, on: bool) -> Result<(), KernelError> {
        let mut settings = self.programs.settings()?;
        settings.flags &= !layout::SETTING_WATCHED;
        if on {
            settings.flags |= layout::SETTING_WATCHED;
        }
        self.programs.set_settings(settings)
    }

    fn event(&mut self) -> Option<Event> {
        counts::event(&mut self.programs.maps)
    }
}

/// The two programs and their maps, on no device.
pub struct Programs {
    ebpf: Ebpf,
    maps: Maps,
    clock: Array<MapData, u64>,
}

/// What a program did with a packet in [`Programs::run`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// It was dropped.
    pub dropped: bool,
    /// It was sent on past the stack.
    pub redirected: bool,
    /// Its bytes afterwards.
    pub frame: Vec<u8>,
    /// Its priority afterwards.
    pub priority: u32,
    /// How long one run took on average, in nanoseconds.
    pub nanos: u32,
}

impl Programs {
    /// Loads both. `pins` as in [`Steering::open`], but the very folder. With `test_clock` the time is what
    /// [`Self::set_clock`] says.
    pub fn load(pins: Option<&Path>, capacity: &Capacity, test_clock: bool) -> Result<Self, KernelError> {
        let (mut ebpf, maps) = maps::open(pins, capacity, test_clock)?;
        for name in [INGRESS, EGRESS] {
            program(&mut ebpf, name)?.load().map_err(|error| KernelError::of("load a program", error))?;
        }
        let clock = maps::take(&mut ebpf, "clock")?;
        Ok(Self { ebpf, maps, clock })
    }

    /// Instructions that the verifier went through for both programs: ingress, egress.
    pub fn verified(&mut self) -> Result<[u32; 2], KernelError> {
        let mut verified = [0; 2];
        for (count, name) in verified.iter_mut().zip([INGRESS, EGRESS]) {
            let info =
                program(&mut self.ebpf, name)?.info().map_err(|error| KernelError::of("ask for a program", error))?;
            *count = info.verified_instruction_count().unwrap_or(0);
        }
        Ok(verified)
    }

    /// As [`Kernel::apply`]; `before`: the tables that were applied before.
    pub fn apply(&mut self, before: Option<&Tables>, tables: &Tables, now: u64) -> Result<(), KernelError> {
        apply::apply(&mut self.maps, before, tables)?;
        let was = self.settings()?;
        let mut settings = apply::settings(tables, &was);
        let switched_on = tables.mode == Mode::Active && was.flags & layout::SETTING_ACTIVE == 0;
        if switched_on || before.is_some_and(|before| tables.ends_anomaly(before)) {
            settings.settle_until = now.saturating_add(apply::nanos(tables.times.settle));
        }
        self.set_settings(settings)
    }

    /// As [`Kernel::beat`], but nothing else begins.
    pub fn beat(&mut self, now: u64) -> Result<(), KernelError> {
        self.maps.heartbeat.set(0, now, 0).map_err(failed("write the heartbeat"))
    }

    /// As [`Kernel::counters`].
    pub fn counters(&self) -> Result<Counters, KernelError> {
        counts::counters(&self.maps)
    }

    /// All dialogs, in no order: number of the service, hash, entry.
    pub fn dialogs(&self) -> Vec<(u16, CallHash, Dialog)> {
        counts::dialogs(&self.maps).collect()
    }

    /// All flows, in no order: client, backend, what lies between them.
    pub fn flows(&self) -> Vec<(SocketAddr, SocketAddr, Flow)> {
        counts::flows(&self.maps).collect()
    }

    /// As [`Kernel::sweep`], of dialogs that may be silent for `idle`.
    pub fn sweep(&mut self, now: u64, idle: Duration) -> Result<Census, KernelError> {
        counts::sweep(&mut self.maps, now, idle)
    }

    /// Runs the program of ingress, or that of egress, on a packet that entered by a device, `repeat` times.
    ///
    /// `gso`: the size of each datagram in a super-datagram, 0 of all others.
    pub fn run(&mut self, egress: bool, frame: &[u8], device: u32, gso: u32, repeat: u32) -> Result<Run, KernelError> {
        let program = program(&mut self.ebpf, if egress { EGRESS } else { INGRESS })?;
        let mut given = [0; CONTEXT];
        let mut set = |at: usize, value: u32| given[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        set(CONTEXT_IFINDEX, device);
        set(CONTEXT_GSO_SIZE, gso);
        set(CONTEXT_GSO_SEGS, u32::from(gso != 0));
        let (mut taken, mut changed) = ([0; CONTEXT], vec![0; frame.len()]);
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut changed),
            ctx_in: Some(&given),
            ctx_out: Some(&mut taken),
            repeat,
            ..TestRunOptions::new()
        };
        let result = program.test_run(options).map_err(|error| KernelError::of("run a program", error))?;
        let priority = taken[CONTEXT_PRIORITY..][..4].try_into().expect("four bytes");
        Ok(Run {
            dropped: result.return_value == DROPPED,
            redirected: result.return_value == REDIRECTED,
            frame: changed,
            priority: u32::from_ne_bytes(priority),
            nanos: u32::try_from(result.duration.as_nanos()).unwrap_or(u32::MAX),
        })
    }

    /// Sets the clock of tests.
    pub fn set_clock(&mut self, now: u64) -> Result<(), KernelError> {
        self.clock.set(0, now, 0).map_err(failed("set the clock"))
    }

    /// Has messages of unknown older dialogs take the standard path until then.
    pub fn settle(&mut self, until: u64) -> Result<(), KernelError> {
        let settings = layout::Settings { settle_until: until, ..self.settings()? };
        self.set_settings(settings)
    }

    fn settings(&self) -> Result<layout::Settings, KernelError> {
        self.maps.settings.get(&0, 0).map_err(failed("read settings"))
    }

    fn set_settings(&mut self, settings: layout::Settings) -> Result<(), KernelError> {
        self.maps.settings.set(0, settings, 0).map_err(failed("write settings"))
    }
}

/// Where in the folder of pins those maps are that are copied.
const OUTGROWN: &str = "outgrown";

/// The folders of pins that are there, of whatever layout.
fn folders(pin_dir: &Path) -> Result<Vec<PathBuf>, KernelError> {
    let entries = std::fs::read_dir(pin_dir).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let entries = entries.map_err(|error| KernelError::of("list pins", error))?;
    let is_layout = |name: &str| name.strip_prefix('v').is_some_and(|number| number.parse::<u64>().is_ok());
    let is_one = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name == OUTGROWN || is_layout(name))
    };
    Ok(entries.iter().map(std::fs::DirEntry::path).filter(is_one).collect())
}

/// Takes the programs of a folder of pins off their devices, and removes it.
fn unpin(folder: &Path) -> Result<(), KernelError> {
    let mut links = Links::open(Some(folder));
    for device in links.attached() {
        links.detach(device)?;
    }
    remove(folder)
}

/// Removes a folder of pins.
fn remove(folder: &Path) -> Result<(), KernelError> {
    std::fs::remove_dir_all(folder).map_err(|error| KernelError::of("remove pins", error))
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut SchedClassifier, KernelError> {
    let program = ebpf.program_mut(name).ok_or(KernelError::Tables { what: "another version's programs" })?;
    program.try_into().map_err(|error: aya::programs::ProgramError| KernelError::of("use a program", error))
}

/// Bytes of `struct __sk_buff`, and where in it fields stand.
const CONTEXT: usize = 192;
const CONTEXT_PRIORITY: usize = 32;
const CONTEXT_IFINDEX: usize = 40;
const CONTEXT_GSO_SEGS: usize = 164;
const CONTEXT_GSO_SIZE: usize = 176;

/// `TC_ACT_SHOT`, `TC_ACT_REDIRECT`.
const DROPPED: u32 = 2;
const REDIRECTED: u32 = 7;
