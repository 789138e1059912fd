//! Two minutes of what `make soak` does for half an hour.

use std::time::Duration;

use integration::gate;
use integration::soak::Soak;

#[test]
fn two_minutes_of_calls_scrapes_reloads_and_outages_lose_nothing_and_nothing_grows() {
    // Beside all others, those that want the machine for themselves included: it takes little and looks at no time.
    let Some(()) = gate::possible("soak") else { return };
    let (reload, backend) = (Duration::from_secs(10), Duration::from_secs(13));
    let outcome = Soak { seconds: 90, rate: 50, reload, backend, shards: 2 }.run();
    let problems = outcome.problems();
    assert!(problems.is_empty(), "{}\n{:#?}", problems.join("\n"), outcome.table());
}
