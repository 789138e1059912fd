//! What is said of the files that were read; what has to come to the same whatever way a capture is read or was made.

mod balanced;
mod known;
mod promises;
mod shards;

use super::*;

#[test]
fn a_file_without_remarks_is_passed_over_in_silence() {
    assert_eq!(remarks(&Report::default(), true), Vec::<String>::new());
    assert_eq!(remarks(&Report::default(), false), ["no SIP is in these captures"]);
}
