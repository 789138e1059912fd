//! Basic authentication (RFC 7617) against bcrypt hashes: `basic_auth_users` of Prometheus' exporter-toolkit.
//!
//! A hash takes tens of milliseconds on purpose. One is computed at a time, on a thread of its own, and a client has two
//! waiting at most; who was right once is known by a digest from then on; a name that is not known takes as long as the first
//! that is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// Those who may ask, by name, with the hash of their password.
pub struct BasicAuth {
    users: BTreeMap<String, String>,
    /// Digests of names and passwords that were right.
    known: Mutex<HashSet<[u8; 32]>>,
    /// One permit.
    turn: Arc<Semaphore>,
    /// How many passwords of each client wait for it.
    waiting: Mutex<HashMap<IpAddr, usize>>,
}

impl BasicAuth {
    /// The names whose hash is not bcrypt's, or costs more than 14, are the error.
    pub fn new(users: &BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let is_wrong = |hash: &str| {
            let parts = hash.parse::<bcrypt::HashParts>();
            !hash.starts_with("$2") || parts.map_or(true, |parts| parts.get_cost() > MAX_COST)
        };
        let wrong: Vec<String> =
            users.iter().filter(|(_, hash)| is_wrong(hash)).map(|(name, _)| name.clone()).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            users: users.clone(),
            known: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
            waiting: Mutex::default(),
        })
    }

    /// Whether everybody may ask.
    pub fn is_open(&self) -> bool {
        self.users.is_empty()
    }

    /// Whether these are those who may ask.
    pub fn is_of(&self, users: &BTreeMap<String, String>) -> bool {
        self.users == *users
    }

    /// Whether a request with these fields, of a client at an address, comes from one of them.
    pub async fn admits(&self, headers: &HeaderMap, client: IpAddr) -> bool {
        if self.is_open() {
            return true;
        }
        let Some((name, password)) = credentials(headers) else { return false };
        let digest: [u8; 32] = Sha256::digest(format!("{}:{name}{password}", name.len())).into();
        if self.known().contains(&digest) {
            return true;
        }
        let Some(_waits) = Waits::new(self, client) else { return false };
        let hash = self.users.get(&name).cloned();
        // A name that is not known costs the time of one that is.
        let other = self.users.values().next().cloned().unwrap_or_default();
        let turn = Arc::clone(&self.turn).acquire_owned().await.expect("the semaphore is never closed");
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let known = hash.is_some();
            known & bcrypt::verify(password, &hash.unwrap_or(other)).unwrap_or(false)
        });
        let admitted = checked.await.unwrap_or(false);
        if admitted {
            self.known().insert(digest);
        }
        admitted
    }

    fn known(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A password of a client that waits, until it is dropped.
struct Waits<'a> {
    auth: &'a BasicAuth,
    client: IpAddr,
}

impl<'a> Waits<'a> {
    /// `None` where enough of the client's wait.
    fn new(auth: &'a BasicAuth, client: IpAddr) -> Option<Self> {
        let mut waiting = auth.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(client).or_default();
        if *count >= WAITING {
            return None;
        }
        *count += 1;
        Some(Self { auth, client })
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut waiting = self.auth.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.client);
            }
        }
    }
}

/// Most passwords of one client that wait.
const WAITING: usize = 2;
/// Costlier hashes would hold the turn for seconds.
const MAX_COST: u32 = 14;

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(encoded.trim()))?.ok()?;
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().expect("a header value"))])
    }

    fn basic(text: &str) -> HeaderMap {
        headers(&format!("Basic {}", BASE64_STANDARD.encode(text)))
    }

    #[tokio::test]
    async fn who_knows_the_password_is_admitted_and_nobody_else() {
        let hash = bcrypt::hash("se:cret", 4).expect("a hash");
        let auth = BasicAuth::new(&BTreeMap::from([("prometheus".to_owned(), hash)])).expect("it is bcrypt's");
        // The second time it is known.
        for _ in 0..2 {
            assert!(auth.admits(&basic("prometheus:se:cret"), HERE).await);
        }
        for other in ["prometheus:secret", "prometheus:", "nobody:se:cret", ":", "prometheus"] {
            assert!(!auth.admits(&basic(other), HERE).await, "{other}");
        }
        for other in ["Basic", "Basic !!!", "Bearer se:cret", ""] {
            assert!(!auth.admits(&headers(other), HERE).await, "{other}");
        }
        assert!(!auth.admits(&HeaderMap::new(), HERE).await);
        assert_eq!(auth.known().len(), 1, "what is wrong is not kept");
    }

    #[tokio::test]
    async fn without_users_everybody_may_ask() {
        assert!(BasicAuth::new(&BTreeMap::new()).expect("nothing is wrong").admits(&HeaderMap::new(), HERE).await);
    }

    #[test]
    fn what_is_no_hash_is_named() {
        let users = [
            ("a", "secret"),
            ("b", "$2y$10$short"),
            ("c", "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"),
        ];
        let users = users.map(|(name, hash)| (name.to_owned(), hash.to_owned())).into();
        assert_eq!(BasicAuth::new(&users).err(), Some(vec!["a".to_owned(), "b".to_owned()]));
    }
}
