//! A balancer of real iptables and nftables rules: what the metrics of affinity say live is what its backends saw.

use integration::balanced::{Lab, cases};
use integration::gate;
use integration::ringside::Ringside;

/// One for each kind of rules and family; all cases are captured in `testdata/affinity`.
const CASES: [&str; 4] = [
    "healthy-masquerade-nftables-ipv4",
    "moved-source-port-iptables-ipv6",
    "moved-idle-iptables-ipv4",
    "moved-other-nftables-ipv6",
];

#[test]
fn what_a_balancer_does_is_counted_as_its_backends_saw_it() {
    let Some(_pass) = gate::shared("balanced") else { return };
    for case in cases::all().into_iter().filter(|case| CASES.contains(&case.name().as_str())) {
        let lab = Lab::new(case.family, case.rules).expect("namespaces are allowed, the gate has tried");
        let settings: String = case.settings.iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
        let ringside = Ringside::start_with(&lab.node, &configuration(&settings), &[]);
        let truth = case.play(&lab);
        for (backend, dialogs) in truth["dialogs"].as_object().expect("an object") {
            let selector = format!("affinity_dialogs_total{{service=\"sbc\",backend=\"{backend}\"}}");
            ringside.reaches(&selector, dialogs.as_f64().expect("a number"));
        }
        for (cause, dialogs) in truth["moved"].as_object().expect("an object") {
            let selector = format!("affinity_moved_total{{service=\"sbc\",cause=\"{cause}\"}}");
            ringside.reaches(&selector, dialogs.as_f64().expect("a number"));
        }
        let failed = truth["failed"].as_f64().expect("a number");
        let scrape = ringside.reaches("affinity_moved_failed_total{service=\"sbc\"}", failed);
        scrape.assert([
            ("affinity_moved_total", failed),
            ("affinity_unknown_backend_total", 0.0),
            ("affinity_off_port_replies_total", 0.0),
            ("affinity_untranslated_replies_total", 0.0),
            ("affinity_bypass_total", 0.0),
            ("capture_drops_total", 0.0),
        ]);
    }
}

fn configuration(settings: &str) -> String {
    let backend = |pod: u8| {
        format!("{{ name = \"pod{pod}\", addresses = [\"10.244.1.1{pod}:5060\", \"[2001:db8:244::1{pod}]:5060\"] }}")
    };
    format!(
        "[receivers.ebpf_sip]\ninterfaces = [\"any\"]\n[processors.dialog]\n[processors.affinity]\n{settings}\
         services = [{{ name = \"sbc\", addresses = [\"10.96.0.60:5060\", \"[2001:db8:96::60]:5060\"], backends = [{}] }}]\n\
         [exporters.prometheus]\nendpoint = \"127.0.0.1:2112\"\n[service.pipelines.metrics]\nreceivers = [\"ebpf_sip\"]\n\
         processors = [\"affinity\", \"dialog\"]\nexporters = [\"prometheus\"]\n",
        [1, 2, 3].map(backend).join(", ")
    )
}
