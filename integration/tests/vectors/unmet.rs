//! What the rules of today's build do not meet: the vectors that come to something else than the specification says.
//!
//! The tests fail when one that is not listed differs, and when one that is listed does not: the lists can only shrink.

/// Of `testdata/public-cases/`, by the sections that rule them.
#[rustfmt::skip]
pub const PUBLIC_CASES: &[&str] = &[
    // 4.2: it wants `input="SDC"`, which the list there does not have, and P01 to P21 must not have
    "P170",
];

/// Of `testdata/media-vectors/`, in their SIP. P23 does not list `request_via_depth` of the two calls that are forgotten
/// before its end.
pub const MEDIA_VECTORS: &[&str] = &["P23"];
