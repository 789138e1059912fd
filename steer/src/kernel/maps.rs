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
    Generals, Place, PlaceKey, Ports, Rule, RuleNumbers, Service, ServiceCounters, Settings, Slots, UserKey,
};

/// Names of all maps, which are also those of their pins.
pub const NAMES: [&str; 20] = [
    "settings",
    "heartbeat",
    "ports",
    "places",
    "services",
    "backends",
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
    let sizes = [
        ("dialogs", capacity.dialogs),
        ("flows", capacity.flows),
        ("fragments", capacity.fragments),
        ("buckets", capacity.buckets),
    ];
    for (name, entries) in sizes {
        loader.map_max_entries(name, entries.max(1));
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
