//! Who speaks: `service.telemetry.resource` as OTLP has it, and what stands in it when nobody says.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use sha2::{Digest, Sha256};

/// The resource of every request. An attribute with an empty value is left out.
pub fn resource(given: &BTreeMap<String, String>) -> Resource {
    Resource { attributes: attributes(given).map(|(key, value)| text(key, value)).collect(), ..Resource::default() }
}

/// What says who speaks: those that are given, but for empty ones.
pub fn attributes(given: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    given.iter().filter(|(_, value)| !value.is_empty())
}

/// Which version of the semantic conventions names are from; those below `sip.` are proposed to it.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.39.0";

/// The one scope of everything that is exported.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "ringside".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// An attribute whose value is text.
pub(super) fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// Attributes nobody needs to write. `machine_id` and `host_name` may be empty.
pub fn built_in(machine_id: &str, host_name: &str) -> [(&'static str, String); 4] {
    [
        ("service.name", "ringside".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", instance_id(machine_id, host_name)),
        ("host.name", host_name.to_owned()),
    ]
}

/// The machine's id, as systemd or D-Bus keep it; empty where neither does.
pub fn machine_id() -> String {
    first_line(&["/etc/machine-id", "/var/lib/dbus/machine-id"])
}

/// The host's name; in a container that of the container.
pub fn host_name() -> String {
    first_line(&["/proc/sys/kernel/hostname", "/etc/hostname"])
}

fn first_line(files: &[&str]) -> String {
    let line = |file: &&str| {
        let text = std::fs::read_to_string(file).ok()?;
        let line = text.lines().next().unwrap_or_default().trim().to_owned();
        (!line.is_empty()).then_some(line)
    };
    files.iter().find_map(line).unwrap_or_default()
}

/// The same after every start, another on every host: a UUID (version 8, RFC 9562 §5.8) of the SHA-256 of machine id, a zero
/// byte and host name. The machine id itself is not to be given away (machine-id(5)).
fn instance_id(machine_id: &str, host_name: &str) -> String {
    let digest = Sha256::new().chain_update(machine_id).chain_update([0]).chain_update(host_name).finalize();
    let id = u128::from_be_bytes(*digest.first_chunk().expect("a digest is longer than a UUID"));
    let id = id & !VERSION_AND_VARIANT | 0x8 << 76 | 0b10 << 62;
    let digits = format!("{id:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// Where a UUID says which kind it is.
const VERSION_AND_VARIANT: u128 = 0xf << 76 | 0b11 << 62;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_is_told_by_machine_and_host() {
        let id = instance_id("0123456789abcdef", "sbc-1");
        // printf '0123456789abcdef\0sbc-1' | sha256sum
        // but for the digits that say which kind of UUID it is.
        assert_eq!(id, "11b84fa9-26fa-8f26-9298-2e52b42dfb15");
        assert_ne!(id, instance_id("0123456789abcdef", "sbc-2"));
        assert_ne!(instance_id("a", "bc"), instance_id("ab", "c"));
    }

    #[test]
    fn an_attribute_without_a_value_is_left_out() {
        let attributes = [("host.name", ""), ("service.name", "sbc")].map(|(key, value)| (key.into(), value.into()));
        assert_eq!(resource(&attributes.into()).attributes, [text("service.name", "sbc")]);
    }

    #[test]
    fn this_host_has_a_name() {
        assert!(!host_name().is_empty());
    }
}
