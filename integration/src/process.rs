//! What a process and the machine took: processor time by the scheduler's clock, memory, descriptors.
//!
//! Memory and descriptors from `/proc` (Linux 4.5 and later). Processor time is what the scheduler noted at each switch, not
//! what is sampled at each tick, which misses threads that run shorter than one.

use std::fs;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// A running process.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// Processor time it has used so far, that of threads which have ended included.
    ///
    /// # Panics
    /// When it has ended, as all here.
    pub fn cpu(self) -> Duration {
        let id = libc::pid_t::try_from(self.0).expect("a process id");
        let mut clock = 0;
        // SAFETY: the pointer is to a variable of our own.
        assert_eq!(unsafe { libc::clock_getcpuclockid(id, &raw mut clock) }, 0, "a running process has a clock");
        read(clock)
    }

    /// Bytes resident (`VmRSS`), the capture ring that the kernel shares with it included.
    pub fn resident(self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Bytes resident of its own (`RssAnon`).
    pub fn own(self) -> u64 {
        self.memory("RssAnon:")
    }

    /// Open descriptors.
    pub fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0)).expect("a running process").count()
    }

    fn memory(self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux 4.5 and later");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes * 1024
    }
}

/// Time the processors of the machine were busy, all together and for whatever, time that a hypervisor took away included.
///
/// It is all the time there was but what they idled: the beginning and the end of idling are noted as they are (`NO_HZ`, as
/// every distribution has it), while what `/proc/stat` says of work is sampled at each tick. Differences of it mean
/// something, to 10 ms.
///
/// # Panics
/// When it is not Linux.
pub fn machine() -> Duration {
    let stat = fs::read_to_string("/proc/stat").expect("Linux");
    let processors = stat.lines().filter(|line| line.starts_with("cpu")).count() as u32 - 1;
    let fields = stat.lines().next().expect("the sum comes first").split_whitespace().skip(1);
    // user, nice, system, idle, iowait; a tick is 10 ms on every Linux (USER_HZ).
    let ticks: u64 = fields.skip(3).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    (read(libc::CLOCK_MONOTONIC) * processors).saturating_sub(Duration::from_millis(10 * ticks))
}

/// What a clock of the kernel says.
fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a variable of our own.
    assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut time) }, 0, "{}", io::Error::last_os_error());
    let seconds = u64::try_from(time.tv_sec).expect("no clock here runs before its beginning");
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).expect("nor does its fraction"))
}

/// Processes that wanted to run, on average of the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").expect("Linux");
    text.split(' ').next().and_then(|field| field.parse().ok()).expect("a number")
}

/// What a command took from start to end.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// How it ended.
    pub status: ExitStatus,
    /// By the clock on the wall.
    pub wall: Duration,
    /// Processor time of all its threads.
    pub cpu: Duration,
    /// Most bytes resident.
    pub peak: u64,
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or waited for.
pub fn run(command: &mut Command) -> io::Result<Taken> {
    let start = Instant::now();
    let child = command.spawn()?;
    let (status, usage) = wait(child)?;
    let wall = start.elapsed();
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    // In KiB (getrusage(2)).
    Ok(Taken { status, wall, cpu, peak: usage.ru_maxrss as u64 * 1024 })
}

/// Waits for a child, told what it took.
fn wait(child: Child) -> io::Result<(ExitStatus, libc::rusage)> {
    use std::os::unix::process::ExitStatusExt;
    let id = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: rusage is numbers alone, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to values of this frame; the child has not been waited for, so the id is its own.
        match unsafe { libc::wait4(id, &mut status, 0, &mut usage) } {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(io::Error::last_os_error()),
            _ => return Ok((ExitStatus::from_raw(status), usage)),
        }
    }
}

/// A number of bytes in MB.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
