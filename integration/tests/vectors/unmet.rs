//! What the rules of today's build do not meet: the vectors that come to something else than the specification says.
//!
//! The tests fail when one that is not listed differs, and when one that is listed does not: the lists can only shrink.

/// Of `testdata/public-cases/`, by the sections that rule them.
#[rustfmt::skip]
pub const PUBLIC_CASES: &[&str] = &[
    // 1.2, 1.7
    "P49", "P55",
    // 1.7
    "P76", "P80", "P82", "P84", "P106", "P107", "P110", "P111", "P112", "P113", "P114", "P116", "P117", "P119",
    "P125", "P150", "P151",
    // 1.7, 2.1, 2.3, 2.6
    "P136",
    // 4.7
    "P169",
    // 4.2: it wants `input="SDC"`, which the list there does not have, and P01 to P21 must not have
    "P170",
];

/// Of `testdata/media-vectors/`, in their SIP. P23 does not list `request_via_depth` of the two calls that are forgotten
/// before its end.
pub const MEDIA_VECTORS: &[&str] = &["P23"];
