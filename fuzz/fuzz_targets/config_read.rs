//! Files of a configuration, one after another behind NULs, and a `--set` behind the last: no panic, and what is refused has a
//! reason.
#![no_main]

use config::{Catalogue, Configuration, Role, Sources, Type};
use pipeline::settings::Problems;

libfuzzer_sys::fuzz_target!(|input: &str| {
    let mut texts: Vec<&str> = input.split('\0').collect();
    let set = if texts.len() > 1 { texts.pop().into_iter().map(str::to_owned).collect() } else { Vec::new() };
    let files = texts.iter().enumerate().map(|(number, text)| (number.to_string(), (*text).to_owned())).collect();
    let mut catalogue = Catalogue::<(), ()>::default();
    // None of them is ever built.
    let never = "the configuration is only checked";
    catalogue.processors.push(Type::new(
        "dialog",
        Role::StatesFacts,
        "",
        processor_dialog::Config::check,
        move |_, _| panic!("{never}"),
    ));
    catalogue
        .processors
        .push(Type::new("media", Role::HearsMedia, "", processor_media::Config::check, move |_, _| panic!("{never}")));
    let mut problems = Problems::default();
    let variable = |name: &str| (name.len() % 2 == 0).then(|| name.to_owned());
    let sources = Sources { files, set, may_be_unset: None };
    let tree = sources.load(&variable, &mut problems);
    let configuration = tree.and_then(|tree| Configuration::check(&tree, &catalogue, &mut problems));
    assert!(configuration.is_some() || problems.has_errors());
    _ = problems.to_string();
});
