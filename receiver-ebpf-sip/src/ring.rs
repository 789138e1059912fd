//! The TPACKET_V3 ring: packets as the kernel copied them, read in place (`packet_mmap` in the kernel's documentation).
//!
//! The kernel fills blocks and hands each over when it is full or when it has been open for the retire
//! timeout; [`Ring::next`] walks them in order and gives each back after its last packet. The socket is
//! deaf until [`Ring::listen`], so that no packet slips in before the filter is attached.
//!
//! Reads no clock: time stamps are the kernel's, nanoseconds since the Unix epoch.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::socket::AddressFamily;
use wire::{Link, Packet, Tap, Timestamp};

use crate::mapping::Mapping;
use crate::sys;

/// Size of the ring. A block is handed over when it is full, and every `retire_ms` even when it is nearly empty. So the
/// longest stall of the reader that loses nothing is `blocks` × `retire_ms` as long as a block holds what comes in that
/// time. Of more traffic each `retire_ms` may leave one block partly empty: since Linux 6.18 the kernel's timer goes on as
/// it is when a block is full, and cuts the next one short. A packet takes 82 bytes besides its own.
///
/// The reader is woken once a block, and finds the processor's caches taken by others each time. So a block holds just
/// what 10,000 packets/s bring in `retire_ms`: larger ones save nothing there, and are no more than half as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingShape {
    /// Bytes of a block; a power of two, at least 128 KiB, so that a packet of 64 KiB fits.
    pub block_size: u32,
    /// Number of blocks.
    pub blocks: u32,
    /// Longest time a packet waits in an open block, in milliseconds.
    pub retire_ms: u32,
}

impl Default for RingShape {
    /// 64 MiB: a reader that stands still for 10 s loses nothing of 10,000 packets/s of 500 bytes, nor of any less.
    fn default() -> Self {
        Self { block_size: 512 * 1024, blocks: 128, retire_ms: RETIRE_MS }
    }
}

/// What the ring counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounts {
    /// Packets the filter kept, those dropped included.
    pub packets: u64,
    /// Packets the filter kept and the ring had no room for.
    pub drops: u64,
    /// How often the ring ran full.
    pub freezes: u64,
    /// Blocks whose description by the kernel made no sense; never seen, but not trusted blindly.
    pub damaged: u64,
}

/// An AF_PACKET socket and its ring.
pub struct Ring {
    socket: OwnedFd,
    memory: Mapping,
    shape: RingShape,
    /// The block being read, or the next one to wait for.
    block: u32,
    /// `true` while `block` is ours.
    open: bool,
    /// Packets of the open block not yet read.
    left: u32,
    /// Where the next of them begins in the open block.
    offset: u32,
    counts: RingCounts,
}

impl Ring {
    /// Opens the socket and its ring. Needs CAP_NET_RAW; refused with `PermissionDenied` without it.
    pub fn open(shape: RingShape) -> io::Result<Self> {
        let socket = sys::socket(AddressFamily::Packet, None)?;
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        sys::set_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        let request = libc::tpacket_req3 {
            tp_block_size: shape.block_size,
            tp_block_nr: shape.blocks,
            tp_frame_size: FRAME_SIZE,
            tp_frame_nr: shape.block_size / FRAME_SIZE * shape.blocks,
            tp_retire_blk_tov: shape.retire_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        sys::set_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let memory = Mapping::new(socket.as_fd(), shape.block_size as usize * shape.blocks as usize)?;
        Ok(Self { socket, memory, shape, block: 0, open: false, left: 0, offset: 0, counts: RingCounts::default() })
    }

    /// Takes packets from now on, of every interface that exists or will.
    pub fn listen(&self) -> io::Result<()> {
        sys::bind_packet_any(self.socket())
    }

    /// Asks an interface for packets that are not addressed to this host, as long as the ring lives.
    /// Needs no capability.
    pub fn make_promiscuous(&self, interface: u32) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: interface.cast_signed(),
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        sys::set_option(self.socket(), libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// For filters, options and `poll`.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next packet, in the order the kernel saw them; `None` when there is none yet. Never waits.
    ///
    /// `bytes` begin where `link` says: at the network header, or for a packet whose tags are still in it
    /// at the Ethernet header.
    pub fn next(&mut self) -> Option<Packet<'_>> {
        let place = loop {
            if self.left == 0 && !self.next_block() {
                return None;
            }
            if self.left == 0 {
                continue;
            }
            match self.locate() {
                Some(place) => break place,
                None => {
                    self.counts.damaged += 1;
                    self.left = 0;
                }
            }
        };
        Some(Packet {
            at: place.at,
            link: place.link,
            interface: place.interface,
            bytes: &self.block_bytes()[place.start..place.end],
            original_len: place.original_len,
            tap: place.tap,
        })
    }

    /// Whether a block is there to be read. `true` does not promise that [`Ring::next`] finds a packet in it.
    pub fn has_packets(&self) -> bool {
        self.left > 0 || (!self.open && self.is_ours())
    }

    /// Asks the kernel what it counted since the last call, and returns the sums.
    pub fn counts(&mut self) -> io::Result<RingCounts> {
        let new = sys::ring_statistics(self.socket.as_fd())?;
        self.counts.packets += u64::from(new.tp_packets);
        self.counts.drops += u64::from(new.tp_drops);
        self.counts.freezes += u64::from(new.tp_freeze_q_cnt);
        Ok(self.counts)
    }

    /// Gives the block that was read back and opens the one after it; `false` if that is still the kernel's.
    fn next_block(&mut self) -> bool {
        if self.open {
            // Release: all reads of the block are done before the kernel may write to it again.
            self.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.open = false;
            self.block = (self.block + 1) % self.shape.blocks;
        }
        if !self.is_ours() {
            return false;
        }
        self.open = true;
        // SAFETY: the description is plain integers at the start of a block that is ours now.
        let description: libc::tpacket_hdr_v1 =
            unsafe { ptr::read(self.block_start().add(BLOCK_DESCRIPTION).cast().as_ptr()) };
        self.left = description.num_pkts;
        self.offset = description.offset_to_first_pkt;
        true
    }

    /// Reads the header of the next packet of the open block and moves behind it; `None` if it does not
    /// lie within the block.
    fn locate(&mut self) -> Option<Place> {
        let header: libc::tpacket3_hdr = self.read_at(self.offset as usize)?;
        let address: libc::sockaddr_ll = self.read_at(self.offset as usize + ADDRESS)?;
        let ethertype = u16::from_be(address.sll_protocol);
        let mac = self.offset as usize + usize::from(header.tp_mac);
        let network = self.offset as usize + usize::from(header.tp_net);
        let end = mac + header.tp_snaplen as usize;
        // The kernel's network header may lie before or behind tags that are still in the packet.
        let tagged = matches!(i32::from(ethertype), libc::ETH_P_8021Q | libc::ETH_P_8021AD);
        let (link, start) = if tagged { (Link::Ethernet, mac) } else { (Link::Network { ethertype }, network) };
        let place = Place {
            at: Timestamp::from_nanos(u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec)),
            link,
            interface: u32::try_from(address.sll_ifindex).unwrap_or_default(),
            start,
            end,
            original_len: header.tp_len.saturating_sub(start.saturating_sub(mac) as u32),
            tap: Tap::cooked(address.sll_pkttype, address.sll_hatype),
        };
        self.left -= 1;
        self.offset = self.offset.checked_add(header.tp_next_offset)?;
        (place.start <= place.end && place.end <= self.shape.block_size as usize).then_some(place)
    }

    /// A structure of plain integers out of the open block; `None` if it does not fit in.
    fn read_at<T: Copy>(&self, offset: usize) -> Option<T> {
        let bytes = self.block_bytes().get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: `bytes` is as long as a T, and of a structure of integers any bytes are a value.
        Some(unsafe { ptr::read_unaligned(bytes.as_ptr().cast()) })
    }

    fn block_start(&self) -> NonNull<u8> {
        // SAFETY: `block` is less than the number of blocks, all of which lie in the mapping.
        unsafe { self.memory.start().add(self.block as usize * self.shape.block_size as usize) }
    }

    /// The bytes of the open block.
    fn block_bytes(&self) -> &[u8] {
        debug_assert!(self.open);
        // SAFETY: the block lies in the mapping. It is ours (`open`), so the kernel does not write to it
        // until `next_block`, which borrows `self` mutably and so ends every borrow of these bytes.
        unsafe { slice::from_raw_parts(self.block_start().as_ptr(), self.shape.block_size as usize) }
    }

    /// Whether the kernel has handed the block over, or we have not given it back.
    fn is_ours(&self) -> bool {
        // Acquire: what the kernel wrote before it handed the block over is seen.
        self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    fn status(&self) -> &AtomicU32 {
        // SAFETY: the word lies in the mapping, is aligned (blocks begin at pages), and both sides use it
        // as the lock of the block.
        unsafe { AtomicU32::from_ptr(self.block_start().add(BLOCK_DESCRIPTION).cast().as_ptr()) }
    }
}

/// Where a packet lies in the open block, and what its header says.
struct Place {
    at: Timestamp,
    link: Link,
    interface: u32,
    start: usize,
    end: usize,
    original_len: u32,
    tap: Tap,
}

/// Longest time a packet waits in an open block, usually: as long as caches stay warm is long enough. Kernels without a
/// high-resolution timer for it round up, to 90 ms at most.
pub const RETIRE_MS: u32 = 80;
/// Only divides a block for the kernel's arithmetic; packets of a V3 ring have the length they have.
const FRAME_SIZE: u32 = 2048;
/// Behind version and private offset of `tpacket_block_desc`; begins with the status word.
const BLOCK_DESCRIPTION: usize = 8;
/// Where `sockaddr_ll` stands behind a packet's header: the header is padded to 16 bytes.
const ADDRESS: usize = size_of::<libc::tpacket3_hdr>().next_multiple_of(16);

const _: () = assert!(size_of::<libc::tpacket3_hdr>() == 48);
const _: () = assert!(size_of::<libc::tpacket_hdr_v1>() == 40);
const _: () = assert!(size_of::<libc::sockaddr_ll>() == 20);
