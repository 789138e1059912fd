//! An endpoint whose name nobody resolves.

use std::fs;
use std::time::{Duration, Instant};

use integration::ringside::{HTTP, Ringside};
use integration::scratch::Folder;
use integration::wait::{DEADLINE, eventually};
use testnet::{Namespace, skipped};

use crate::calls;

/// Well below the twenty seconds that the resolver takes to give up.
const END: Duration = Duration::from_secs(8);

#[test]
fn a_resolver_that_does_not_answer_does_not_hold_up_the_end() {
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(error) => return skipped("a silent resolver", &format!("network namespaces are refused: {error}")),
    };
    // Questions leave over a cable with nobody at its other end.
    namespace.ip("link add left type veth peer name right");
    for line in ["addr add 10.20.0.1/24 dev left", "link set left up", "link set right up"] {
        namespace.ip(line);
    }
    namespace.ip("neigh add 10.20.0.2 lladdr 02:00:00:00:20:02 nud permanent dev left");
    let folder = Folder::new("resolver");
    let resolver = folder.join("resolv.conf");
    fs::write(&resolver, "nameserver 10.20.0.2\n").expect("a configuration");
    let capture = calls::capture(&folder);
    let config = format!(
        "[receivers.pcap]\nfiles = [{capture:?}]\n[processors.dialog]\n[exporters.prometheus]\nendpoint = \"{HTTP}\"\n\
         [exporters.otlp_http]\nendpoint = \"http://otlp.example.com:4318\"\nmetric_export_interval = \"100ms\"\n\
         [service]\nshutdown_timeout = \"1s\"\n\
         [service.pipelines.metrics]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\"]\n\
         exporters = [\"prometheus\", \"otlp_http\"]\n"
    );
    let mount = format!("mount --bind {} /etc/resolv.conf && exec \"$0\" \"$@\"", resolver.display());
    let mut ringside = Ringside::spawn(&namespace, &config, &["unshare", "--mount", "sh", "-c", &mount]);
    eventually("an attempt", || {
        assert!(!ringside.log().contains("mount:"), "{}", ringside.log());
        ringside.health().ok()?;
        ringside.internal("otelcol_exporter_in_flight_requests").filter(|requests| *requests > 0.0)
    });
    let begun = Instant::now();
    ringside.signal(libc::SIGTERM);
    ringside.ended(DEADLINE);
    assert!(begun.elapsed() < END, "it took {:?}\n{}", begun.elapsed(), ringside.log());
}
