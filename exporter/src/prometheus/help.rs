//! What each number of the program about itself means: the HELP of `/internal/metrics`, and of the same numbers on
//! `/metrics`.

/// One sentence, with its unit where it has one. `None` for a number of a component that does not come with ringside.
pub fn help(name: &str) -> Option<&'static str> {
    HELP.iter().find(|(known, _)| *known == name).map(|(_, help)| *help)
}

/// In the order of their names.
const HELP: &[(&str, &str)] = &[
    (
        "otelcol_config_last_reload_success_timestamp_seconds",
        "When the running configuration was read, in seconds since 1970.",
    ),
    (
        "otelcol_config_last_reload_successful",
        "1 while the last configuration that was read is the one that runs, else 0.",
    ),
    ("otelcol_config_reload_failures", "Configurations that were refused; the one before ran on."),
    ("otelcol_config_restart_needed", "1 for each key that changed and applies only after a restart; 0 without any."),
    ("otelcol_exporter_connections", "Connections of clients now."),
    (
        "otelcol_exporter_connections_refused",
        "Connections closed because their client had its share, or most while others asked.",
    ),
    ("otelcol_exporter_enqueue_failed_log_records", "Log records given up before they were sent, by reason."),
    ("otelcol_exporter_enqueue_failed_metric_points", "Points given up before they were sent, by reason."),
    ("otelcol_exporter_enqueue_failed_spans", "Spans given up before they were sent, by reason."),
    ("otelcol_exporter_in_flight_requests", "Requests under way now."),
    ("otelcol_exporter_queue_capacity", "Most bytes that may wait to be sent."),
    ("otelcol_exporter_queue_size", "Bytes that wait to be sent."),
    ("otelcol_exporter_retries", "Attempts to send a request again."),
    ("otelcol_exporter_scrapes", "Scrapes answered."),
    (
        "otelcol_exporter_send_failed_log_records",
        "Log records that a server refused, or that could not be sent in time.",
    ),
    (
        "otelcol_exporter_send_failed_metric_points",
        "Points that a server refused, that could not be sent in time, or that newer values replaced.",
    ),
    ("otelcol_exporter_send_failed_spans", "Spans that a server refused, or that could not be sent in time."),
    ("otelcol_exporter_sent_log_records", "Log records that a server acknowledged."),
    ("otelcol_exporter_sent_metric_points", "Points that a server acknowledged."),
    ("otelcol_exporter_sent_spans", "Spans that a server acknowledged."),
    ("otelcol_exporter_slow_clients", "Connections closed because their client did not take its response in time."),
    ("otelcol_extension_calls_kept", "Calls that the console keeps."),
    ("otelcol_extension_calls_refused", "Calls that the console could not take in time."),
    ("otelcol_extension_connections", "Connections of clients now."),
    ("otelcol_extension_connections_refused", "Connections closed because their client had its share of them."),
    ("otelcol_extension_pages", "Pages that follow the console now."),
    ("otelcol_extension_slow_clients", "Connections closed because their client did not take its response in time."),
    ("otelcol_metrics_exemplars_refused", "Exemplars that found no room."),
    ("otelcol_metrics_label_sets", "Pairs of carrier and ua_type that were counted."),
    ("otelcol_metrics_label_sets_refused", "Messages counted under other/other because there were too many pairs."),
    ("otelcol_process_cpu_seconds", "Processor time of all threads, in seconds."),
    ("otelcol_process_memory_rss", "Resident memory, in bytes."),
    ("otelcol_process_uptime", "Time since start, in seconds."),
    ("otelcol_processor_call_records", "Records made, by kind: of calls, of pieces of calls, of other requests."),
    ("otelcol_processor_cut_ladders", "Records whose ladder has no room for all of its messages."),
    ("otelcol_processor_evicted_call_records", "Records given up for want of memory (max_record_memory)."),
    ("otelcol_processor_incoming_items", "Calls that came in."),
    ("otelcol_processor_long_messages", "Messages longer than what is read of one."),
    ("otelcol_processor_outgoing_items", "Calls that went on."),
    (
        "otelcol_processor_refused_raw_messages",
        "Messages not kept with their record for want of memory, by the bound that was met.",
    ),
    (
        "otelcol_processor_reused_call_ids",
        "Calls that got a trace of their own because their Call-ID is used for many.",
    ),
    ("otelcol_processor_sampling_calls_dropped", "Calls that were not sampled, by reason."),
    ("otelcol_processor_sampling_calls_kept", "Calls that were sampled, by reason."),
    ("otelcol_processor_sampling_decisions_forgotten", "Decisions forgotten before the last part of their call came."),
    ("otelcol_processor_sampling_decisions_held", "Decisions held for calls that come in parts."),
    ("otelcol_processor_table_entries", "What is held in memory now, by table."),
    ("otelcol_processor_table_turned_away", "What found no room in memory, by table."),
    ("otelcol_processor_user_agents_cut", "User-Agent values longer than what is read of one."),
    ("otelcol_receiver_accepted_sip_messages", "SIP messages taken, by transport."),
    ("otelcol_receiver_capture_kind", "1 under the label of how packets are captured: ebpf or classic."),
    ("otelcol_receiver_compressed_websocket_messages", "WebSocket messages that are compressed and cannot be read."),
    (
        "otelcol_receiver_dropped_fragmented_datagrams",
        "Datagrams in fragments that could not be put together, by reason.",
    ),
    (
        "otelcol_receiver_duplicate_filter_overwritten",
        "Copies that may have been counted twice: more packets passed within the window than are remembered.",
    ),
    ("otelcol_receiver_filtered_packets", "Packets that the kernel program looked at, by verdict."),
    ("otelcol_receiver_fragmented_datagrams", "Datagrams that wait for their fragments."),
    ("otelcol_receiver_media_packets", "RTP packets taken."),
    ("otelcol_receiver_other_interface_packets", "Packets of interfaces that are not watched."),
    ("otelcol_receiver_packets", "Packets taken from the kernel or a file."),
    ("otelcol_receiver_probe_targets", "Targets that are probed."),
    ("otelcol_receiver_probes_in_flight", "Probes that wait for their answer."),
    ("otelcol_receiver_refused_sip_messages", "SIP messages of sources that are not listened to."),
    ("otelcol_receiver_ring_damaged_blocks", "Blocks of the packet ring that could not be read."),
    ("otelcol_receiver_ring_drops", "Packets that the kernel dropped because the packet ring was full."),
    ("otelcol_receiver_ring_freezes", "Times that the packet ring was full."),
    ("otelcol_receiver_ring_packets", "Packets that the kernel put into the packet ring."),
    ("otelcol_receiver_skipped_packets", "Packets that hold no SIP for us, by reason."),
    ("otelcol_receiver_stream_bytes", "Bytes kept of streams."),
    ("otelcol_receiver_streams", "Streams that are followed."),
    ("otelcol_receiver_tls_dropped_records", "Decrypted records that could not be used, by reason."),
    ("otelcol_receiver_tls_failed_libraries", "TLS libraries that could not be attached to."),
    ("otelcol_receiver_tls_kernel_events", "Events of the kernel's part of TLS, by kind."),
    ("otelcol_receiver_tls_libraries", "TLS libraries that are attached to."),
    ("otelcol_receiver_tls_records", "Decrypted records, by how their addresses were found."),
    (
        "otelcol_receiver_tls_replaced_libraries",
        "TLS libraries whose file was replaced while a process uses the old one.",
    ),
    ("otelcol_receiver_tls_unreachable_processes", "Processes whose files cannot be reached."),
    ("process_cpu_seconds", "Processor time of all threads, in seconds."),
    ("process_max_fds", "Most files that may be open."),
    ("process_open_fds", "Open files, sockets included."),
    ("process_resident_memory_bytes", "Resident memory, in bytes."),
    ("process_start_time_seconds", "When the process started, in seconds since 1970."),
    ("process_threads", "Threads."),
    ("process_virtual_memory_bytes", "Virtual memory, in bytes."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_sentence_and_its_place() {
        assert!(HELP.is_sorted_by(|(one, _), (next, _)| one < next), "in the order of the names, each once");
        assert!(HELP.iter().all(|(_, help)| help.ends_with('.') && !help.contains(['\n', '\\'])));
        assert_eq!(help("otelcol_receiver_ring_drops").map(|help| &help[..7]), Some("Packets"));
        assert_eq!(help("otelcol_of_somebody_else"), None);
    }
}
