//! Places for connections: so many in all, and of these so many for one client.
//!
//! A client is an address; over IPv6 it is a network of 64 bits, for in that whoever has one has all (RFC 4291 §2.5.4).
//! Where all places are taken, the client that has most of them gives one up: that of its oldest connection on which no
//! response is under way. So who hoards places keeps nobody else out.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

/// How soon it is looked again whether somebody may be asked to leave.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The places of one endpoint.
pub struct Places {
    free: Arc<Semaphore>,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    /// Number of the next connection.
    next: u64,
    /// Those of each client, the oldest first. Nobody is in it who has none.
    clients: HashMap<IpAddr, BTreeMap<u64, Holder>>,
}

/// A connection that has a place.
struct Holder {
    /// Until when its response has to be taken; `None` while none is under way.
    response: watch::Receiver<Option<Instant>>,
    /// Tells it to give up its place.
    leave: Arc<Notify>,
}

/// A place nobody has yet.
pub struct Free {
    _permit: OwnedSemaphorePermit,
}

/// A place that somebody has until it is dropped.
pub struct Place {
    client: IpAddr,
    number: u64,
    leave: Arc<Notify>,
    places: Arc<Places>,
    _taken: Free,
}

impl Place {
    /// Ready when the place is needed for somebody else.
    pub async fn needed(&self) {
        self.leave.notified().await;
    }
}

impl Places {
    /// `all` of them, of which one client may have `each`.
    pub fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(all)), each, taken: Mutex::default() })
    }

    /// Waits until there is one. Where there is none somebody is asked to leave; where all have a response under way, the
    /// first of these that is done.
    pub async fn free(&self) -> Free {
        loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                return Free { _permit: permit };
            }
            self.make_room();
            let acquired = timeout(LOOK_AGAIN, Arc::clone(&self.free).acquire_owned()).await;
            if let Ok(permit) = acquired {
                return Free { _permit: permit.expect("the semaphore is never closed") };
            }
        }
    }

    /// Whether the client at an address has its share.
    pub fn has_share(&self, address: IpAddr) -> bool {
        self.taken().clients.get(&client(address)).is_some_and(|holders| holders.len() >= self.each)
    }

    /// Of the clients with a connection that only waits, the one with most of all asks its oldest such to leave.
    fn make_room(&self) {
        let mut taken = self.taken();
        let waiting = |holders: &BTreeMap<u64, Holder>| {
            holders.iter().find(|(_, holder)| holder.response.borrow().is_none()).map(|(number, _)| *number)
        };
        let candidates =
            taken.clients.iter().filter_map(|(client, holders)| Some((holders.len(), *client, waiting(holders)?)));
        let Some((_, client, number)) = candidates.max_by_key(|(count, ..)| *count) else { return };
        // It is not asked twice; its place is free once it has gone.
        if let Some(holder) = taken.remove(client, number) {
            holder.leave.notify_one();
        }
    }

    /// Gives one to the client at an address, whose `response` is watched; `None` when it has its share.
    pub fn give(
        self: &Arc<Self>,
        free: Free,
        address: IpAddr,
        response: watch::Receiver<Option<Instant>>,
    ) -> Option<Place> {
        let client = client(address);
        let mut taken = self.taken();
        if taken.clients.get(&client).is_some_and(|holders| holders.len() >= self.each) {
            return None;
        }
        let number = taken.next;
        taken.next += 1;
        let leave = Arc::new(Notify::new());
        let holder = Holder { response, leave: Arc::clone(&leave) };
        taken.clients.entry(client).or_default().insert(number, holder);
        Some(Place { client, number, leave, places: Arc::clone(self), _taken: free })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn remove(&mut self, client: IpAddr, number: u64) -> Option<Holder> {
        let holders = self.clients.get_mut(&client)?;
        let holder = holders.remove(&number);
        if holders.is_empty() {
            self.clients.remove(&client);
        }
        holder
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One that was asked to leave is not there any more.
        self.places.taken().remove(self.client, self.number);
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

    async fn ask(places: &Arc<Places>, address: &str) -> Option<Place> {
        let (_response, watched) = watch::channel(None);
        places.give(places.free().await, address.parse().expect("an address"), watched)
    }

    #[tokio::test]
    async fn one_client_has_its_share_and_the_rest_is_for_others() {
        let places = Places::new(4, 2);
        let first = ask(&places, "192.0.2.1").await;
        let second = ask(&places, "::ffff:192.0.2.1").await;
        assert!(first.is_some() && second.is_some() && ask(&places, "192.0.2.1").await.is_none());
        let other = ask(&places, "192.0.2.2").await;
        assert!(other.is_some());
        drop(first);
        assert!(ask(&places, "192.0.2.1").await.is_some());
        drop((second, other));
        assert!(places.taken().clients.is_empty() && places.free.available_permits() == 4);
    }

    #[tokio::test]
    async fn a_network_of_64_bits_is_one_client() {
        let places = Places::new(4, 1);
        let first = ask(&places, "2001:db8:1:2::1").await;
        let second = ask(&places, "2001:db8:1:2:ffff::9").await;
        assert!(first.is_some() && second.is_none() && ask(&places, "2001:db8:1:3::1").await.is_some());
    }

    #[tokio::test]
    async fn who_is_done_after_somebody_came_is_asked_too() {
        let places = Places::new(1, 1);
        let (response, watched) = watch::channel(Some(Instant::now()));
        let only = places.give(places.free().await, "192.0.2.1".parse().expect("an address"), watched);
        let only = only.expect("a place");
        assert!(places.has_share("192.0.2.1".parse().expect("an address")));
        let leaves = async move {
            tokio::task::yield_now().await;
            response.send_replace(None);
            only.needed().await;
            drop((only, response));
        };
        let (place, ()) = tokio::join!(ask(&places, "192.0.2.2"), leaves);
        assert!(place.is_some());
    }

    #[tokio::test]
    async fn who_has_most_gives_up_the_oldest_on_which_nothing_is_under_way() {
        let places = Places::new(4, 3);
        let (busy, watched) = watch::channel(Some(Instant::now()));
        let answered = places.give(places.free().await, "192.0.2.1".parse().expect("an address"), watched);
        let oldest = ask(&places, "192.0.2.1").await.expect("a place");
        let newer = ask(&places, "192.0.2.1").await.expect("a place");
        let single = ask(&places, "192.0.2.9").await.expect("a place");
        let leaves = async move {
            oldest.needed().await;
            drop(oldest);
        };
        let (place, ()) = tokio::join!(ask(&places, "192.0.2.2"), leaves);
        assert!(place.is_some());
        drop((answered, busy, newer, single));
    }
}
