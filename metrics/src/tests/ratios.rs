use super::*;

/// `ratio` of a label set with these inputs.
fn ratio(name: &str, inputs: &[(Input, u64)], sdc: u64) -> Option<String> {
    let registry = registry();
    let mut rows = registry.shard();
    for (input, n) in inputs {
        rows.add(LabelSet::OTHER, F::RatioInputs, input.index(), *n);
    }
    rows.add(LabelSet::OTHER, F::SdcEvents, 0, sdc);
    value(&registry, &format!("{name}{OTHER}"))
}

fn is(name: &str, inputs: &[(Input, u64)], sdc: u64, expected: &str) {
    assert_eq!(ratio(name, inputs, sdc).as_deref(), Some(expected), "{name} of {inputs:?}, sdc {sdc}");
}

use Input::*;

/// Ten INVITEs: four answered, one redirected, two with the user's refusal, one ineffective, two in flight.
const INVITES: &[(Input, u64)] = &[(Ti, 10), (N200, 4), (N3xx, 1), (NUser, 2), (NIneff, 1)];
const ATTEMPTS: &[(Input, u64)] =
    &[(A, 8), (Answered, 3), (Redirected, 2), (RUser, 1), (RIneff, 2), (C, 2), (Ner, 5), (Reg, 4), (Ira, 1)];

#[test]
fn ratios_per_invite_follow_their_formulas() {
    is("ser", INVITES, 3, "44.44444444444444");
    is("seer", INVITES, 3, "66.66666666666667");
    is("isa", INVITES, 3, "10");
    is("scr", INVITES, 3, "30");
    is("asr", INVITES, 3, "40");
    is("ner", INVITES, 3, "90");
}

#[test]
fn ratios_per_attempt_follow_their_formulas() {
    is("ser_rfc6076", ATTEMPTS, 0, "50");
    is("seer_rfc6076", ATTEMPTS, 0, "66.66666666666667");
    is("isa_rfc6076", ATTEMPTS, 0, "25");
    is("scr_rfc6076", ATTEMPTS, 0, "25");
    is("asr_e425", ATTEMPTS, 0, "37.5");
    is("ner_e425", ATTEMPTS, 0, "62.5");
    is("ira_rfc6076", ATTEMPTS, 0, "25");
}

#[test]
fn nothing_in_the_denominator_leaves_a_ratio_undefined() {
    // A REGISTER makes the ratios exist, but says nothing about sessions.
    let registration = &[(Reg, 1)];
    for name in ["ser", "seer", "isa", "scr", "asr", "ner", "ser_rfc6076", "isa_rfc6076", "ner_e425"] {
        is(name, registration, 0, "NaN");
    }
    is("ira_rfc6076", registration, 0, "0");
    // Everything redirected: nothing could be established.
    is("ser", &[(Ti, 2), (N3xx, 2)], 0, "NaN");
    is("asr", &[(Ti, 2), (N3xx, 2)], 0, "0");
}

#[test]
fn ratios_exist_for_a_label_set_with_an_invite_or_a_register_and_no_other() {
    let registry = registry();
    let mut rows = registry.shard();
    let sets = registry.label_sets().clone();
    let (calls, phones, pings) = (sets.intern("a", "calls"), sets.intern("a", "phones"), sets.intern("a", "pings"));
    rows.add(calls, F::RatioInputs, Ti.index(), 1);
    rows.add(phones, F::Requests, sip::Method::Register.index(), 1);
    rows.add(pings, F::Requests, sip::Method::Options.index(), 1);

    let text = scrape(&registry);
    for Family { name, .. } in ratios() {
        for ua_type in ["calls", "phones"] {
            assert!(
                text.contains(&format!("sip_exporter_{name}{{carrier=\"a\",ua_type=\"{ua_type}\"}} ")),
                "{name} {ua_type}"
            );
        }
        assert!(!text.contains(&format!("sip_exporter_{name}{{carrier=\"a\",ua_type=\"pings\"}}")), "{name} pings");
        assert!(!text.contains(&format!("sip_exporter_{name}{OTHER}")), "{name} other");
    }
    assert_eq!(ratios().count(), 13);
}

fn ratios() -> impl Iterator<Item = &'static Family> {
    DERIVED.iter().filter(|family| matches!(family.source, super::super::schema::Source::Ratio(_)))
}

#[test]
fn one_cell_shows_under_each_of_its_names() {
    let registry = registry();
    let mut rows = registry.shard();
    for (input, n) in [(Ti, 1), (A, 2), (NIneff, 3), (C, 4), (Reg, 5)] {
        rows.add(LabelSet::OTHER, F::RatioInputs, input.index(), n);
    }
    for (name, input) in [
        ("invite_initial_total", "TI"),
        ("session_attempts_total", "A"),
        ("iss_total", "NIneff"),
        ("sessions_completed_rfc6076_total", "C"),
        ("registration_attempts_total", "REG"),
    ] {
        let input = format!(r#"ratio_input_total{{carrier="other",ua_type="other",input="{input}"}}"#);
        assert_eq!(value(&registry, &format!("{name}{OTHER}")), value(&registry, &input), "{name}");
    }
    rows.add(LabelSet::OTHER, F::Requests, sip::Method::Refer.index(), 7);
    assert_eq!(value(&registry, &format!("refer_total{OTHER}")).as_deref(), Some("7"));
    rows.add(LabelSet::OTHER, F::Responses, 486 - 100, 9);
    assert_eq!(value(&registry, &format!("486_total{OTHER}")).as_deref(), Some("9"));
}
