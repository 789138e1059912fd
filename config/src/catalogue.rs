//! What is compiled in: for each type of component how its table is checked and how it is built.
//!
//! A component's crate offers a serde `Config` (every key with a default; unknown keys are found here, so no
//! `deny_unknown_fields`), a function from that to settings that are ready to use, and a constructor. It
//! knows neither files nor lines: it names the path inside its own table, `carriers[1].cidrs[0]`.

use std::any::Any;

use pipeline::settings::Problems;
use pipeline::{Exporter, Extension, Processor, ProcessorContext, Receiver};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::node::{Node, Step, parse_path, path_text};

/// Every type of component the program has. Exporters are built in a context `E`, extensions in an `X`: what these
/// hold is the engine's matter.
pub struct Catalogue<E, X> {
    /// The program they are compiled into.
    pub build: pipeline::Build,
    /// Types of receivers.
    pub receivers: Vec<Type<dyn Receiver, ()>>,
    /// Types of processors.
    pub processors: Vec<Type<dyn Processor, ProcessorContext>>,
    /// Types of exporters.
    pub exporters: Vec<Type<dyn Exporter, E>>,
    /// Types of extensions.
    pub extensions: Vec<Type<dyn Extension, X>>,
}

impl<E, X> Default for Catalogue<E, X> {
    /// Nothing is compiled in.
    fn default() -> Self {
        let (receivers, processors, exporters, extensions) = Default::default();
        Self { build: pipeline::Build::default(), receivers, processors, exporters, extensions }
    }
}

/// One type of component, making a `P` in a context `X`.
pub struct Type<P: ?Sized, X> {
    /// The name in the configuration.
    pub name: &'static str,
    /// One line about it, for `ringside components`.
    pub about: &'static str,
    /// What it does in a pipeline.
    pub role: Role,
    check: Box<Check>,
    build: Box<Build<P, X>>,
    /// The path of a key that names an extension, and what that has to do.
    extension: Option<(&'static str, Role)>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

type Check = dyn Fn(&Node, &mut Problems) -> (Option<toml::Table>, Option<Make>);
type Build<P, X> = dyn Fn(Settings, &X) -> Box<P>;
type Make = Box<dyn Fn() -> Settings>;

/// Settings of one instance, ready to use; its type knows what is inside.
pub type Settings = Box<dyn Any + Send>;

/// What a component does in a pipeline, as far as the graph must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Brings frames off the wire.
    Receives,
    /// Brings frames out of files: on a clock of its own, and needed by commands that read files even if
    /// no pipeline names it.
    ReadsFiles,
    /// Asks others instead of listening: brings rows of its own and no frames, so that no processor stands behind it.
    Asks,
    /// Turns frames into facts: a pipeline has one such processor at most, for slots are its own.
    StatesFacts,
    /// Works on frames alone and tells what it finds to those behind it: stands before one that states facts. Its table may
    /// stand without a pipeline that names it.
    ReadsFrames,
    /// Works on facts: stands after one that states them.
    UsesFacts,
    /// Works on facts and packets of media: as [`Role::UsesFacts`], and receivers then bring media. Its table may stand
    /// without a pipeline that names it.
    HearsMedia,
    /// Says which calls leave: stands last in traces pipelines, and with its default settings where none is named.
    ChoosesCalls,
    /// Carries metrics out, and no calls.
    ExportsMetrics,
    /// Carries metrics and calls out.
    Exports,
    /// Records the messages that receivers bring: stands beside exporters that carry something out.
    Records,
    /// Stands beside the pipelines and adds a page to exporters that serve some.
    AddsPage,
    /// Stands beside the pipelines and keeps files for exporters that name it.
    KeepsFiles,
    /// Stands beside the pipelines and shows calls: with it every call is on record, whatever is sampled.
    WatchesCalls,
}

/// A component's table after its check.
pub struct Checked {
    /// The table with its defaults filled in.
    pub effective: toml::Table,
    make: Make,
}

impl Checked {
    /// Settings for one more instance.
    pub fn settings(&self) -> Settings {
        (self.make)()
    }
}

impl<P: ?Sized, X> Type<P, X> {
    /// A type whose table is read as `C`, which `check` turns into settings `S`, from which `build` makes one.
    pub fn new<C, S>(
        name: &'static str,
        role: Role,
        about: &'static str,
        check: impl Fn(C, &mut Problems) -> Option<S> + 'static,
        build: impl Fn(S, &X) -> Box<P> + 'static,
    ) -> Self
    where
        C: Clone + Default + Serialize + DeserializeOwned + JsonSchema,
        S: Clone + Send + 'static,
    {
        let check = move |node: &Node, problems: &mut Problems| {
            let read = node.read::<C>(&[], problems);
            let Some(config) = &read.value else { return (None, None) };
            let effective =
                toml::Table::try_from(config).expect("a configuration read from TOML can be written as TOML");
            let settings = read.check(problems, |config, found| check(config.clone(), found)).flatten();
            (Some(effective), settings.map(|settings| Box::new(move || Box::new(settings.clone()) as Settings) as Make))
        };
        let build = move |settings: Settings, context: &X| {
            let settings = settings.downcast::<S>().expect("settings come from the check of the same type");
            build(*settings, context)
        };
        Self {
            name,
            role,
            about,
            check: Box::new(check),
            build: Box::new(build),
            extension: None,
            schema: SchemaGenerator::subschema_for::<C>,
        }
    }

    /// The same, of which the key at `path` names an extension that does `role`, where it is not empty.
    pub fn naming_extension(self, path: &'static str, role: Role) -> Self {
        Self { extension: Some((path, role)), ..self }
    }

    /// The path of that key, and what the extension has to do.
    pub fn extension(&self) -> Option<(&'static str, Role)> {
        self.extension
    }

    /// Checks a component's table, which stands at `path`. `None` after an error, all of which are in `problems`.
    pub fn check(&self, node: &Node, path: &[Step], problems: &mut Problems) -> Option<Checked> {
        let mut found = Problems::default();
        let (effective, make) = (self.check)(node, &mut found);
        let ok = !found.has_errors();
        for problem in found.iter_mut() {
            let inside = parse_path(&problem.path).unwrap_or_default();
            problem.place.get_or_insert_with(|| node.nearest(&inside).clone());
            problem.path = path_text(&[path, &inside].concat());
        }
        problems.append(found);
        effective.zip(make).filter(|_| ok).map(|(effective, make)| Checked { effective, make })
    }

    /// The schema of its table.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }

    /// Makes an instance.
    pub fn build(&self, settings: Settings, context: &X) -> Box<P> {
        (self.build)(settings, context)
    }
}
