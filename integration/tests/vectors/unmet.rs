//! What the rules of today's build do not meet: the vectors that come to something else than the specification says.
//!
//! The tests fail when one that is not listed differs, and when one that is listed does not: the lists can only shrink.

/// Of `testdata/public-cases/`, by the sections that rule them.
#[rustfmt::skip]
pub const PUBLIC_CASES: &[&str] = &[
    // 2.5
    "P30", "P33", "P34", "P35",
    // 2.1
    "P36", "P37", "P39", "P40",
    // 3.3
    "P88",
    // 2.6, 2.3
    "P90", "P91", "P94", "P95",
    // 3.1, 4.6
    "P97", "P98",
    // 2.3, 2.6
    "P135", "P137", "P138",
    // 2.3
    "P140", "P145", "P146", "P147", "P172", "P173", "P174", "P176", "P178", "P179", "P180",
    // 2.6
    "P152", "P153", "P154", "P155",
    // 4.5
    "P160",
    // 3.2
    "P161", "P162", "P163", "P164", "P182", "P183",
    // 2.6, 4.3
    "P167", "P168",
    // 4.7
    "P169",
    // 4.2
    "P170",
];

/// Of `testdata/media-vectors/`, in their SIP. P23 does not list `request_via_depth` of the two calls that are forgotten
/// before its end.
pub const MEDIA_VECTORS: &[&str] = &["P23"];
