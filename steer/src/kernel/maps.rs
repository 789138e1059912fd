//! The maps of the programs: made or taken over where they are pinned, each by its type.

use std::collections::HashSet;
use std::hash::Hash;
use std::path::Path;

use affinity::steer::Capacity;
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::{Ebpf, EbpfLoader, Pod};

use super::KernelError;
use super::layout::{
    Backend, BackendCounters, Bucket, BucketKey, ClassKey, Dialog, DialogKey, Flow, FlowKey, Fragment, FragmentKey,
    Generals, Hop, Place, PlaceKey, Ports, Rule, RuleNumbers, Service, ServiceCounters, Settings, Slots, UserKey,
};

/// Names of all maps, which are also those of their pins.
pub const NAMES: [&str; 21] = [
    "settings",
    "heartbeat",
    "ports",
    "places",
    "services",
    "backends",
    "hops",
    "slots",
    "devices",
    "users",
    "rule_tables",
    "rules",
    "classes",
    "dialogs",
    "flows",
    "fragments",
    "buckets",
    "general",
    "service_counts",
    "backend_counts",
    "events",
];

/// All maps.
pub struct Maps {
    pub settings: Array<MapData, Settings>,
    pub heartbeat: Array<MapData, u64>,
    pub ports: Array<MapData, Ports>,
    pub places: HashMap<MapData, PlaceKey, Place>,
    pub services: Array<MapData, Service>,
    pub backends: Array<MapData, Backend>,
    pub hops: Array<MapData, Hop>,
    pub slots: Array<MapData, Slots>,
    pub devices: HashMap<MapData, u32, u32>,
    pub users: HashMap<MapData, UserKey, u32>,
    pub rule_tables: Array<MapData, RuleNumbers>,
    pub rules: Array<MapData, Rule>,
    pub classes: LpmTrie<MapData, ClassKey, u32>,
    pub dialogs: HashMap<MapData, DialogKey, Dialog>,
    pub flows: HashMap<MapData, FlowKey, Flow>,
    pub fragments: HashMap<MapData, FragmentKey, Fragment>,
    pub buckets: HashMap<MapData, BucketKey, Bucket>,
    pub general: PerCpuArray<MapData, Generals>,
    pub service_counts: PerCpuArray<MapData, ServiceCounters>,
    pub backend_counts: PerCpuArray<MapData, BackendCounters>,
    pub events: RingBuf<MapData>,
}

/// Makes the maps, or takes over those that are pinned in `pins`. The programs are not loaded yet. `test_clock`: they take
/// the time from the map `clock`.
pub fn open(pins: Option<&Path>, capacity: &Capacity, test_clock: bool) -> Result<(Ebpf, Maps), KernelError> {
    let clock_is_set = u32::from(test_clock);
    let mut loader = EbpfLoader::new();
    // No kernel BTF is asked for: the programs look into packets, not into the kernel.
    loader.btf(None);
    loader.override_global("clock_is_set", &clock_is_set, true);
    for (name, entries) in sizes(capacity) {
        loader.map_max_entries(name, entries);
    }
    for name in pins.iter().flat_map(|_| NAMES) {
        loader.map_pin_path(name, pins.expect("there is one").join(name));
    }
    let mut ebpf = loader.load(OBJECT).map_err(|error| KernelError::of("make maps", error))?;
    let maps = Maps {
        settings: take(&mut ebpf, "settings")?,
        heartbeat: take(&mut ebpf, "heartbeat")?,
        ports: take(&mut ebpf, "ports")?,
        places: take(&mut ebpf, "places")?,
        services: take(&mut ebpf, "services")?,
        backends: take(&mut ebpf, "backends")?,
        hops: take(&mut ebpf, "hops")?,
        slots: take(&mut ebpf, "slots")?,
        devices: take(&mut ebpf, "devices")?,
        users: take(&mut ebpf, "users")?,
        rule_tables: take(&mut ebpf, "rule_tables")?,
        rules: take(&mut ebpf, "rules")?,
        classes: take(&mut ebpf, "classes")?,
        dialogs: take(&mut ebpf, "dialogs")?,
        flows: take(&mut ebpf, "flows")?,
        fragments: take(&mut ebpf, "fragments")?,
        buckets: take(&mut ebpf, "buckets")?,
        general: take(&mut ebpf, "general")?,
        service_counts: take(&mut ebpf, "service_counts")?,
        backend_counts: take(&mut ebpf, "backend_counts")?,
        events: take(&mut ebpf, "events")?,
    };
    Ok((ebpf, maps))
}

/// What an earlier daemon wrote and what its programs remember, but not what they counted. Opened by its pins.
pub struct Before {
    settings: Array<MapData, Settings>,
    heartbeat: Array<MapData, u64>,
    ports: Array<MapData, Ports>,
    places: HashMap<MapData, PlaceKey, Place>,
    services: Array<MapData, Service>,
    backends: Array<MapData, Backend>,
    slots: Array<MapData, Slots>,
    devices: HashMap<MapData, u32, u32>,
    users: HashMap<MapData, UserKey, u32>,
    rule_tables: Array<MapData, RuleNumbers>,
    rules: Array<MapData, Rule>,
    classes: LpmTrie<MapData, ClassKey, u32>,
    dialogs: HashMap<MapData, DialogKey, Dialog>,
    flows: HashMap<MapData, FlowKey, Flow>,
}

impl Before {
    /// Opens the maps that are pinned in a folder.
    pub fn open(pins: &Path) -> Result<Self, KernelError> {
        Ok(Self {
            settings: array(pins, "settings")?,
            heartbeat: array(pins, "heartbeat")?,
            ports: array(pins, "ports")?,
            places: hash(pins, "places")?,
            services: array(pins, "services")?,
            backends: array(pins, "backends")?,
            slots: array(pins, "slots")?,
            devices: hash(pins, "devices")?,
            users: hash(pins, "users")?,
            rule_tables: array(pins, "rule_tables")?,
            rules: array(pins, "rules")?,
            classes: pinned(pins, "classes", Map::LpmTrie)?,
            dialogs: hash(pins, "dialogs")?,
            flows: pinned(pins, "flows", Map::LruHashMap)?,
        })
    }

    /// Copies what the programs obey. The new ones may then take over.
    pub fn copy_tables(&self, to: &mut Maps) -> Result<(), KernelError> {
        copy_array(&self.ports, &mut to.ports)?;
        copy_array(&self.backends, &mut to.backends)?;
        copy_array(&self.slots, &mut to.slots)?;
        copy_array(&self.rule_tables, &mut to.rule_tables)?;
        copy_array(&self.rules, &mut to.rules)?;
        copy_array(&self.services, &mut to.services)?;
        copy_hash(&self.devices, &mut to.devices)?;
        copy_hash(&self.users, &mut to.users)?;
        copy_hash(&self.places, &mut to.places)?;
        for entry in self.classes.iter() {
            let (key, class) = entry.map_err(failed("read a map"))?;
            to.classes.insert(&key, class, 0).map_err(failed("write a map"))?;
        }
        copy_array(&self.heartbeat, &mut to.heartbeat)?;
        copy_array(&self.settings, &mut to.settings)
    }

    /// Copies dialogs and flows, as many as there is room for.
    pub fn copy_memory(&self, to: &mut Maps) -> Result<(), KernelError> {
        for (key, dialog) in self.dialogs.iter().filter_map(Result::ok) {
            match to.dialogs.insert(key, dialog, 0) {
                Ok(()) => {}
                // Full: those go by Maglev alone.
                Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(nix::libc::E2BIG) => break,
                Err(error) => return Err(KernelError::of("write a map", error)),
            }
        }
        copy_hash(&self.flows, &mut to.flows)
    }
}

fn array<V: Pod>(pins: &Path, name: &str) -> Result<Array<MapData, V>, KernelError> {
    pinned(pins, name, Map::Array)
}

fn hash<K: Pod, V: Pod>(pins: &Path, name: &str) -> Result<HashMap<MapData, K, V>, KernelError> {
    pinned(pins, name, Map::HashMap)
}

fn pinned<M>(pins: &Path, name: &str, kind: fn(MapData) -> Map) -> Result<M, KernelError>
where
    M: TryFrom<Map, Error = MapError>,
{
    let data = MapData::from_pin(pins.join(name)).map_err(failed("open a pinned map"))?;
    M::try_from(kind(data)).map_err(failed("open a pinned map"))
}

fn copy_array<V: Pod>(from: &Array<MapData, V>, to: &mut Array<MapData, V>) -> Result<(), KernelError> {
    for (index, value) in (0..).zip(from.iter()) {
        to.set(index, value.map_err(failed("read a map"))?, 0).map_err(failed("write a map"))?;
    }
    Ok(())
}

fn copy_hash<K: Pod, V: Pod>(
    from: &HashMap<MapData, K, V>,
    to: &mut HashMap<MapData, K, V>,
) -> Result<(), KernelError> {
    for (key, value) in from.iter().filter_map(Result::ok) {
        to.insert(key, value, 0).map_err(failed("write a map"))?;
    }
    Ok(())
}

/// Whether the maps that are pinned in a folder, if any are, are as large as is wanted.
pub fn fit(pins: &Path, capacity: &Capacity) -> bool {
    sizes(capacity).iter().all(|(name, entries)| {
        let info = MapData::from_pin(pins.join(name)).and_then(|map| map.info());
        info.is_ok_and(|info| info.max_entries() == *entries)
    })
}

fn sizes(capacity: &Capacity) -> [(&'static str, u32); 4] {
    let sizes = [
        ("dialogs", capacity.dialogs),
        ("flows", capacity.flows),
        ("fragments", capacity.fragments),
        ("buckets", capacity.buckets),
    ];
    sizes.map(|(name, entries)| (name, entries.max(1)))
}

/// A map by its name, which the object is known to have.
pub fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, KernelError>
where
    M: TryFrom<Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or(KernelError::Tables { what: "another version's maps" })?;
    M::try_from(map).map_err(|error| KernelError::of("use a map", error))
}

/// What a write or a read failed with.
pub fn failed(what: &'static str) -> impl Fn(MapError) -> KernelError {
    move |error| KernelError::of(what, error)
}

/// Makes a map hold exactly these entries: those that are not among them go, others are written where they differ.
pub fn replace<K: Pod + Eq + Hash, V: Pod + PartialEq>(
    map: &mut HashMap<MapData, K, V>,
    entries: &std::collections::HashMap<K, V>,
) -> Result<(), KernelError> {
    add(map, entries)?;
    retain(map, |key| entries.contains_key(key))
}

/// Writes entries that are not there, or different.
pub fn add<K: Pod + Eq + Hash, V: Pod + PartialEq>(
    map: &mut HashMap<MapData, K, V>,
    entries: &std::collections::HashMap<K, V>,
) -> Result<(), KernelError> {
    for (key, value) in entries {
        if map.get(key, 0).ok().as_ref() != Some(value) {
            map.insert(key, value, 0).map_err(failed("write a map"))?;
        }
    }
    Ok(())
}

/// Takes out entries whose keys are not wanted.
pub fn retain<K: Pod + Eq + Hash, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    wanted: impl Fn(&K) -> bool,
) -> Result<(), KernelError> {
    // First all keys: after a deletion the kernel would begin anew.
    let keys: HashSet<K> = map.keys().collect::<Result<_, _>>().map_err(failed("read a map"))?;
    for key in keys.iter().filter(|key| !wanted(key)) {
        match map.remove(key) {
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(error) => return Err(KernelError::of("write a map", error)),
        }
    }
    Ok(())
}

/// How many entries a map has.
pub fn count<K: Pod, V: Pod>(map: &HashMap<MapData, K, V>) -> u64 {
    map.keys().filter(Result::is_ok).count() as u64
}

/// Compiled by build.rs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/steer.o"));
