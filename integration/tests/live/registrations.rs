//! Phones that register, with and without a challenge, and keep-alives by OPTIONS.

use integration::flows;
use integration::gate;
use integration::sipp::scenario::Scenario;

use crate::stage::{CALLS, everywhere};

const N: f64 = CALLS as f64;

#[test]
fn registrations_make_bindings() {
    let Some(_pass) = gate::shared("REGISTER") else { return };
    let expected = [
        ("registration_attempts_total", N),
        ("registration_outcomes_total{outcome=\"success\"}", N),
        ("registration_outcomes_total", N),
        // One phone, registered over and over.
        ("registrations_active", 1.0),
        ("rrd_count", N),
        ("rrd_rfc6076_seconds_count", N),
        ("ira_rfc6076", 0.0),
        ("ser", f64::NAN),
    ];
    everywhere(&Scenario::new(flows::REGISTERED), &expected);
}

#[test]
fn a_challenged_registration_is_one_attempt() {
    let Some(_pass) = gate::shared("REGISTER with a challenge") else { return };
    let expected = [
        ("register_total", 2.0 * N),
        ("registration_attempts_total", N),
        ("registration_outcomes_total{outcome=\"success\"}", N),
        ("registration_outcomes_total", N),
        ("401_total", N),
        ("rrd_count", N),
        ("ira_rfc6076", 0.0),
    ];
    everywhere(&Scenario::new(flows::REGISTERED_AFTER_CHALLENGE), &expected);
}

#[test]
fn a_refused_registration_is_a_failure() {
    let Some(_pass) = gate::shared("REGISTER refused") else { return };
    let expected = [
        ("registration_outcomes_total{outcome=\"failure\"}", N),
        ("registrations_active", 0.0),
        ("ira_rfc6076", 100.0),
    ];
    everywhere(&Scenario::new("-> REGISTER\n<- 403"), &expected);
}

#[test]
fn keep_alives_have_a_delay_and_no_session() {
    let Some(_pass) = gate::shared("OPTIONS") else { return };
    let expected = [("options_total", N), ("ord_count", N), ("session_attempts_total", 0.0), ("dialogs", 0.0)];
    everywhere(&Scenario::new(flows::PINGED), &expected);
}
