//! Where the configuration comes from: files in their order, `--set`, the environment; or the built-in one.

use std::path::{Path, PathBuf};

use config::file::{self, LARGEST};
use config::{Configuration, Node, Sources};
use engine::Catalogue;
use exporter::otlp::env;
use pipeline::ComponentId;
use pipeline::settings::Problems;

use crate::cli::{Configured, Run};
use crate::failure::Failure;

/// A configuration without errors.
pub struct Loaded {
    /// What was written; knows places and variables.
    pub tree: Node,
    /// What it means.
    pub configuration: Configuration,
    /// Names of the files, for the operator.
    pub files: Vec<String>,
    /// Warnings only.
    pub warnings: Problems,
}

/// Reads and checks the configuration that `run` names. Errs with every error found, in order of the files.
pub fn load(run: &Run, catalogue: &Catalogue) -> Result<Loaded, Problems> {
    load_adjusted(run, catalogue, &mut share_ports)
}

/// Names and texts of the files of a configuration, as far as they can be read.
pub fn texts(run: &Run) -> Vec<(String, String)> {
    sources(run, &mut Problems::default()).files
}

/// As [`load`], after `adjust` has changed the tree: for a command that runs something else than the pipelines
/// as written. These are checked first, as they are, so that a file is right or wrong for every command.
pub fn load_adjusted(run: &Run, catalogue: &Catalogue, adjust: &mut dyn FnMut(&mut Node)) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let sources = sources(run, &mut problems);
    let files: Vec<String> = sources.files.iter().map(|(name, _)| name.clone()).collect();
    // What is missing from a file that cannot be read is no mistake of the others.
    let readable = !problems.has_errors();
    let tree = sources.load(&variable, &mut problems);
    let checked = tree.filter(|_| readable).and_then(|mut tree| {
        env::complete(&mut tree, &variable, &mut problems);
        Configuration::check(&tree, catalogue, &mut problems)?;
        let mut again = Problems::default();
        adjust(&mut tree);
        let configuration = Configuration::check(&tree, catalogue, &mut again);
        if configuration.is_none() {
            problems.append(again);
        }
        Some((tree, configuration?))
    });
    let order: Vec<&str> = files.iter().map(String::as_str).collect();
    problems.sort(&order);
    match checked {
        Some((tree, configuration)) if !problems.has_errors() => {
            Ok(Loaded { tree, configuration, files, warnings: problems })
        }
        _ => Err(problems),
    }
}

/// Files are read with the ports of the live receiver, unless they have their own.
pub fn share_ports(tree: &mut Node) {
    for key in ["ports", "ws_ports", "vxlan_ports"] {
        let live = tree.get("receivers").and_then(|receivers| receivers.node.get("ebpf_sip")?.node.get(key));
        let Some(ports) = live.map(|ports| ports.node.clone()) else { continue };
        for (_, receivers) in tree.entries_mut().filter(|(section, _)| *section == "receivers") {
            let of_files = |id: &str| ComponentId::parse(id).is_some_and(|id| id.kind() == "pcap");
            for (_, receiver) in receivers.entries_mut().filter(|(id, _)| of_files(id)) {
                receiver.set_default(&[key], ports.clone());
            }
        }
    }
}

/// The text of errors, for standard error.
pub fn refused(problems: &Problems) -> Failure {
    Failure::Usage(file::refused(problems))
}

/// Where a configuration is looked for.
const LOOKED_FOR: [&str; 2] = ["./pipeline.toml", "/etc/ringside/pipeline.toml"];

/// Which files these are, where none is named: the first there is, or the built-in configuration. A program that reads them again
/// decides at the start: it has other rights later, and may be in a folder then that is closed to it.
pub fn decide(configured: &Configured) -> Configured {
    let mut decided = configured.clone();
    if decided.files.is_empty() && !decided.built_in {
        // One that cannot be read is not passed over.
        let is_there = |name: &&str| !matches!(Path::new(name).try_exists(), Ok(false));
        decided.files.extend(LOOKED_FOR.into_iter().find(is_there).map(PathBuf::from));
        decided.built_in = decided.files.is_empty();
    }
    decided
}

fn sources(run: &Run, problems: &mut Problems) -> Sources {
    let decided = decide(&run.configured);
    let mut files = Vec::new();
    for path in &decided.files {
        match file::read(path, LARGEST) {
            Ok(text) => files.push((path.display().to_string(), text)),
            Err(error) => file::unreadable(path, &error, problems),
        }
    }
    if decided.built_in {
        files.extend(built_in(problems));
    }
    Sources { files, set: run.set.clone(), may_be_unset: Some(env::may_be_unset) }
}

/// What is used when nothing is given and nothing is found, and what the environment adds to it.
fn built_in(problems: &mut Problems) -> impl Iterator<Item = (String, String)> {
    let otlp = env::built_in(&variable, problems).map(|text| ("OTEL_EXPORTER_OTLP_*".to_owned(), text));
    [("built-in default".to_owned(), include_str!("default.toml").to_owned())].into_iter().chain(otlp)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
