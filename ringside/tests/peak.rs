//! What a peak took goes back to the system, also on a thread that asks for no memory any more.

#[path = "../src/allocator.rs"]
mod allocator;

#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

/// Bytes of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize = statm.split(' ').nth(1).and_then(|field| field.parse().ok()).expect("a number of pages");
    pages * 4096
}

#[test]
fn what_a_peak_took_goes_back_to_the_system() {
    const PEAK: usize = 256 << 20;
    for size in [16 << 10, 160 << 10, 1 << 20] {
        let before = resident();
        let pieces: Vec<Vec<u8>> = (0..PEAK / size).map(|number| vec![number as u8 | 1; size]).collect();
        let at_peak = resident();
        assert!(at_peak >= before + PEAK / 2);
        drop(pieces);
        let after = resident();
        assert!(after < before + PEAK / 8, "{size}: {before} bytes before, {at_peak} at the peak, {after} after");
    }
}
