//! What the programs cost: instructions that the verifier walks, and time for one packet. Times are printed, not judged.

use affinity::steer::Capacity;

use super::load;

#[test]
fn the_verifier_walks_few_instructions() {
    let Some(mut programs) = load("the_verifier_walks_few_instructions", &Capacity::default()) else { return };
    let verified = programs.verified().expect("they are loaded");
    println!("verified instructions: ingress {}, egress {}", verified[0], verified[1]);
    assert!(verified.iter().all(|count| (1..=400_000).contains(count)), "{verified:?}");
}
