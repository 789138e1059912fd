//! The program's allocator: mimalloc, and memory that goes back to the system after a peak.
//!
//! After a million calls the C library's allocator keeps three quarters of what they took, this one a tenth; and records
//! of calls, which leave on other threads than they began on, cost a tenth less. Without huge pages, which would double
//! what a small site takes; its second version, since the third keeps twice as much.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use mimalloc::MiMalloc;

/// Mimalloc gives freed memory back to the system as a thread goes on asking for some. A thread that follows calls asks
/// for none once it has what it needs, so after a peak it is made to give back.
pub struct Allocator;

// Of each thread alone: what it gives back is its own.
thread_local! {
    /// Bytes this thread holds in large pieces; below 0 where it frees what others took.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// Bytes of large pieces this thread has freed since it last gave memory back.
    static FREED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(0, layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(0, layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(layout.size(), size);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { MiMalloc.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { MiMalloc.dealloc(block, layout) }
        note(layout.size(), 0);
    }
}

/// A piece of one size gives way to one of another; 0 is none.
fn note(before: usize, after: usize) {
    if before >= LARGE || after >= LARGE {
        note_large(before, after);
    }
}

#[cold]
fn note_large(before: usize, after: usize) {
    let held = HELD.get() + after as isize - before as isize;
    HELD.set(held);
    if after > 0 {
        return;
    }
    let freed = FREED.get() + before;
    // Giving back walks along all that is held: the more that is, the more has to be gained.
    let due = freed >= GIVE_BACK.max(usize::try_from(held).unwrap_or_default() / 8);
    FREED.set(if due { 0 } else { freed });
    if due {
        // SAFETY: it may be called at any time outside of the allocator, which has just returned.
        unsafe { libmimalloc_sys::mi_collect(true) };
    }
}

/// From here on a piece is large: pages of tables are.
const LARGE: usize = 16 << 10;
/// As much freed is worth the milliseconds that giving back takes.
const GIVE_BACK: usize = 8 << 20;
