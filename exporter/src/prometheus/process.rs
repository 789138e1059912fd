//! The process about itself: what Linux tells under `/proc/self`, as the Collector names it.

use std::fs;
use std::time::Instant;

use pipeline::Telemetry;

/// Uptime in seconds since `started`, processor time in seconds, resident memory in bytes. What `/proc` does not tell is left out.
pub fn telemetry(started: Instant, out: &mut Vec<Telemetry>) {
    let mut push = |name, counter, value| out.push(Telemetry { name, labels: Vec::new(), counter, value });
    push("otelcol_process_uptime", true, started.elapsed().as_secs_f64());
    if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat)) {
        push("otelcol_process_cpu_seconds", true, seconds);
    }
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().and_then(|status| resident_bytes(&status)) {
        push("otelcol_process_memory_rss", false, bytes);
    }
}

/// User and system time of all threads (proc_pid_stat(5), fields 14 and 15).
fn cpu_seconds(stat: &str) -> Option<f64> {
    // Field 2 is the program's name in parentheses, and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks as f64 / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kibibytes * 1024) as f64)
}

/// USER_HZ, which Linux keeps at 100 towards user space.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_program_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 1000 200";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("42 (ringside"), None);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(resident_bytes("Name:\tringside\nVmRSS:\t    5432 kB\nThreads:\t3\n"), Some(5_562_368.0));
        assert_eq!(resident_bytes(""), None);
    }

    #[test]
    fn this_process_tells_all_three() {
        let mut out = Vec::new();
        telemetry(Instant::now(), &mut out);
        let names: Vec<_> = out.iter().map(|one| one.name).collect();
        assert_eq!(names, ["otelcol_process_uptime", "otelcol_process_cpu_seconds", "otelcol_process_memory_rss"]);
        assert!(out[2].value > 0.0);
    }
}
