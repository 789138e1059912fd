//! What files of either form say, and what is wrong with files that are.

use std::fs;
use std::time::Duration;

use super::*;

fn with<T>(f: impl FnOnce(&Bounds<'_>) -> T) -> T {
    let services = ["sbc-core".to_owned(), "registrar".to_owned()];
    let allowed = ["10.244.0.0/16", "2001:db8:244::/48"].map(|network| network.parse().expect("a network"));
    f(&Bounds { services: &services, allowed: &allowed, node: "node-a" })
}

/// A backend in words: `service/name addresses weight state [here|there]`.
fn said(text: &str) -> Result<Vec<String>, String> {
    let words = |one: &Found| {
        let Backend { name, addresses, weight, state, local } = &one.backend;
        let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join("+");
        let place = match local {
            None => "",
            Some(true) => " here",
            Some(false) => " there",
        };
        format!("{}/{name} {addresses} {weight} {}{place}", one.service, state.as_str())
    };
    with(|bounds| parse(text, bounds)).map(|found| found.iter().map(words).collect())
}

#[test]
fn targets_with_labels_are_backends() {
    let text = r#"[
        { "targets": ["10.244.1.11:5060"], "labels": { "service": "sbc-core", "backend": "sbc-0" } },
        { "targets": ["10.244.1.12:5060", "[2001:db8:244::12]:5060"],
          "labels": { "service": "sbc-core", "backend": "sbc-1", "weight": "50", "state": "drain", "rack": "7" } },
        { "targets": ["10.244.1.13:5060"], "labels": { "service": "registrar", "backend": "sbc-0", "weight": 7 } }
    ]"#;
    let expected = [
        "sbc-core/sbc-0 10.244.1.11:5060 100 up",
        "sbc-core/sbc-1 10.244.1.12:5060+[2001:db8:244::12]:5060 50 drain",
        "registrar/sbc-0 10.244.1.13:5060 7 up",
    ];
    assert_eq!(said(text).expect("it is right"), expected);
    assert_eq!(said(" []\n").expect("it is right"), Vec::<String>::new());
}

/// A slice as kubectl prints it, with these endpoints.
fn slice(service: &str, family: &str, endpoints: &str, ports: &str) -> String {
    format!(
        r#"{{ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "{family}",
             "metadata": {{ "name": "x", "labels": {{ "kubernetes.io/service-name": "{service}" }} }},
             "endpoints": {endpoints}, "ports": {ports} }}"#
    )
}

fn endpoint(name: &str, address: &str, conditions: &str, node: &str) -> String {
    format!(
        r#"{{ "addresses": ["{address}"], "conditions": {{ {conditions} }}, "nodeName": "{node}",
             "targetRef": {{ "kind": "Pod", "name": "{name}", "namespace": "voice", "uid": "1" }} }}"#
    )
}

const SIP: &str = r#"[{ "name": "sip", "port": 5060, "protocol": "UDP" }]"#;

#[test]
fn endpoints_of_slices_are_backends() {
    let ready = endpoint("sbc-0", "10.244.1.11", r#""ready": true, "serving": true, "terminating": false"#, "node-a");
    let ready_six = endpoint("sbc-0", "2001:db8:244::11", r#""ready": true"#, "node-a");
    let leaving = endpoint("sbc-1", "10.244.1.12", r#""ready": false, "serving": true, "terminating": true"#, "node-b");
    let starting = endpoint("sbc-2", "10.244.1.13", r#""ready": false, "serving": false"#, "node-b");
    let ended = endpoint("sbc-3", "10.244.1.14", r#""ready": false, "serving": false, "terminating": true"#, "node-b");
    let unknown = endpoint("sbc-4", "10.244.1.15", "", "node-b");
    let four = format!("[{ready}, {leaving}, {starting}, {ended}, {unknown}]");
    let items = [
        slice("sbc-core", "IPv4", &four, SIP),
        slice("sbc-core", "IPv6", &format!("[{ready_six}]"), SIP),
        slice("registrar", "IPv4", "null", "null"),
    ];
    let items = items.join(", ");
    let text = format!(
        r#"{{ "apiVersion": "v1", "kind": "List", "items": [{items}], "metadata": {{ "resourceVersion": "" }} }}"#
    );
    let expected = [
        "sbc-core/sbc-0 10.244.1.11:5060+[2001:db8:244::11]:5060 100 up here",
        "sbc-core/sbc-1 10.244.1.12:5060 100 drain there",
        "sbc-core/sbc-2 10.244.1.13:5060 100 down there",
        "sbc-core/sbc-3 10.244.1.14:5060 100 down there",
        "sbc-core/sbc-4 10.244.1.15:5060 100 up there",
    ];
    assert_eq!(said(&text).expect("it is right"), expected);
}

#[test]
fn one_slice_alone_is_read_and_slices_of_others_mean_nothing() {
    let one = slice("registrar", "IPv4", &format!("[{}]", endpoint("r-0", "10.244.1.9", "", "node-a")), SIP);
    assert_eq!(said(&one).expect("it is right"), ["registrar/r-0 10.244.1.9:5060 100 up here"]);
    let web = slice("web", "IPv4", &format!("[{}]", endpoint("web-0", "192.0.2.1", "", "node-a")), "[]");
    assert_eq!(said(&web).expect("it is right"), Vec::<String>::new());
}

#[test]
fn of_several_ports_over_udp_the_one_for_sip_counts() {
    let of = |ports: &str| {
        said(&slice("registrar", "IPv4", &format!("[{}]", endpoint("r-0", "10.244.1.9", "", "a")), ports))
    };
    let both = r#"[{ "name": "rtcp", "port": 9, "protocol": "UDP" }, { "name": "sip-udp", "port": 5070, "protocol": "UDP" },
                   { "name": "sip-tcp", "port": 5071, "protocol": "TCP" }]"#;
    assert_eq!(of(both).expect("it is right"), ["registrar/r-0 10.244.1.9:5070 100 up there"]);
    for ports in ["[]", r#"[{ "port": 5060, "protocol": "TCP" }]"#, &both.replace("sip-udp", "media")] {
        assert!(of(ports).expect_err("it is wrong").starts_with("which port of service \"registrar\" is SIP over UDP"));
    }
}

#[test]
fn every_mistake_says_what_to_do() {
    let group = |target: &str, labels: &str| format!(r#"[{{ "targets": ["{target}"], "labels": {{ {labels} }} }}]"#);
    let core = r#""service": "sbc-core", "backend": "a""#;
    let twice = r#"[{ "targets": ["10.244.1.1:5060"], "labels": { "service": "sbc-core", "backend": "a" } },
                    { "targets": ["10.244.1.1:5060"], "labels": { "service": "registrar", "backend": "b" } }]"#;
    let unnamed = r#"[{ "addresses": ["10.244.1.1"], "conditions": {} }]"#;
    for (text, mistake) in [
        ("[{]".to_owned(), "line 1, column 3 is no JSON: write the file beside and rename it over"),
        (String::new(), "line 1, column 0 is no JSON: write the file beside and rename it over"),
        (
            r#"[{ "targets": 7 }]"#.to_owned(),
            "line 1, column 15 is not of the form that is read: docs/steering.md shows both forms",
        ),
        (
            r#"{ "kind": "Pod" }"#.to_owned(),
            "it is no list of EndpointSlices: print one by kubectl get endpointslices -o json",
        ),
        (
            group("10.244.1.1:5060", r#""service": "sbc", "backend": "a""#),
            "the label `service` names no [[service]]: those there are: sbc-core, registrar",
        ),
        (group("10.244.1.1", core), "a target of backend \"a\" is no address with a port: write \"10.244.1.11:5060\""),
        (
            group("192.0.2.1:5060", core),
            "192.0.2.1:5060 is in none of `allowed_backends`: add its network there if it is one of yours",
        ),
        (group("10.244.1.1:5060", &format!(r#"{core}, "weight": "much""#)), "a `weight` is no number: write 0 to 1000"),
        (
            group("10.244.1.1:5060", &format!(r#"{core}, "weight": "1001""#)),
            "a weight of 1001 is not between 0 and 1000: 100 is the default",
        ),
        (
            group("10.244.1.1:5060", r#""service": "sbc-core", "backend": "a\nb""#),
            "a backend has a name that is none: use 1 to 253 letters, digits and any of `_-.`",
        ),
        (
            group("10.244.1.1:5060\", \"10.244.1.2:5060", core),
            "backend \"a\" has two addresses of one family: give each address a backend of its own",
        ),
        (twice.to_owned(), "10.244.1.1:5060 stands for two backends: give each an address of its own"),
        (
            slice("registrar", "IPv4", unnamed, SIP),
            "an endpoint has neither `targetRef` nor `hostname`: it needs a name",
        ),
        (
            slice("registrar", "FQDN", &format!("[{}]", endpoint("r", "r.example.com", "", "a")), SIP),
            "endpoint \"r\" has no address: only IPv4 and IPv6 slices are read",
        ),
    ] {
        assert_eq!(said(&text).expect_err("it is wrong"), mistake);
    }
}

#[test]
fn a_file_may_be_cut_or_damaged_anywhere() {
    let one =
        slice("registrar", "IPv4", &format!("[{}]", endpoint("r-0", "10.244.1.9", r#""ready": true"#, "node-a")), SIP);
    for text in
        [one.as_str(), r#"[{ "targets": ["10.244.1.1:5060"], "labels": { "service": "sbc-core", "backend": "a" } }]"#]
    {
        assert!(said(text).is_ok());
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let _ = said(&text[..at]);
            for other in ["", "\0", "\"", "{", "[", "9", "null"] {
                let _ = said(&format!("{}{other}{}", &text[..at], &text[at + 1..]));
            }
        }
    }
}

#[test]
fn more_backends_than_the_kernel_knows_are_refused() {
    let group = |number: usize| {
        let (high, low) = (number / 256, number % 256);
        format!(
            r#"{{ "targets": ["10.244.{high}.{low}:5060"], "labels": {{ "service": "sbc-core", "backend": "b{number}" }} }}"#
        )
    };
    let text = |count: usize| format!("[{}]", (0..count).map(group).collect::<Vec<_>>().join(","));
    assert_eq!(said(&text(1024)).expect("it is right").len(), 1024);
    assert_eq!(
        said(&text(1025)).expect_err("it is wrong"),
        "it names 1025 backends, and 1024 are the most: name fewer"
    );
}

/// A folder of discovery files.
struct Files {
    folder: tempfile::TempDir,
    discovery: Discovery,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), discovery: Discovery::default() }
    }

    /// Writes as one should, and so that even a clock of whole seconds shows it.
    fn write(&self, name: &str, text: &str) {
        let (path, beside) = (self.folder.path().join(name), self.folder.path().join("beside"));
        let before = fs::metadata(&path).and_then(|data| data.modified());
        fs::write(&beside, text).expect("a file");
        if let Ok(before) = before {
            let file = fs::File::options().write(true).open(&beside).expect("a file");
            file.set_modified(before + Duration::from_secs(1)).expect("its time can be set");
        }
        fs::rename(beside, path).expect("it can be renamed");
    }

    fn look(&mut self) -> Look {
        let pattern = format!("{}/*.json", Pattern::escape(&self.folder.path().display().to_string()));
        let patterns = [Pattern::new(&pattern).expect("a pattern")];
        // What is escaped is no folder, and none of ours has anything to escape.
        assert_eq!(folders(&patterns), [self.folder.path()]);
        with(|bounds| self.discovery.look(&patterns, bounds, false, 1))
    }

    fn names(&self) -> Vec<&str> {
        self.discovery.found().map(|one| one.backend.name.as_str()).collect()
    }
}

fn group(backend: &str, last: u8) -> String {
    format!(
        r#"[{{ "targets": ["10.244.1.{last}:5060"], "labels": {{ "service": "sbc-core", "backend": "{backend}" }} }}]"#
    )
}

#[test]
fn a_wrong_file_changes_nothing_and_a_missing_one_says_nothing() {
    let mut files = Files::new();
    assert_eq!(files.look(), Look::default());
    files.write("a.json", &group("a", 1));
    files.write("b.json", &group("b", 2));
    files.write("c.yaml", "not looked at");
    assert_eq!(files.look(), Look { changed: true, wrong: Vec::new() });
    assert_eq!(files.look(), Look::default());
    assert_eq!(files.names(), ["a", "b"]);
    files.write("a.json", "{");
    let look = files.look();
    assert!(!look.changed && look.wrong.len() == 1 && look.wrong[0].0.ends_with("a.json"), "{look:?}");
    assert_eq!(files.look(), Look::default(), "it is told once");
    assert_eq!((files.names(), files.discovery.wrong().count()), (vec!["a", "b"], 1));
    files.write("a.json", &group("a2", 1));
    assert_eq!(files.look(), Look { changed: true, wrong: Vec::new() });
    assert_eq!((files.names(), files.discovery.wrong().count()), (vec!["a2", "b"], 0));
    fs::remove_file(files.folder.path().join("a.json")).expect("it is there");
    assert!(files.look().changed);
    assert_eq!(files.names(), ["b"]);
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let mut files = Files::new();
    files.write("a.json", &" ".repeat(LARGEST as usize + 1));
    assert_eq!(files.look().wrong[0].1, "it is larger than 1 MiB: name fewer backends, or other labels");
    std::os::unix::fs::symlink("/dev/zero", files.folder.path().join("b.json")).expect("a link");
    assert_eq!(files.look().wrong.len(), 1);
}
