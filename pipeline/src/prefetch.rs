//! Prefetching: a hint to load memory into the cache before it is read.

/// Loads the cache lines of a value ahead of its use.
pub fn prefetch<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..size_of::<T>()).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let at = std::ptr::from_ref(what).cast::<i8>().wrapping_add(line);
        // SAFETY: a hint; whatever the address, nothing is read that the program could see.
        unsafe { _mm_prefetch(at, _MM_HINT_T0) };
    }
}
