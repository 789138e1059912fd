//! What exporters and extensions are built with besides their settings: the rows and calls of their pipelines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use pipeline::pages::Pages;
use pipeline::{CallQueue, ComponentId, FrameQueue, Health, LabelSets, Watch};

use super::Registry;

/// What an exporter is built with besides its settings.
#[derive(Clone)]
pub struct ExporterContext {
    /// Which it is.
    pub id: ComponentId,
    /// The metric rows of the pipelines that feed it; `None` when it is in no metrics pipeline.
    pub registry: Option<Arc<Registry>>,
    /// The calls of the pipelines that feed it; `None` when it is in no traces pipeline.
    pub calls: Option<Arc<CallQueue>>,
    /// The messages it records; `None` for one that does not record, or is in no pipeline.
    pub frames: Option<Arc<FrameQueue>>,
    /// Where the labels of calls have their names.
    pub label_sets: Arc<LabelSets>,
    /// Who this program is: `service.telemetry.resource`.
    pub resource: Arc<BTreeMap<String, String>>,
    /// The state of the program, for `/health` and `/internal/metrics`.
    pub health: Arc<dyn Health>,
    /// Folders of extensions in which files may be kept.
    pub folders: Arc<BTreeMap<ComponentId, PathBuf>>,
    /// Pages of extensions, for who serves pages. They are added after exporters are built.
    pub pages: Pages,
}

/// What an extension is built with besides its settings.
#[derive(Clone)]
pub struct ExtensionContext {
    /// Which it is.
    pub id: ComponentId,
    /// The metric rows of the first metrics pipeline; `None` where there is none.
    pub registry: Option<Arc<Registry>>,
    /// The way to the calls; `None` for one that does not look at them.
    pub watch: Option<Arc<Watch>>,
    /// Where the labels of calls have their names.
    pub label_sets: Arc<LabelSets>,
    /// The state of the program.
    pub health: Arc<dyn Health>,
}
