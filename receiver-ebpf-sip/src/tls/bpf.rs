//! The system call bpf() for what aya 0.14 does not do: probes of many functions in one link, whose programs have to be
//! loaded for that purpose (Linux 6.6).
//!
//! Such links need CAP_BPF and CAP_PERFMON; probes by perf_event_open() need CAP_SYS_ADMIN.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use aya_obj::generated::bpf_insn;

/// A program as it goes into the kernel.
pub struct Loadable<'a> {
    pub name: &'a str,
    pub instructions: &'a [bpf_insn],
    /// Type information of the object, see [`load_types`].
    pub types: BorrowedFd<'a>,
    /// `struct bpf_func_info`: a function that is handed to a helper has to be known.
    pub functions: &'a [u8],
    pub function_size: usize,
}

/// Probes of functions of one file.
pub struct Points<'a> {
    /// A path to the file.
    pub path: &'a CStr,
    /// Where the functions begin in it.
    pub offsets: &'a [u64],
    /// What the program is told at each.
    pub cookies: &'a [u64],
    /// When the functions return, else when they are called.
    pub on_return: bool,
}

/// Loads type information.
pub fn load_types(bytes: &[u8]) -> io::Result<OwnedFd> {
    bpf(BPF_BTF_LOAD, &LoadTypes { types: address(bytes), types_size: size(bytes.len())?, ..LoadTypes::default() })
}

/// Loads a program for probes of many functions. Where the verifier refuses it, the error ends with its last words.
pub fn load_program(program: &Loadable<'_>) -> io::Result<OwnedFd> {
    let mut attributes = LoadProgram {
        program_type: BPF_PROG_TYPE_KPROBE,
        instruction_count: size(program.instructions.len())?,
        instructions: address(program.instructions),
        license: address(LICENSE.to_bytes_with_nul()),
        expected_attach_type: BPF_TRACE_UPROBE_MULTI,
        types: program.types.as_raw_fd().cast_unsigned(),
        function_size: size(program.function_size)?,
        functions: address(program.functions),
        function_count: size(program.functions.len().checked_div(program.function_size).unwrap_or(0))?,
        ..LoadProgram::default()
    };
    for (to, from) in attributes.name[..NAME_SIZE - 1].iter_mut().zip(program.name.bytes()) {
        *to = from;
    }
    match bpf(BPF_PROG_LOAD, &attributes) {
        Err(error) if error.raw_os_error() != Some(libc::EPERM) => {
            // Once more, for the reason.
            let mut log = vec![0_u8; LOG_SIZE];
            attributes.log = log.as_mut_ptr() as u64;
            attributes.log_size = size(log.len())?;
            attributes.log_level = 1;
            bpf(BPF_PROG_LOAD, &attributes)
                .map_err(|_| io::Error::new(error.kind(), format!("{error}\n{}", tail(&log))))
        }
        result => result,
    }
}

/// Sets probes; they last as long as what is returned.
pub fn probe(program: BorrowedFd<'_>, points: &Points<'_>) -> io::Result<OwnedFd> {
    debug_assert_eq!(points.offsets.len(), points.cookies.len());
    let attributes = CreateLink {
        program: program.as_raw_fd().cast_unsigned(),
        attach_type: BPF_TRACE_UPROBE_MULTI,
        path: points.path.as_ptr() as u64,
        offsets: address(points.offsets),
        cookies: address(points.cookies),
        count: size(points.offsets.len())?,
        probe_flags: if points.on_return { BPF_F_UPROBE_MULTI_RETURN } else { 0 },
        ..CreateLink::default()
    };
    bpf(BPF_LINK_CREATE, &attributes)
}

/// `union bpf_attr` for BPF_BTF_LOAD.
#[repr(C)]
#[derive(Default)]
struct LoadTypes {
    types: u64,
    log: u64,
    types_size: u32,
    log_size: u32,
    log_level: u32,
    unused: u32,
}

/// `union bpf_attr` for BPF_PROG_LOAD, as far as line information, which nobody asks for.
#[repr(C)]
#[derive(Default)]
struct LoadProgram {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; NAME_SIZE],
    interface: u32,
    expected_attach_type: u32,
    types: u32,
    function_size: u32,
    functions: u64,
    function_count: u32,
    line_size: u32,
}

/// `union bpf_attr` for BPF_LINK_CREATE with BPF_TRACE_UPROBE_MULTI.
#[repr(C)]
#[derive(Default)]
struct CreateLink {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    reference_counters: u64,
    cookies: u64,
    count: u32,
    probe_flags: u32,
    process: u32,
    unused: u32,
}

const _: () = assert!(size_of::<LoadTypes>() == 32);
const _: () = assert!(std::mem::offset_of!(LoadProgram, expected_attach_type) == 68);
const _: () = assert!(size_of::<LoadProgram>() == 96);
const _: () = assert!(std::mem::offset_of!(CreateLink, count) == 48);
const _: () = assert!(size_of::<CreateLink>() == 64);

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_BTF_LOAD: libc::c_int = 18;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_PROG_TYPE_KPROBE: u32 = 2;
const BPF_TRACE_UPROBE_MULTI: u32 = 48;
const BPF_F_UPROBE_MULTI_RETURN: u32 = 1;

const NAME_SIZE: usize = 16;
/// The licence that the object states, in the kernel's own words.
const LICENSE: &CStr = c"Dual BSD/GPL";
/// Bytes of the verifier's log, and lines of it that an error shows.
const LOG_SIZE: usize = 1024 * 1024;
const LOG_LINES: usize = 5;

/// A command whose result is a new descriptor. `A` is the part of `union bpf_attr` that belongs to it.
fn bpf<A>(command: libc::c_int, attributes: &A) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `size_of` bytes of a live structure, and through the addresses in it slices that its
    // owners, the functions above, keep alive through the call; it writes to the log alone, which is theirs.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<A>()) };
    match i32::try_from(result) {
        // SAFETY: just opened, and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

fn size(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// The last lines of a log that ends with a zero.
fn tail(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
