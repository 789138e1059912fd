//! The one list of components compiled in. A new component is an entry here.

use std::sync::Arc;

use config::{Role, Type};
use engine::Catalogue;
use exporter::file_storage::{self, FileStorage};
use exporter::otlp::{self, Otlp};
use exporter::pcap::{self, Pcap};
use exporter::prometheus::{self, Prometheus};
use extension_console::Console;
use metrics::{ExporterContext, ExtensionContext};
use pipeline::{Build, Exporter, Extension, Processor, ProcessorContext, Receiver};
use processor_affinity::Affinity;
use processor_dialog::Dialogs;
use processor_enrich::Enrich;
use processor_media::Media;
use processor_sampling::Sampling;
use receiver_ebpf_sip::EbpfSipReceiver;
use receiver_pcap::PcapReceiver;
use receiver_sip_probe::{ProbeEndpoint, SipProbeReceiver};

/// Which program this is.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    revision: env!("RINGSIDE_REVISION"),
    rustversion: env!("RINGSIDE_RUSTVERSION"),
};

/// Every type of component this program has.
pub fn catalogue() -> Catalogue {
    Catalogue {
        build: BUILD,
        receivers: vec![
            Type::<dyn Receiver, ()>::new(
                "ebpf_sip",
                Role::Receives,
                "live SIP off the wire, filtered in the kernel",
                receiver_ebpf_sip::Config::checked,
                |config, ()| Box::new(EbpfSipReceiver::new(config)),
            ),
            Type::<dyn Receiver, ()>::new(
                "pcap",
                Role::ReadsFiles,
                "capture files as if they were live",
                receiver_pcap::Config::checked,
                |config, ()| Box::new(PcapReceiver::new(config, Arc::default())),
            ),
            Type::<dyn Receiver, ()>::new(
                "sip_probe",
                Role::Asks,
                "OPTIONS probes: the one component that sends",
                receiver_sip_probe::Config::check,
                |settings, ()| Box::new(SipProbeReceiver::new(settings)),
            ),
        ],
        processors: vec![
            Type::<dyn Processor, ProcessorContext>::new(
                "dialog",
                Role::StatesFacts,
                "follows transactions, dialogs, calls and registrations",
                processor_dialog::Config::check,
                |config, context| {
                    let dialogs = Dialogs::one_of(context.shards, config, context.calls.clone());
                    let dialogs = dialogs.labelled(Arc::clone(&context.label_sets));
                    Box::new(if context.media.is_some() { dialogs.telling_media() } else { dialogs })
                },
            ),
            Type::<dyn Processor, ProcessorContext>::new(
                "affinity",
                Role::ReadsFrames,
                "which backend of a balanced service took a call, and what the balancer breaks",
                processor_affinity::Config::check,
                |settings, context| Box::new(Affinity::new(settings, context)),
            ),
            Type::<dyn Processor, ProcessorContext>::new(
                "enrich",
                Role::UsesFacts,
                "gives calls their carrier and user agent type",
                processor_enrich::Config::check,
                |settings, context| Box::new(Enrich::new(settings, Arc::clone(&context.label_sets))),
            ),
            Type::<dyn Processor, ProcessorContext>::new(
                "media",
                Role::HearsMedia,
                "what callers hear: loss, jitter, MOS and faults by RTP and RTCP",
                processor_media::Config::check,
                |settings, context| {
                    let (records, ports) = (context.calls.is_some(), context.media.clone());
                    Box::new(Media::one_of(context.shards, settings, records, ports))
                },
            ),
            Type::<dyn Processor, ProcessorContext>::new(
                "sampling",
                Role::ChoosesCalls,
                "chooses the calls that become traces",
                processor_sampling::Config::check,
                |config, context| Box::new(Sampling::one_of(context.shards, config, Arc::clone(&context.label_sets))),
            ),
        ],
        exporters: vec![
            Type::<dyn Exporter, ExporterContext>::new(
                "prometheus",
                Role::ExportsMetrics,
                "serves metrics to be scraped, and the health of the program",
                prometheus::Settings::check,
                |settings, context| Box::new(Prometheus::new(settings, context)),
            ),
            Type::<dyn Exporter, ExporterContext>::new(
                otlp::env::GRPC,
                Role::Exports,
                "pushes metrics and traces as OTLP over gRPC",
                otlp::Settings::grpc,
                |settings, context| Box::new(Otlp::new(settings, context)),
            )
            .naming_extension("sending_queue.storage", Role::KeepsFiles),
            Type::<dyn Exporter, ExporterContext>::new(
                otlp::env::HTTP,
                Role::Exports,
                "pushes metrics and traces as OTLP over HTTP",
                otlp::Settings::http,
                |settings, context| Box::new(Otlp::new(settings, context)),
            )
            .naming_extension("sending_queue.storage", Role::KeepsFiles),
            Type::<dyn Exporter, ExporterContext>::new(
                "pcap",
                Role::Records,
                "records messages into files of a bounded size, number and age",
                pcap::Settings::check,
                |settings, context| Box::new(Pcap::new(settings, context)),
            ),
        ],
        extensions: vec![
            Type::<dyn Extension, ExtensionContext>::new(
                "console",
                Role::WatchesCalls,
                "a page with ratios, calls and their ladders, for this host",
                extension_console::Settings::check,
                |settings, context| Box::new(Console::new(settings, context)),
            ),
            Type::<dyn Extension, ExtensionContext>::new(
                "probe_endpoint",
                Role::AddsPage,
                "/probe beside /metrics: probes when they are scraped",
                receiver_sip_probe::page::Config::check,
                |settings, _| Box::new(ProbeEndpoint::new(settings)),
            ),
            Type::<dyn Extension, ExtensionContext>::new(
                "file_storage",
                Role::KeepsFiles,
                "a folder for what waits to be sent, over restarts",
                file_storage::Config::checked,
                |config, _| Box::new(FileStorage::new(config)),
            ),
        ],
    }
}
