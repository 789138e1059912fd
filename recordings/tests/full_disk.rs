//! A full disk. In a program of its own: it starts another one, which would hold the locks of tests beside it.

mod common;

use std::io;
use std::path::Path;
use std::process::Command;

use recordings::{Counts, Limits};

use common::{ALWAYS, LIMITS, of, open, put, selected};

/// In a file system of 256 KiB, which this test makes for a copy of itself.
#[test]
fn a_full_disk_costs_messages_and_nothing_else() {
    const PLACE: &str = "RECORDINGS_FULL_DISK";
    let Some(place) = std::env::var_os(PLACE) else {
        let place = tempfile::tempdir().expect("a folder");
        let script = "mount -t tmpfs -o size=256k full \"$RECORDINGS_FULL_DISK\" || exit 99; exec \"$0\" --exact \
            a_full_disk_costs_messages_and_nothing_else";
        let own = std::env::current_exe().expect("a test is a program");
        let mut copy = Command::new("unshare");
        copy.args(["--mount", "sh", "-c", script]).arg(own).env(PLACE, place.path());
        match copy.output() {
            Ok(run) if run.status.success() => {}
            Ok(run) if !run.stdout.is_empty() => panic!("{}", String::from_utf8_lossy(&run.stdout)),
            _ => testnet::skipped("a full disk", "no file system can be mounted here"),
        }
        return;
    };
    let place = Path::new(&place);
    let limits = Limits { rotate_size: 1 << 20, max_total_size: 1 << 30, compress: false, ..LIMITS };
    let mut folder = open(place, limits);
    put(&mut folder, &["one"], 0..2000);
    let Counts { written, failed, .. } = folder.counts();
    assert!(written > 100 && failed > 100 && written + failed >= 1998, "{written} written, {failed} not");
    assert_eq!(folder.trouble().map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
    assert_eq!(selected(place, &ALWAYS, &of("one")).0, written, "what was written is whole");
    // Somebody makes room.
    folder.set_limits(Limits { rotate_size: 1000, max_total_size: 100_000, ..limits });
    put(&mut folder, &["two"], 2000..2100);
    assert!(selected(place, &ALWAYS, &of("two")).0 > 90, "{:?}", folder.counts());
}
