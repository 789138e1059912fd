//! Plays every case of a balanced service on real rules and writes what was captured of it to `testdata/affinity`, with what has to
//! be found there. Needs root, iptables, nftables, conntrack, tcpdump: `cargo run -p integration --bin affinity-captures`.
//!
//! Backends are chosen by chance, so that the files are others each time; names given as arguments choose some of them.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use integration::balanced::cases;
use integration::scratch::Folder;
use integration::testdata;
use serde_json::{Map, Value};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let folder = testdata::root().join("affinity");
    fs::create_dir_all(&folder).expect("it can be made");
    let path = folder.join("expected.json");
    let before = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str(&text).ok());
    let mut expected: Map<String, Value> = before.unwrap_or_default();
    let scratch = Folder::new("affinity-captures");
    for case in cases::all() {
        let name = case.name();
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        let (file, truth) = case.record(scratch.path()).expect("namespaces can be made");
        println!("{name}: {} bytes", file.len());
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        let packed = packed.write_all(&file).and_then(|()| packed.finish()).expect("memory can be written");
        fs::write(folder.join(format!("{name}.pcap.gz")), packed).expect("it can be written");
        expected.insert(name, truth);
    }
    let text = serde_json::to_string_pretty(&expected).expect("JSON has no keys but text");
    fs::write(path, text + "\n").expect("it can be written");
}
