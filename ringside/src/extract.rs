//! `ringside extract`: the packets of calls, cut out of captures as they were.
//!
//! The captures are read three times: for the calls that are wanted, for the packets of their messages, and to write
//! these down; with `--anonymize` the messages are written instead, without the people in them. What is held in between is the numbers of packets, so that captures may be larger than memory.

mod anonymous;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use call_views::{Exchanges, View};
use engine::Catalogue;
use pipeline::CallRecord;
use receiver_pcap::trace::{Came, Messages, Numbered, Packets};
use recordings::Writer;
use wire::Timestamp;

use crate::captures::{self, Asked};
use crate::cli::Extract;
use crate::failure::Failure;
use crate::folders;
use crate::show::say;

/// Packets of media that came so long before the first or after the last that was counted are its own too.
const AROUND: Duration = Duration::from_secs(2);

/// Writes the packets of the calls that match.
pub fn extract(catalogue: &Catalogue, arguments: &Extract) -> Result<(), Failure> {
    let Extract { captures, all, call_id, filter, period, media, anonymize, output } = arguments;
    let who = folders::Asked { filter: filter.as_ref(), call_ids: call_id, period: *period, number: None };
    let resolved = folders::resolved(catalogue, captures, &who)?;
    let captures = &resolved.captures;
    if captures.paths.iter().any(|path| path.as_os_str() == "-") {
        let text = "extract reads captures several times, which a pipe cannot be: write it to a file first";
        return Err(Failure::Usage(text.to_owned()));
    }
    // A folder of recordings is read, and nothing else may stand in the place of one of them.
    let beside = arguments
        .captures
        .paths
        .iter()
        .any(|path| path.is_dir() && output.parent().is_some_and(|parent| is_same(path, parent)));
    if beside {
        let text = format!("-o {}: that is in a folder that is read; name a file elsewhere", output.display());
        return Err(Failure::Usage(text));
    }
    if captures.paths.iter().any(|path| is_same(path, output)) {
        return Err(Failure::Usage(format!("-o {}: that is one of the captures; name another file", output.display())));
    }
    let asked = Asked::of(None, filter.as_ref(), *media).undisguised();
    let (wanted, filter, period) = (call_id.clone(), filter.clone(), *period);
    let matches = move |view: &View<'_>| {
        period.has(view.record.start)
            && (wanted.is_empty() || wanted.iter().any(|wanted| **wanted == *view.record.call_id))
            && filter.as_ref().is_none_or(|filter| filter.wants(view))
    };
    let of_call = matches.clone();
    let keep = move |_: &pipeline::Call, view: &View<'_>| of_call(view).then(|| Cut::of(view.record));
    let more = (*all || !call_id.is_empty()).then(Exchanges::apart);
    let (mut calls, exchanges, _) = captures::calls(catalogue, captures, asked, more, keep)?;
    let wanted = exchanges.iter().filter(|exchange| matches(&exchange.view()));
    calls.extend(wanted.map(|exchange| Cut::of(&exchange.record)));
    if calls.is_empty() {
        return Err(Failure::Failed("no call matches, so nothing was written".to_owned()));
    }
    let number = calls.len();
    let config = captures::pcap_config(catalogue, captures)?;
    let (packets, remark) = match anonymize {
        true => anonymous::write(
            catalogue,
            calls.into_iter().map(|call| call.call_id).collect(),
            captures,
            &config,
            output,
        )?,
        false => {
            let packets = packets_of(calls, &mut Messages::open(&config)?)?;
            write(&packets, &config.files, output)?;
            (packets.len(), String::new())
        }
    };
    let (s, are) = if number == 1 { ("", "is") } else { ("s", "are") };
    say(&format!("ringside: {number} call{s} {are} in {} with {packets} packets{remark}\n", output.display()));
    Ok(())
}

/// What of a call is cut out.
struct Cut {
    call_id: Box<str>,
    /// Between whom its media went, and when.
    media: Vec<((SocketAddr, SocketAddr), Timestamp, Timestamp)>,
}

impl Cut {
    fn of(record: &CallRecord) -> Self {
        let streams = record.media.iter().flat_map(|media| &media.streams);
        let media = streams.map(|stream| ((stream.source, stream.destination), stream.first, stream.last));
        Self { call_id: record.call_id.clone(), media: media.collect() }
    }
}

/// The numbers of all packets of the calls.
fn packets_of(calls: Vec<Cut>, messages: &mut Messages) -> Result<BTreeSet<u64>, Failure> {
    let mut media: HashMap<(SocketAddr, SocketAddr), Vec<(Timestamp, Timestamp)>> = HashMap::new();
    let mut wanted: HashSet<Box<str>> = HashSet::new();
    for Cut { call_id, media: streams } in calls {
        wanted.insert(call_id);
        for ((source, destination), first, last) in streams {
            let reports = |address: SocketAddr| SocketAddr::new(address.ip(), address.port().wrapping_add(1));
            for pair in [(source, destination), (reports(source), reports(destination))] {
                media.entry(pair).or_default().push((first, last));
            }
        }
    }
    let mut packets = BTreeSet::new();
    while let Some(Came { number, datagram, at, messages, batch }) = messages.read()? {
        let heard = datagram.and_then(|pair| media.get(&pair)).into_iter().flatten();
        if heard.into_iter().any(|(first, last)| at + AROUND >= *first && at <= *last + AROUND) {
            packets.insert(number);
        }
        for (frame, of_message) in messages {
            let Some(call_id) = captures::call_id(batch.message(&frame), &frame) else { continue };
            if wanted.contains(&*call_id) {
                packets.extend(of_message);
            }
        }
    }
    Ok(packets)
}

fn write(wanted: &BTreeSet<u64>, paths: &[std::path::PathBuf], output: &Path) -> Result<(), Failure> {
    let failed = cannot_be_written(output);
    let file = BufWriter::new(File::create(output).map_err(failed)?);
    let mut writer = Writer::new(file, "cut out by ringside").map_err(failed)?;
    let mut packets = Packets::open(paths)?;
    while let Some(Numbered { number, whole, link_type, .. }) = packets.read()? {
        if wanted.contains(&number) {
            writer.packet(&whole, link_type).map_err(failed)?;
        }
    }
    writer.finish().map_err(failed)?;
    Ok(())
}

fn cannot_be_written(output: &Path) -> impl Fn(std::io::Error) -> Failure + Copy {
    move |error| {
        let help = "see whether its folder exists, may be written and has room";
        Failure::Failed(format!("-o {}: cannot be written: {error}; {help}", output.display()))
    }
}

/// Whether two names are those of one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| path.canonicalize().ok();
    one == other || canonical(one).is_some_and(|one| Some(one) == canonical(other))
}
