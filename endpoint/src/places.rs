//! Places for connections: so many in all, and of these so many for one client.
//!
//! A client is an address; over IPv6 it is a network of 64 bits, for in that whoever has one has all (RFC 4291 §2.5.4).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of one endpoint.
pub struct Places {
    free: Arc<Semaphore>,
    each: usize,
    /// How many each client has; nobody is in it who has none.
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place nobody has yet.
pub struct Free {
    _permit: OwnedSemaphorePermit,
}

/// A place that somebody has until it is dropped.
pub struct Place {
    client: IpAddr,
    places: Arc<Places>,
    _taken: Free,
}

impl Places {
    /// `all` of them, of which one client may have `each`.
    pub fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(all)), each, taken: Mutex::default() })
    }

    /// Waits until there is one.
    pub async fn free(&self) -> Free {
        Free { _permit: Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed") }
    }

    /// Gives one to the client at an address; `None` when it has its share.
    pub fn give(self: &Arc<Self>, free: Free, address: IpAddr) -> Option<Place> {
        let client = client(address);
        let mut taken = self.taken();
        let has = taken.entry(client).or_default();
        if *has >= self.each {
            return None;
        }
        *has += 1;
        Some(Place { client, places: Arc::clone(self), _taken: free })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let has = taken.get_mut(&self.client).expect("who has a place is in the map");
        *has -= 1;
        if *has == 0 {
            taken.remove(&self.client);
        }
    }
}

/// Who is at an address.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_client_has_its_share_and_the_rest_is_for_others() {
        let places = Places::new(4, 2);
        let ask = async |address: &str| places.give(places.free().await, address.parse().expect("an address"));
        let first = ask("192.0.2.1").await;
        let second = ask("::ffff:192.0.2.1").await;
        assert!(first.is_some() && second.is_some() && ask("192.0.2.1").await.is_none());
        let other = ask("192.0.2.2").await;
        assert!(other.is_some());
        drop(first);
        assert!(ask("192.0.2.1").await.is_some());
        drop((second, other));
        assert!(places.taken().is_empty() && places.free.available_permits() == 4);
    }

    #[tokio::test]
    async fn a_network_of_64_bits_is_one_client() {
        let places = Places::new(4, 1);
        let ask = async |address: &str| places.give(places.free().await, address.parse().expect("an address"));
        let first = ask("2001:db8:1:2::1").await;
        assert!(
            first.is_some() && ask("2001:db8:1:2:ffff::9").await.is_none() && ask("2001:db8:1:3::1").await.is_some()
        );
    }
}
