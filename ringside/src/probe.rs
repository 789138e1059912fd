//! `ringside probe`: asks one SIP server with OPTIONS, in the manner of ping.
//!
//! A line for each answer, a summary at the end, which Ctrl-C brings about too. It sends to the target and to name
//! servers, and reads no configuration.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use receiver_sip_probe::config::{Target, Tls};
use receiver_sip_probe::dns::Dns;
use receiver_sip_probe::exchange::{Carrier, Response};
use receiver_sip_probe::{End, Ready, Report, Session};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep_until;

use crate::cli::{Probe, ProbeFormat, Transport};
use crate::failure::Failure;
use crate::json;

/// Asks until it was told to stop. Fails if nobody answered.
pub fn probe(arguments: &Probe) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("the runtime could not be set up: {error}")))?;
    let sum = runtime.block_on(ask(arguments))?;
    match sum.answered {
        0 => Err(Failure::Failed("no probe was answered".to_owned())),
        _ => Ok(()),
    }
}

async fn ask(arguments: &Probe) -> Result<Sum, Failure> {
    let session = session(arguments)?;
    let failed = |error: io::Error| Failure::Failed(format!("standard output cannot be written: {error}"));
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate)] = signals else {
        return Err(Failure::Failed("signals cannot be listened to".to_owned()));
    };
    let target = &session.ready().target;
    let mut sum = Sum::default();
    let begun = Instant::now();
    let mut open = true;
    if arguments.format == ProbeFormat::Text {
        open = say(&format!("PROBE {} ({})\n", target.name, target.form.request_uri)).map_err(failed)?;
    }
    let mut next = tokio::time::Instant::now();
    while open && arguments.count.is_none_or(|count| sum.sent < count) {
        let round = async {
            sleep_until(next).await;
            next += arguments.interval;
            session.probe().await
        };
        let reports = tokio::select! {
            reports = round => reports,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        for report in reports {
            sum.add(&report);
            let line = match arguments.format {
                ProbeFormat::Text => line(&report, sum.sent),
                ProbeFormat::Json => json::line(&Object::of(&report, sum.sent)),
            };
            open &= say(&line).map_err(failed)?;
        }
    }
    if open {
        let summary = match arguments.format {
            ProbeFormat::Text => sum.text(&target.name, begun.elapsed()),
            ProbeFormat::Json => json::line(&sum.object()),
        };
        say(&summary).map_err(failed)?;
    }
    Ok(sum)
}

fn session(arguments: &Probe) -> Result<Session, Failure> {
    let endpoint = match arguments.transport {
        None => arguments.target.clone(),
        Some(transport) => arguments.target.clone().over(match transport {
            Transport::Udp => Carrier::Udp,
            Transport::Tcp => Carrier::Tcp,
            Transport::Tls => Carrier::Tls,
        }),
    };
    let tls = Tls { insecure_skip_verify: arguments.insecure_skip_verify, ..Tls::default() };
    let target = Target { timeout: arguments.timeout, tls, ..Target::at(endpoint) };
    let ready = Ready::read(target).map_err(|error| Failure::Failed(error.to_string()))?;
    let dns = Dns::new(&[]).map_err(|error| Failure::Failed(format!("there is no resolver: {error}")))?;
    Ok(Session::new(Arc::new(ready), Arc::new(dns), None))
}

/// Writes to standard output. `false` when nobody reads there any more.
fn say(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// One answer, or why there is none.
fn line(report: &Report, sequence: u64) -> String {
    let whom = report.place.map(|place| format!("{} {}", place.carrier.as_str(), place.address)).unwrap_or_default();
    match &report.end {
        End::Answered(Response { status, reason, server }, rtt) => {
            let server = server.as_ref().map(|server| format!(" server={server:?}")).unwrap_or_default();
            let tls = report.phases.tls.map(|took| format!(" handshake={} ms", millis(took))).unwrap_or_default();
            let end = match report.tls.not_after.filter(|_| report.phases.tls.is_some()) {
                Some(end) => format!(" certificate={}", days(end)),
                None => String::new(),
            };
            let again = match report.retransmissions {
                0 => String::new(),
                again => format!(" retransmissions={again}"),
            };
            format!("{status} {reason} from {whom}: seq={sequence} time={} ms{again}{tls}{end}{server}\n", millis(*rtt))
        }
        End::Timeout => format!("no answer from {whom}: seq={sequence} retransmissions={}\n", report.retransmissions),
        End::Failed(fault) if whom.is_empty() => format!("{fault}: seq={sequence}\n"),
        End::Failed(fault) => format!("{whom}: {fault}: seq={sequence}\n"),
    }
}

/// `3 days`, or that it is over.
fn days(end: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let left = end.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
    match left {
        ..0 => "expired".to_owned(),
        _ => format!("{}d", left / 86_400),
    }
}

/// Milliseconds with as many digits as matter.
fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        ..1.0 => format!("{millis:.3}"),
        ..100.0 => format!("{millis:.2}"),
        _ => format!("{millis:.0}"),
    }
}

/// What came of all of them.
#[derive(Debug, Default)]
struct Sum {
    sent: u64,
    answered: u64,
    least: Option<Duration>,
    most: Duration,
    total: Duration,
    last: Option<Duration>,
    differences: Duration,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.sent += 1;
        let End::Answered(_, rtt) = report.end else { return };
        self.answered += 1;
        self.least = Some(self.least.map_or(rtt, |least| least.min(rtt)));
        self.most = self.most.max(rtt);
        self.total += rtt;
        if let Some(last) = self.last.replace(rtt) {
            self.differences += rtt.abs_diff(last);
        }
    }

    /// Percent.
    fn loss(&self) -> f64 {
        100.0 * (self.sent - self.answered) as f64 / self.sent.max(1) as f64
    }

    fn average(&self) -> Duration {
        self.total.div_f64(self.answered.max(1) as f64)
    }

    /// Mean difference of successive round trips.
    fn jitter(&self) -> Duration {
        self.differences.div_f64(self.answered.saturating_sub(1).max(1) as f64)
    }

    fn text(&self, name: &str, took: Duration) -> String {
        let Self { sent, answered, .. } = self;
        let mut text = format!(
            "\n--- {name} probe statistics ---\n{sent} sent, {answered} answered, {:.0}% loss, time {} ms\n",
            self.loss(),
            took.as_millis()
        );
        if let Some(least) = self.least {
            let [least, average, most, jitter] = [least, self.average(), self.most, self.jitter()].map(millis);
            text += &format!("rtt min/avg/max/jitter = {least}/{average}/{most}/{jitter} ms\n");
        }
        text
    }

    fn object(&self) -> Summary {
        let seconds = |duration: Duration| self.least.map(|_| duration.as_secs_f64());
        Summary {
            sent: self.sent,
            answered: self.answered,
            loss_percent: self.loss(),
            rtt_min_seconds: seconds(self.least.unwrap_or_default()),
            rtt_avg_seconds: seconds(self.average()),
            rtt_max_seconds: seconds(self.most),
            jitter_seconds: seconds(self.jitter()),
        }
    }
}

/// The last line of `--format json`.
#[derive(Serialize)]
struct Summary {
    sent: u64,
    answered: u64,
    loss_percent: f64,
    rtt_min_seconds: Option<f64>,
    rtt_avg_seconds: Option<f64>,
    rtt_max_seconds: Option<f64>,
    jitter_seconds: Option<f64>,
}

/// A line of `--format json`. What is not known is null.
#[derive(Serialize)]
struct Object {
    sequence: u64,
    transport: Option<&'static str>,
    address: Option<String>,
    status: Option<u16>,
    reason: Option<String>,
    server: Option<String>,
    rtt_seconds: Option<f64>,
    provisional: Option<u16>,
    retransmissions: u32,
    resolve_seconds: Option<f64>,
    connect_seconds: Option<f64>,
    tls_seconds: Option<f64>,
    certificate_not_after: Option<i64>,
    /// `timeout`, or why it could not be asked.
    error: Option<String>,
}

impl Object {
    fn of(report: &Report, sequence: u64) -> Self {
        let (response, error) = match &report.end {
            End::Answered(response, _) => (Some(response.clone()), None),
            End::Timeout => (None, Some("timeout".to_owned())),
            End::Failed(fault) => (None, Some(fault.to_string())),
        };
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        let Report { place, phases, provisional, retransmissions, tls, .. } = report;
        Self {
            sequence,
            transport: place.map(|place| place.carrier.as_str()),
            address: place.map(|place| place.address.to_string()),
            status: response.as_ref().map(|response| response.status),
            reason: response.as_ref().map(|response| response.reason.clone()),
            server: response.and_then(|response| response.server),
            rtt_seconds: seconds(phases.transaction),
            provisional: *provisional,
            retransmissions: *retransmissions,
            resolve_seconds: seconds(phases.resolve),
            connect_seconds: seconds(phases.connect),
            tls_seconds: seconds(phases.tls),
            certificate_not_after: tls.not_after,
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(millis: u64) -> Report {
        let response = Response { status: 200, reason: "OK".to_owned(), server: None };
        let rtt = Duration::from_millis(millis);
        Report {
            place: None,
            end: End::Answered(response, rtt),
            provisional: None,
            retransmissions: 0,
            phases: Default::default(),
            tls: Default::default(),
        }
    }

    #[test]
    fn the_summary_is_that_of_ping_with_the_jitter_of_probes() {
        let mut sum = Sum::default();
        for report in [answered(10), Report { end: End::Timeout, ..answered(0) }, answered(30), answered(20)] {
            sum.add(&report);
        }
        assert_eq!(
            sum.text("x", Duration::from_secs(4)),
            "\n--- x probe statistics ---\n4 sent, 3 answered, 25% loss, time 4000 ms\n\
             rtt min/avg/max/jitter = 10.00/20.00/30.00/15.00 ms\n"
        );
        assert_eq!(Sum::default().text("x", Duration::ZERO).lines().count(), 3, "no round trip without an answer");
    }

    #[test]
    fn times_have_the_digits_that_matter() {
        let shown =
            [Duration::from_micros(417), Duration::from_micros(12_346), Duration::from_micros(123_456)].map(millis);
        assert_eq!(shown, ["0.417", "12.35", "123"]);
    }
}
