//! Where specification vectors and real captures lie: `RINGSIDE_SHARED`, else the folder `shared` beside the checkout.

use std::path::PathBuf;

/// A file or folder there.
///
/// # Panics
/// When it is missing: these tests fail loudly instead of proving nothing.
pub fn path(relative: &str) -> PathBuf {
    let root = std::env::var_os("RINGSIDE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let path = root.join(relative);
    assert!(path.exists(), "{} is missing; RINGSIDE_SHARED names the folder with the test data", path.display());
    path
}
