//! The families that are not stored: second names of stored cells, the ratios, and `build_info`.

use super::label_values::Input;
use super::ratios::Ratio;
use super::schema::{Family, Presence, Source};
use super::stored::{F, FIRST_CODE};

const fn method_view(name: &'static str, variant: usize, help: &'static str) -> Family {
    Family::counter(name, Source::View(F::Requests, variant), help).when(Presence::Start)
}

const fn code_view(name: &'static str, code: u16, help: &'static str) -> Family {
    Family::counter(name, Source::View(F::Responses, (code - FIRST_CODE) as usize), help).when(Presence::Start)
}

const fn input_view(name: &'static str, input: Input, help: &'static str) -> Family {
    Family::counter(name, Source::View(F::RatioInputs, input as usize), help)
}

/// A ratio since start; its text leads to the rule over a window.
macro_rules! ratio {
    ($name:literal, $ratio:expr, $what:literal $(,)?) => {
        Family::gauge(
            $name,
            Source::Ratio($ratio),
            concat!($what, " Since start: alert on carrier:sip_", $name, ":percent_rate5m of rules.yml."),
        )
        .when(Presence::Attempted)
    };
}

/// The `code` views: name, status, reason phrase as registered.
macro_rules! codes {
    ($($code:literal $section:literal)+) => {
        [$(code_view(
            concat!($code, "_total"),
            $code,
            concat!("Responses ", $code, " as the originator received them, once each (", $section, ")."),
        )),+]
    };
}

/// The method views: name, variant, section.
macro_rules! methods {
    ($($name:literal $method:literal $variant:literal $section:literal)+) => {
        [$(method_view(
            concat!($name, "_total"),
            $variant,
            concat!($method, " requests as their originator made them, once each (", $section, ")."),
        )),+]
    };
}

const METHOD_VIEWS: [Family; 14] = methods! {
    "invite" "INVITE" 0 "RFC 3261 §13"
    "ack" "ACK" 1 "RFC 3261 §17.1.1.3"
    "bye" "BYE" 2 "RFC 3261 §15"
    "cancel" "CANCEL" 3 "RFC 3261 §9"
    "options" "OPTIONS" 4 "RFC 3261 §11"
    "register" "REGISTER" 5 "RFC 3261 §10"
    "subscribe" "SUBSCRIBE" 6 "RFC 6665"
    "notify" "NOTIFY" 7 "RFC 6665"
    "publish" "PUBLISH" 8 "RFC 3903"
    "info" "INFO" 9 "RFC 6086"
    "prack" "PRACK" 10 "RFC 3262"
    "update" "UPDATE" 11 "RFC 3311"
    "message" "MESSAGE" 12 "RFC 3428"
    "refer" "REFER" 13 "RFC 3515"
};

const CODE_VIEWS: [Family; 30] = codes! {
    100 "RFC 3261 §21.1.1"
    180 "RFC 3261 §21.1.2"
    181 "RFC 3261 §21.1.3"
    182 "RFC 3261 §21.1.4"
    183 "RFC 3261 §21.1.5"
    200 "RFC 3261 §21.2.1"
    202 "RFC 6665 §8.3.1"
    300 "RFC 3261 §21.3.1"
    302 "RFC 3261 §21.3.3"
    400 "RFC 3261 §21.4.1"
    401 "RFC 3261 §21.4.2"
    403 "RFC 3261 §21.4.4"
    404 "RFC 3261 §21.4.5"
    405 "RFC 3261 §21.4.6"
    407 "RFC 3261 §21.4.8"
    408 "RFC 3261 §21.4.9"
    480 "RFC 3261 §21.4.18"
    481 "RFC 3261 §21.4.19"
    486 "RFC 3261 §21.4.24"
    487 "RFC 3261 §21.4.25"
    488 "RFC 3261 §21.4.26"
    500 "RFC 3261 §21.5.1"
    501 "RFC 3261 §21.5.2"
    502 "RFC 3261 §21.5.3"
    503 "RFC 3261 §21.5.4"
    504 "RFC 3261 §21.5.5"
    600 "RFC 3261 §21.6.1"
    603 "RFC 3261 §21.6.2"
    604 "RFC 3261 §21.6.3"
    606 "RFC 3261 §21.6.4"
};

const INPUT_VIEWS: [Family; 5] = [
    input_view("invite_initial_total", Input::Ti, "INVITEs without To tag, once each (RFC 3261 §13.1)."),
    input_view(
        "session_attempts_total",
        Input::A,
        "Session attempts: initial INVITEs, those joined by a challenge counted once (RFC 6076 §4.3).",
    ),
    input_view("iss_total", Input::NIneff, "Initial INVITEs decided by 408, 500, 503 or 504 (close to RFC 6076 §4.8)."),
    input_view(
        "sessions_completed_rfc6076_total",
        Input::C,
        "Session attempts whose session completed (RFC 6076 §4.9).",
    ),
    input_view(
        "registration_attempts_total",
        Input::Reg,
        "Registration attempts, refreshes and removals included (RFC 6076 §4.1).",
    ),
];

const RATIOS: [Family; 13] = [
    ratio!("ser", Ratio::Ser, "Session establishment ratio per INVITE, in percent (close to RFC 6076 §4.6)."),
    ratio!(
        "seer",
        Ratio::Seer,
        "Session establishment effectiveness ratio per INVITE, in percent (close to RFC 6076 §4.7).",
    ),
    ratio!("isa", Ratio::Isa, "Ineffective session attempts per INVITE, in percent (close to RFC 6076 §4.8)."),
    ratio!("scr", Ratio::Scr, "Session completion ratio per INVITE, in percent (close to RFC 6076 §4.9)."),
    ratio!("asr", Ratio::Asr, "Answer seizure ratio per INVITE, in percent (close to ITU-T E.411, E.425 §1.3)."),
    ratio!(
        "ner",
        Ratio::Ner,
        "Network effectiveness ratio per INVITE, 100 - isa, in percent (close to ITU-T E.425 §1.5).",
    ),
    ratio!("ser_rfc6076", Ratio::SerRfc6076, "Session establishment ratio per attempt, in percent (RFC 6076 §4.6)."),
    ratio!(
        "seer_rfc6076",
        Ratio::SeerRfc6076,
        "Session establishment effectiveness ratio per attempt, in percent (RFC 6076 §4.7).",
    ),
    ratio!("isa_rfc6076", Ratio::IsaRfc6076, "Ineffective session attempts per attempt, in percent (RFC 6076 §4.8)."),
    ratio!("scr_rfc6076", Ratio::ScrRfc6076, "Session completion ratio per attempt, in percent (RFC 6076 §4.9)."),
    ratio!("asr_e425", Ratio::AsrE425, "Answer seizure ratio per attempt, in percent (ITU-T E.425 §1.3)."),
    ratio!("ner_e425", Ratio::NerE425, "Network effectiveness ratio per attempt, in percent (ITU-T E.425 §1.5)."),
    ratio!("ira_rfc6076", Ratio::IraRfc6076, "Ineffective registration attempts, in percent (RFC 6076 §4.2)."),
];

const BUILD_INFO: [Family; 1] =
    [Family::gauge("build_info", Source::Build, "Constant 1; its labels say which program runs, and of which commit.")
        .global()];

const MEANS: [Family; 1] = [Family::gauge(
    "mos_avg",
    Source::Mean,
    "Mean opinion of conversational quality of intervals that ended in the last 60 s, 1 to 4.5 (ITU-T G.107).",
)
.media()
.when(Presence::Heard)];

const DERIVED_COUNT: usize =
    METHOD_VIEWS.len() + CODE_VIEWS.len() + INPUT_VIEWS.len() + RATIOS.len() + MEANS.len() + BUILD_INFO.len();

/// The families whose values are stored under another name or computed.
pub static DERIVED: &[Family; DERIVED_COUNT] = &{
    let groups: [&[Family]; 6] = [&METHOD_VIEWS, &CODE_VIEWS, &INPUT_VIEWS, &RATIOS, &MEANS, &BUILD_INFO];
    let mut all = [BUILD_INFO[0]; DERIVED_COUNT];
    let (mut next, mut group) = (0, 0);
    while group < groups.len() {
        let mut i = 0;
        while i < groups[group].len() {
            all[next] = groups[group][i];
            next += 1;
            i += 1;
        }
        group += 1;
    }
    all
};
