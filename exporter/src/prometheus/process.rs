//! The process about itself, as Linux tells it: for `/metrics` under the names of Prometheus' client libraries, for
//! `/internal/metrics` under the Collector's.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pipeline::Telemetry;
use procfs::process::{LimitValue, Process, Stat};
use procfs::{ProcResult, WithCurrentSystemInfo};

/// Uptime in seconds since `started`, processor time in seconds, resident memory in bytes. What `/proc` does not tell is left out.
pub fn telemetry(started: Instant, out: &mut Vec<Telemetry>) {
    out.push(number("otelcol_process_uptime", true, started.elapsed().as_secs_f64()));
    let Ok(stat) = Process::myself().and_then(|process| process.stat()) else { return };
    out.push(number("otelcol_process_cpu_seconds", true, cpu_seconds(&stat)));
    out.push(number("otelcol_process_memory_rss", false, resident_bytes(&stat)));
}

/// What a scrape has of it; the program `started` then. What `/proc` does not tell is left out.
pub fn numbers(started: SystemTime) -> Vec<Telemetry> {
    let mut out = Vec::new();
    let Ok(process) = Process::myself() else { return out };
    if let Ok(stat) = process.stat() {
        out.push(number("process_cpu_seconds", true, cpu_seconds(&stat)));
        out.push(number("process_resident_memory_bytes", false, resident_bytes(&stat)));
        out.push(number("process_virtual_memory_bytes", false, stat.vsize as f64));
        out.push(number("process_threads", false, stat.num_threads as f64));
        // `/proc/stat`, which says when the system started, is out of sight of a hardened service.
        let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
        out.push(number("process_start_time_seconds", false, since.as_secs_f64()));
    }
    out.extend(process.fd_count().ok().map(|open| number("process_open_fds", false, open as f64)));
    out.extend(most_files(&process).ok().map(|most| number("process_max_fds", false, most)));
    out
}

fn number(name: &'static str, counter: bool, value: f64) -> Telemetry {
    Telemetry { name, labels: Vec::new(), counter, value }
}

fn cpu_seconds(stat: &Stat) -> f64 {
    (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
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
        let now = SystemTime::now();
        let numbers = numbers(now);
        let names: Vec<_> = numbers.iter().map(|one| one.name.strip_prefix("process_").unwrap_or_default()).collect();
        let expected = [
            "cpu_seconds",
            "resident_memory_bytes",
            "virtual_memory_bytes",
            "threads",
            "start_time_seconds",
            "open_fds",
        ];
        assert_eq!(names, [&expected[..], &["max_fds"]].concat());
        let value = |name| numbers.iter().find(|one| one.name == name).expect("it is there").value;
        assert!(value("process_open_fds") >= 3.0 && value("process_max_fds") >= value("process_open_fds"));
        let now = now.duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert_eq!(value("process_start_time_seconds"), now);
    }
}
