//! The media of calls: `media` of the call objects compared with what a vector says (`sip-metrics.md` 5).

use serde_json::Value;

/// Whether a metric is about media.
pub fn is_media(name: &str) -> bool {
    let name = name.strip_prefix("sip_exporter_").unwrap_or(name);
    ["rtp_", "rtcp_", "mos_", "media_", "vq_"].iter().any(|start| name.starts_with(start))
}

/// Every stream, interval, round trip, report and fault that a vector lists has to be there, and no other fault or stream.
pub fn differences(calls: &[Value], expected: &Value) -> Vec<String> {
    let all = |list: &str| -> Vec<&Value> {
        calls.iter().filter_map(|call| call["media"][list].as_array()).flatten().collect()
    };
    let mut differences = Vec::new();
    for list in ["streams", "intervals", "xr", "vq_reports"] {
        let found = all(list);
        let wanted = expected[list].as_array().map_or(&[][..], Vec::as_slice);
        for wanted in wanted {
            if !found.iter().any(|found| agrees(found, wanted)) {
                let near: Vec<_> = found.iter().filter(|found| found["ssrc"] == wanted["ssrc"]).collect();
                differences.push(format!("{list}: expected {wanted} but found {near:?}"));
            }
        }
        if list == "streams" && found.len() != wanted.len() {
            differences.push(format!("streams: {} instead of {}", found.len(), wanted.len()));
        }
    }
    let trips = &expected["rtt_ms"];
    if trips.is_object() {
        let tolerance = trips["tolerance"].as_f64().expect("a tolerance");
        let near = |call: &&Value| {
            ["observer_to_callee", "observer_to_caller", "total"].iter().all(|part| {
                let found = call["media"]["rtt_ms"][part].as_f64();
                found.zip(trips[part].as_f64()).is_some_and(|(found, wanted)| (found - wanted).abs() <= tolerance)
            })
        };
        if calls.iter().find(near).is_none() {
            differences.push(format!("rtt_ms: expected {trips}"));
        }
    }
    let wanted = expected["faults"].as_array().map_or(&[][..], Vec::as_slice);
    for fault in wanted {
        let call = format!("-c{}@", fault["call"]);
        let of_call = calls.iter().filter(|found| found["call_id"].as_str().is_some_and(|id| id.contains(&call)));
        let mut found = of_call.filter_map(|call| call["media"]["faults"].as_array()).flatten();
        if !found.any(|found| found["fault"] == fault["fault"] && found["direction"] == fault["direction"]) {
            differences.push(format!("faults: expected {fault}"));
        }
    }
    if all("faults").len() != wanted.len() {
        differences.push(format!("faults: {:?}", all("faults")));
    }
    differences
}

/// Whether everything a vector says of something is so; numbers within the decimals it has.
fn agrees(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| agrees_within(found, wanted, key)))
        }
        _ => found == wanted,
    }
}

fn agrees_within(found: &Value, wanted: &Value, key: &str) -> bool {
    let Some((found, wanted)) = found.as_f64().zip(wanted.as_f64()) else { return agrees(found, wanted) };
    let tolerance = match key {
        "jitter_ms" | "jitter_max_ms" => 0.02,
        "burst_density" | "gap_density" | "mos_lq" | "mos_cq" | "r_lq" | "r_cq" => 0.002,
        _ => 0.001,
    };
    (found - wanted).abs() <= tolerance
}
