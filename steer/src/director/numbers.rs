//! Numbers of services and backends, by which the kernel knows them. They outlive the daemon.
//!
//! A name keeps its number. The number of a name that is gone is given to another only when no dialog of it can be left.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use affinity::steer::{MAX_BACKENDS, MAX_SERVICES};
use serde::{Deserialize, Serialize};

/// Who has which number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Numbers {
    services: BTreeMap<String, u16>,
    /// By `service/backend`.
    backends: BTreeMap<String, Known>,
}

/// A backend that has a number, and where it was last.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Known {
    number: u16,
    addresses: Vec<SocketAddr>,
}

impl Numbers {
    /// The number of a service; a new one where it has none. `None`: all are taken.
    pub(super) fn service(&mut self, name: &str) -> Option<u16> {
        if let Some(number) = self.services.get(name) {
            return Some(*number);
        }
        let number = free(self.services.values().copied(), MAX_SERVICES)?;
        self.services.insert(name.to_owned(), number);
        Some(number)
    }

    /// The number of a backend of a service, which is at these addresses now.
    pub(super) fn backend(&mut self, service: &str, backend: &str, addresses: &[SocketAddr]) -> Option<u16> {
        let name = format!("{service}/{backend}");
        let known = self.backends.get(&name).map(|known| known.number);
        let number = known.or_else(|| free(self.backends.values().map(|known| known.number), MAX_BACKENDS))?;
        self.backends.insert(name, Known { number, addresses: addresses.to_vec() });
        Some(number)
    }

    /// Nothing of this backend is left.
    pub(super) fn free_backend(&mut self, service: &str, backend: &str) {
        self.backends.remove(&format!("{service}/{backend}"));
    }

    /// Nothing of the backends of this service is left.
    pub(super) fn free_service(&mut self, service: &str) {
        self.services.remove(service);
        self.backends.retain(|name, _| name.split_once('/').is_none_or(|(of, _)| of != service));
    }

    /// Names of services that have a number.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// The backends of a service that have a number, with it and where they were last.
    pub(super) fn backends(&self, service: &str) -> impl Iterator<Item = (&str, u16, &[SocketAddr])> {
        self.backends.iter().filter_map(move |(name, known)| {
            let (of, backend) = name.split_once('/')?;
            (of == service).then_some((backend, known.number, known.addresses.as_slice()))
        })
    }
}

/// The lowest number that nobody has.
fn free(taken: impl Iterator<Item = u16>, most: u16) -> Option<u16> {
    let mut taken: Vec<u16> = taken.collect();
    taken.sort_unstable();
    let free = taken.iter().zip(0..).find(|(number, place)| **number != *place);
    Some(free.map_or(taken.len() as u16, |(_, place)| place)).filter(|number| *number < most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_and_a_free_one_is_given_away() {
        let mut numbers = Numbers::default();
        let given: Vec<_> = ["a", "b", "c"].map(|name| numbers.backend("s", name, &[])).into();
        assert_eq!(given, [Some(0), Some(1), Some(2)]);
        numbers.free_backend("s", "b");
        assert_eq!((numbers.backend("s", "c", &[]), numbers.backend("t", "b", &[])), (Some(2), Some(1)));
        assert_eq!(
            numbers.backends("s").map(|(name, number, _)| (name, number)).collect::<Vec<_>>(),
            [("a", 0), ("c", 2)]
        );
        numbers.free_service("s");
        assert_eq!(numbers.backend("t", "x", &["10.0.0.1:5060".parse().expect("an address")]), Some(0));
        let text = serde_json::to_string(&numbers).expect("it is plain");
        assert_eq!(serde_json::from_str::<Numbers>(&text).expect("it was written here"), numbers);
    }

    #[test]
    fn there_are_no_more_than_the_kernel_knows() {
        let mut numbers = Numbers::default();
        assert!((0..1024).all(|number| numbers.backend("s", &number.to_string(), &[]) == Some(number)));
        assert_eq!(numbers.backend("s", "one more", &[]), None);
        assert!((0..64).all(|number| numbers.service(&number.to_string()) == Some(number)));
        assert_eq!(numbers.service("one more"), None);
    }
}
