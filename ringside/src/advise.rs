//! `ringside advise`: which calls of capture files a balancer breaks, and what helps (`steering.md` 2).

use call_views::affinity;
use engine::Catalogue;
use pipeline::affinity::Report;

use crate::captures::Reading;
use crate::cli::{Advise, AdviseFormat};
use crate::failure::Failure;
use crate::folders;
use crate::show::print;

/// Reads the captures and prints what was found of each service.
pub fn advise(catalogue: &Catalogue, advise: &Advise) -> Result<(), Failure> {
    let resolved = folders::resolved(catalogue, &advise.captures, &folders::Asked::default())?;
    let mut reading = Reading::advised(catalogue, &resolved.captures)?;
    reading.read()?;
    let report = reading.affinity().unwrap_or_default();
    reading.say_remarks();
    if report.services.is_empty() {
        return Err(Failure::Failed(lack(&report)));
    }
    match advise.format {
        AdviseFormat::Text => print(&affinity::text(&report)),
        AdviseFormat::Json => {
            let text = serde_json::to_string_pretty(&affinity::json(&report));
            print(&(text.expect("text and numbers can be written as JSON") + "\n"))
        }
    }
}

/// What a capture lacks in which no service was found.
fn lack(report: &Report) -> String {
    if report.requests == 0 {
        return "no service was found: there is no SIP request over UDP in it".to_owned();
    }
    format!(
        "no service was found: of {} requests over UDP none was seen both before and behind a translation; capture on both \
         sides of it, such as on any interface of the node, or list the service in [processors.affinity]",
        report.requests
    )
}
