//! Writes the dashboards of `grafana/` anew from their sources: `make dashboards`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match dashboards::write(dashboards::folder()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dashboards: {error}");
            ExitCode::FAILURE
        }
    }
}
