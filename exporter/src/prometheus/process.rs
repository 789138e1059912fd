//! The process about itself, as Linux tells it: for `/metrics` under the names of Prometheus' client libraries, for
//! `/internal/metrics` under the Collector's.

use std::time::Instant;

use metrics::{Format, text::float};
use pipeline::Telemetry;
use procfs::process::{LimitValue, Process, Stat};
use procfs::{CurrentSI, KernelStats, ProcResult, WithCurrentSystemInfo};

use super::internal::{self, Manner, announce};

/// Uptime in seconds since `started`, processor time in seconds, resident memory in bytes. What `/proc` does not tell is left out.
pub fn telemetry(started: Instant, out: &mut Vec<Telemetry>) {
    let mut push = |name, counter, value| out.push(Telemetry { name, labels: Vec::new(), counter, value });
    push("otelcol_process_uptime", true, started.elapsed().as_secs_f64());
    let Ok(stat) = Process::myself().and_then(|process| process.stat()) else { return };
    push("otelcol_process_cpu_seconds", true, cpu_seconds(&stat));
    push("otelcol_process_memory_rss", false, resident_bytes(&stat));
}

/// Families for a scrape, before all others. What `/proc` does not tell is left out.
pub fn families(format: Format) -> String {
    let mut out = String::new();
    let Ok(process) = Process::myself() else { return out };
    if let Ok(stat) = process.stat() {
        push(
            &mut out,
            format,
            "process_cpu_seconds",
            true,
            "Processor time of all threads, in seconds.",
            cpu_seconds(&stat),
        );
        push(
            &mut out,
            format,
            "process_resident_memory_bytes",
            false,
            "Resident memory, in bytes.",
            resident_bytes(&stat),
        );
        push(&mut out, format, "process_virtual_memory_bytes", false, "Virtual memory, in bytes.", stat.vsize as f64);
        push(&mut out, format, "process_threads", false, "Threads.", stat.num_threads as f64);
        if let Ok(started) = started(&stat) {
            push(
                &mut out,
                format,
                "process_start_time_seconds",
                false,
                "When it started, in seconds since 1970.",
                started,
            );
        }
    }
    if let Ok(open) = process.fd_count() {
        push(&mut out, format, "process_open_fds", false, "Open files, sockets included.", open as f64);
    }
    if let Ok(most) = most_files(&process) {
        push(&mut out, format, "process_max_fds", false, "Most files that may be open.", most);
    }
    out
}

/// One family with its value.
fn push(out: &mut String, format: Format, name: &str, counter: bool, help: &str, value: f64) {
    let (family, series) = Manner::Prometheus(format).names(name, counter);
    announce(out, &family, counter, Some(help));
    internal::push(out, format_args!("{series} {}\n", float(&mut zmij::Buffer::new(), value)));
}

fn cpu_seconds(stat: &Stat) -> f64 {
    (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
}

/// Seconds since 1970.
fn started(stat: &Stat) -> ProcResult<f64> {
    Ok(KernelStats::current()?.btime as f64 + stat.starttime as f64 / procfs::ticks_per_second() as f64)
}

fn resident_bytes(stat: &Stat) -> f64 {
    stat.rss_bytes().get() as f64
}

fn most_files(process: &Process) -> ProcResult<f64> {
    Ok(match process.limits()?.max_open_files.soft_limit {
        LimitValue::Value(most) => most as f64,
        LimitValue::Unlimited => f64::INFINITY,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_tells_all_three() {
        let mut out = Vec::new();
        telemetry(Instant::now(), &mut out);
        let names: Vec<_> = out.iter().map(|one| one.name).collect();
        assert_eq!(names, ["otelcol_process_uptime", "otelcol_process_cpu_seconds", "otelcol_process_memory_rss"]);
        assert!(out[2].value > 0.0);
    }

    #[test]
    fn a_scrape_has_the_names_that_clients_of_prometheus_have() {
        for (format, cpu) in [(Format::Text, "process_cpu_seconds_total"), (Format::OpenMetrics, "process_cpu_seconds")]
        {
            let text = families(format);
            let kind = |name: &str, kind: &str| format!("# TYPE {name} {kind}\n");
            assert!(text.contains(&kind(cpu, "counter")) && text.contains("\nprocess_cpu_seconds_total "), "{text}");
            for gauge in [
                "resident_memory_bytes",
                "virtual_memory_bytes",
                "threads",
                "start_time_seconds",
                "open_fds",
                "max_fds",
            ] {
                assert!(text.contains(&kind(&format!("process_{gauge}"), "gauge")), "{gauge} in {text}");
            }
        }
        let value = |name: &str| -> f64 {
            let text = families(Format::Text);
            let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#')).expect("it is there");
            line.split_once(' ').expect("a value").1.parse().expect("a number")
        };
        assert!(value("process_open_fds ") >= 3.0 && value("process_max_fds ") >= value("process_open_fds "));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!((now - 86_400.0..now + 1.0).contains(&value("process_start_time_seconds ")));
    }
}
