//! A processor of affinity in front changes nothing that others count, however many shards there are.

use std::path::{Path, PathBuf};

use pipeline::CallRecord;

use super::known::{Known, files, own, read, read_balanced};

/// What is known beside affinity.
fn others(mut known: Known) -> Known {
    known.series.retain(|series| !series.starts_with("sip_exporter_affinity_"));
    known.calls.iter_mut().for_each(|(record, _)| record.steer = None);
    known
}

/// Captures of translations.
fn translated() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/affinity");
    files(&folder).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "gz")).collect()
}

#[test]
fn nothing_else_changes_on_any_capture() {
    let folders = ["public-vectors", "public-cases", "media-vectors", "captures"];
    let own = folders.map(|folder| own(&format!("testdata/{folder}"))).concat();
    assert!(own.len() > 300, "{}", own.len());
    for capture in own.into_iter().chain(translated()) {
        let capture = std::slice::from_ref(&capture);
        assert_eq!(others(read_balanced(capture, 1)), read(capture, 1), "{capture:?}");
    }
}

#[test]
fn several_shards_find_what_one_finds() {
    let mut steered = 0;
    for capture in translated() {
        let capture = std::slice::from_ref(&capture);
        let one = read_balanced(capture, 1);
        steered += one.calls.iter().filter(|(CallRecord { steer, .. }, _)| steer.is_some()).count();
        for shards in [2, 5] {
            assert_eq!(read_balanced(capture, shards), one, "{capture:?} by {shards} shards");
        }
    }
    assert!(steered > 20, "{steered} records say where their calls went");
}
