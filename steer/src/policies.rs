//! What this node does with what it forwards and path `direct` would go past: netfilter that drops, routing by firewall mark.
//!
//! [`look`] asks `nft`, and the programs of iptables for what is theirs: tables of nft that iptables made are told in words
//! only there, and legacy tables only there at all. What conntrack calls invalid is no policy, and neither is what drops
//! elsewhere than in a forward hook. [`Watch`] looks every minute on a thread of its own, which alone has the rights.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use serde_json::Value;
use tokio::sync::mpsc as looks;
use wait_timeout::ChildExt;

use crate::rtnetlink::Questions;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policies {
    /// Nothing that is forwarded is dropped, or routed by what netfilter sets.
    None,
    /// Something may be: which chains and rules do that. No address is in it.
    Found(Vec<String>),
    /// It cannot be seen: why, and what helps.
    Unreadable(String),
}

impl Policies {
    /// What it comes to in words; `None` where there are none.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Found(found) => {
                Some(format!("this node drops some of what it forwards, or routes it by mark ({})", found.join(", ")))
            }
            Self::Unreadable(why) => Some(format!("what this node does with what it forwards cannot be seen: {why}")),
        }
    }
}

/// Looks now, in the network namespace of this thread. Needs CAP_NET_ADMIN, and CAP_NET_RAW where there are legacy tables.
pub fn look() -> Policies {
    match found() {
        Ok(found) if found.is_empty() => Policies::None,
        Ok(found) => Policies::Found(found.into_iter().take(MOST_TOLD).collect()),
        Err(why) => Policies::Unreadable(why),
    }
}

/// Most chains that are told.
const MOST_TOLD: usize = 5;

/// How long one program may take. A node with tens of thousands of rules takes seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most bytes that one program may say.
const LARGEST: usize = 64 << 20;

/// Looks at policies, every minute and when it is asked to.
pub struct Watch {
    ask: mpsc::Sender<()>,
    seen: looks::Receiver<Policies>,
}

/// From one look to the next.
const PERIOD: Duration = Duration::from_secs(60);

impl Watch {
    /// Begins on a thread that first does `begin` for itself: gives up rights.
    pub fn start(begin: impl FnOnce() -> Result<(), String> + Send + 'static) -> io::Result<Self> {
        let ((ask, asked), (tell, seen)) = (mpsc::channel(), looks::channel(1));
        thread::Builder::new().name("policies".to_owned()).spawn(move || {
            let begun = begin();
            loop {
                let policies = begun.clone().map_or_else(Policies::Unreadable, |()| look());
                if tell.blocking_send(policies).is_err() {
                    return;
                }
                if asked.recv_timeout(PERIOD) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            }
        })?;
        Ok(Self { ask, seen })
    }

    /// Waits for the next look on this thread.
    pub fn wait(&mut self) -> Policies {
        self.seen.blocking_recv().unwrap_or_else(ended)
    }

    /// Waits for the next look.
    pub async fn next(&mut self) -> Policies {
        self.seen.recv().await.unwrap_or_else(ended)
    }

    /// Nobody looks any more.
    pub fn has_ended(&self) -> bool {
        self.seen.is_closed() && self.seen.is_empty()
    }

    /// Has it look at once.
    pub fn ask(&self) {
        // Where nobody looks any more the next look says so.
        let _ = self.ask.send(());
    }
}

fn ended() -> Policies {
    Policies::Unreadable("the thread that looks has ended; start the program again".to_owned())
}

fn found() -> Result<BTreeSet<String>, String> {
    let mut found = BTreeSet::new();
    let mut judged = BTreeSet::new();
    for (family, program) in [("ip", "iptables-nft-save"), ("ip6", "ip6tables-nft-save")] {
        for table in FORWARDING {
            // Where it is not installed, what nft says has to do.
            let Ok(text) = said(program, &["-t", table]) else { continue };
            if !text.contains("is incompatible") {
                found.extend(saved(&text).into_iter().map(|chain| format!("{program}: {chain}")));
                judged.insert((family, table));
            }
        }
    }
    let is_judged = |(family, table, _): &Name| judged.contains(&(family.as_str(), table.as_str()));
    found.extend(ruled(is_judged)?.into_iter().map(|chain| format!("nft: {chain}")));
    for (names, program) in [("ip_tables_names", "iptables-legacy-save"), ("ip6_tables_names", "ip6tables-legacy-save")]
    {
        for table in legacy(names)? {
            let text = said(program, &["-t", table])?;
            found.extend(saved(&text).into_iter().map(|chain| format!("{program}: {chain}")));
        }
    }
    let unseen = |error| format!("rules of routing cannot be listed ({error}); allow netlink sockets (AF_NETLINK)");
    found.extend(by_mark().map_err(unseen)?);
    Ok(found)
}

/// Rules of routing that go by the firewall mark. Netfilter sets it, which packets past the stack do not meet.
fn by_mark() -> io::Result<Vec<String>> {
    let mut questions = Questions::open()?;
    let mut found = Vec::new();
    for (family, name) in [(AddressFamily::Inet, "ip"), (AddressFamily::Inet6, "ip -6")] {
        let mut message = RuleMessage::default();
        message.header.family = family;
        for answer in questions.ask(RouteNetlinkMessage::GetRule(message), NLM_F_DUMP)? {
            let RouteNetlinkMessage::NewRule(rule) = answer else { continue };
            if rule.attributes.iter().any(|attribute| matches!(attribute, RuleAttribute::FwMark(_))) {
                let priority = rule.attributes.iter().find_map(|attribute| match attribute {
                    RuleAttribute::Priority(priority) => Some(*priority),
                    _ => None,
                });
                found.push(format!("{name} rule {} goes by fwmark", priority.unwrap_or(0)));
            }
        }
    }
    Ok(found)
}

/// Tables of iptables that see what is forwarded where it may be dropped.
const FORWARDING: [&str; 3] = ["filter", "mangle", "security"];

/// What a program says. One that says too much, or takes too long, is ended.
fn said(program: &str, arguments: &[&str]) -> Result<String, String> {
    said_within(program, arguments, PATIENCE)
}

fn said_within(program: &str, arguments: &[&str], patience: Duration) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| format!("{program} cannot be run ({error}); install it"))?;
    let mut child = Ended(child);
    let out = read_aside(child.0.stdout.take().expect("it is piped"));
    let err = read_aside(child.0.stderr.take().expect("it is piped"));
    let until = Instant::now() + patience;
    let late = || format!("{program} has not ended within {} s; see what holds it up", patience.as_secs());
    let left = || until.saturating_duration_since(Instant::now());
    let wait = |from: mpsc::Receiver<Vec<u8>>| from.recv_timeout(left()).map_err(|_| late());
    let out = wait(out)?;
    if out.len() > LARGEST {
        return Err(format!("{program} says more than {} MiB", LARGEST >> 20));
    }
    let err = wait(err)?;
    let status = child.0.wait_timeout(left()).map_err(|error| format!("{program} cannot be waited for ({error})"))?;
    let status = status.ok_or_else(late)?;
    if !status.success() {
        let why = String::from_utf8_lossy(&err);
        let first = why.lines().next().unwrap_or_default();
        return Err(format!("{program} fails ({first}); it takes root, or CAP_NET_ADMIN and CAP_NET_RAW"));
    }
    String::from_utf8(out).map_err(|_| format!("{program} says what is no text"))
}

/// A program that is killed when nobody waits for it any more.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // One that has ended and was waited for is left alone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads to the end on a thread of its own, but not much more than [`LARGEST`].
fn read_aside(from: impl io::Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read is missing, which the program's exit tells, or its text.
        let _ = from.take(LARGEST as u64 + 1).read_to_end(&mut bytes);
        // Nobody may wait for it any more.
        let _ = tell.send(bytes);
    });
    told
}

/// Legacy tables that the kernel has and that may drop what is forwarded. To ask for others would make them.
fn legacy(names: &str) -> Result<Vec<&'static str>, String> {
    match fs::read_to_string(format!("/proc/thread-self/net/{names}")) {
        Ok(text) => Ok(FORWARDING.into_iter().filter(|table| text.lines().any(|name| name == *table)).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("/proc/net/{names} cannot be read ({error}); run it as root, or in the group root")),
    }
}

/// What chains do: which drop something, and which lead to which.
struct Chains<K> {
    drops: BTreeMap<K, &'static str>,
    leads: BTreeMap<K, BTreeSet<K>>,
}

impl<K: Ord + Clone> Chains<K> {
    const fn new() -> Self {
        Self { drops: BTreeMap::new(), leads: BTreeMap::new() }
    }

    fn lead(&mut self, from: &K, to: K) {
        self.leads.entry(from.clone()).or_default().insert(to);
    }

    /// Those that some lead to, and these.
    fn reached(&self, from: impl IntoIterator<Item = K>) -> BTreeSet<K> {
        let mut waiting: Vec<K> = from.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(chain) = waiting.pop() {
            if seen.insert(chain.clone()) {
                waiting.extend(self.leads.get(&chain).into_iter().flatten().cloned());
            }
        }
        seen
    }

    /// Of those the ones that drop, and how.
    fn dropping(&self, from: impl IntoIterator<Item = K>) -> Vec<(K, &'static str)> {
        let reached = self.reached(from).into_iter();
        reached.filter_map(|chain| self.drops.get(&chain).map(|what| (chain, *what))).collect()
    }
}

const POLICY: &str = "drops by its policy";
const RULE: &str = "has a rule that drops";

/// What `iptables-save` says: chains reached from FORWARD that drop.
fn saved(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut table, mut chains) = ("", Chains::<&str>::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            (table, chains) = (name.trim(), Chains::new());
        } else if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split(' ');
            if let (Some(name), Some("DROP")) = (words.next(), words.next()) {
                chains.drops.insert(name, POLICY);
            }
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let words: Vec<&str> = rule.split(' ').collect();
            let behind = |flags: &[&str]| {
                // The last one: a comment before it may hold the same word.
                let at = words.iter().rposition(|word| flags.contains(word))?;
                words.get(at + 1).copied()
            };
            match behind(&["-j", "-g"]) {
                Some("DROP" | "REJECT") if !is_invalid(&words) => {
                    chains.drops.insert(words[0], RULE);
                }
                Some(target) => chains.lead(&words[0], target),
                None => {}
            }
        } else if line == "COMMIT" && FORWARDING.contains(&table) {
            let dropping = chains.dropping(["FORWARD"]);
            found.extend(dropping.into_iter().map(|(chain, what)| format!("{chain} of {table} {what}")));
        }
    }
    found
}

/// Whether a rule of iptables is about what conntrack calls invalid, and nothing else.
fn is_invalid(words: &[&str]) -> bool {
    words
        .windows(3)
        .any(|three| three[0] != "!" && matches!(three[1], "--ctstate" | "--state") && three[2] == "INVALID")
}

/// Family, table, and name of a chain, or `@` and that of a map of verdicts.
type Name = (String, String, String);

/// What nft knows of the chains that a forward hook leads to: those alone are asked for, for a node may have tens of thousands.
/// `judged`: chains of which another program told.
fn ruled(judged: impl Fn(&Name) -> bool) -> Result<Vec<String>, String> {
    let mut rules = Rules::new();
    rules.read(&said("nft", &["-j", "list", "chains"])?)?;
    rules.hooks.retain(|chain| !judged(chain));
    let mut listed = BTreeSet::new();
    loop {
        let reached = rules.chains.reached(rules.hooks.iter().cloned());
        let Some(next) = reached.into_iter().find(|name| !listed.contains(name)) else { return Ok(rules.dropping()) };
        if listed.len() == MOST_CHAINS {
            return Err(format!("forward hooks of nft lead to more than {MOST_CHAINS} chains"));
        }
        let (family, table, name) = &next;
        let (kind, name) = name.strip_prefix('@').map_or(("chain", name.as_str()), |map| ("map", map));
        rules.read(&said("nft", &["-j", "list", kind, family, table, name])?)?;
        listed.insert(next);
    }
}

/// Most chains of nft that are looked into.
const MOST_CHAINS: usize = 500;

/// What nft said so far.
struct Rules {
    chains: Chains<Name>,
    /// Chains in a forward hook.
    hooks: Vec<Name>,
}

impl Rules {
    const fn new() -> Self {
        Self { chains: Chains::new(), hooks: Vec::new() }
    }

    fn read(&mut self, json: &str) -> Result<(), String> {
        let unknown = || "nft says what is not understood; another version may help".to_owned();
        let said: Value = serde_json::from_str(json).map_err(|_| unknown())?;
        for object in said["nftables"].as_array().ok_or_else(unknown)? {
            let text = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
            let name = |object: &Value, key: &str| (text(object, "family"), text(object, "table"), text(object, key));
            if let Some(base) = object.get("chain").filter(|chain| chain["hook"] == "forward") {
                let chain = name(base, "name");
                if base["policy"] == "drop" {
                    self.chains.drops.insert(chain.clone(), POLICY);
                }
                if !self.hooks.contains(&chain) {
                    self.hooks.push(chain);
                }
            }
            if let Some(rule) = object.get("rule") {
                let about_invalid = rule["expr"].as_array().is_some_and(|all| all.iter().any(matches_invalid));
                self.note(name(rule, "chain"), &rule["expr"], about_invalid);
            }
            if let Some(map) = object.get("map") {
                let (family, table, name) = name(map, "name");
                self.note((family, table, format!("@{name}")), &map["elem"], false);
            }
        }
        Ok(())
    }

    /// Notes what an expression of a chain, or the elements of a map, may end in.
    fn note(&mut self, of: Name, expression: &Value, about_invalid: bool) {
        let mut verdicts = Verdicts::default();
        verdicts.read(expression);
        if verdicts.drops && !about_invalid {
            self.chains.drops.insert(of.clone(), RULE);
        }
        for to in verdicts.leads {
            self.chains.lead(&of, (of.0.clone(), of.1.clone(), to));
        }
    }

    /// Chains that a forward hook leads to and that drop.
    fn dropping(&self) -> Vec<String> {
        let dropping = self.chains.dropping(self.hooks.iter().cloned()).into_iter();
        dropping.map(|((family, table, chain), what)| format!("{chain} of {family} {table} {what}")).collect()
    }
}

/// What an expression of a rule may end in.
#[derive(Default)]
struct Verdicts {
    drops: bool,
    /// Chains, and maps behind an `@`.
    leads: Vec<String>,
}

impl Verdicts {
    fn read(&mut self, expression: &Value) {
        match expression {
            Value::Array(parts) => parts.iter().for_each(|part| self.read(part)),
            Value::Object(parts) => parts.iter().for_each(|(key, value)| self.read_part(key, value)),
            _ => {}
        }
    }

    fn read_part(&mut self, key: &str, value: &Value) {
        match key {
            "drop" | "reject" => self.drops = true,
            "jump" | "goto" => self.leads.extend(value["target"].as_str().map(str::to_owned)),
            "xt" => {
                self.drops |= value["type"] == "target" && matches!(value["name"].as_str(), Some("DROP" | "REJECT"))
            }
            "vmap" => match (value["data"].as_str(), value["data"]["set"].as_array()) {
                (Some(name), _) => self.leads.push(name.to_owned()),
                (None, Some(elements)) => {
                    let by_state = value["key"]["ct"]["key"] == "state";
                    elements.iter().filter(|one| !(by_state && one[0] == "invalid")).for_each(|one| self.read(one));
                }
                (None, None) => {}
            },
            _ => self.read(value),
        }
    }
}

/// Whether an expression asks for what conntrack calls invalid.
fn matches_invalid(expression: &Value) -> bool {
    let asked = &expression["match"];
    asked["left"]["ct"]["key"] == "state" && asked["right"] == "invalid" && asked["op"] != "!="
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_takes_too_long_or_says_too_much_is_ended() {
        let begun = Instant::now();
        let within = |script: &str, patience| said_within("sh", &["-c", script], patience);
        let late = Err("sh has not ended within 0 s; see what holds it up".to_owned());
        assert_eq!(within("exec sleep 100", Duration::from_millis(50)), late);
        assert_eq!(within("exec sleep 100 > /dev/null", Duration::from_millis(50)), late);
        assert_eq!(within("exec sleep 100 > /dev/null 2> /dev/null", Duration::from_millis(50)), late);
        let long = Duration::from_secs(60);
        assert_eq!(within("cat /dev/zero", long), Err("sh says more than 64 MiB".to_owned()));
        assert_eq!(within("echo yes; echo no >&2", long), Ok("yes\n".to_owned()));
        let failed = "sh fails (no); it takes root, or CAP_NET_ADMIN and CAP_NET_RAW";
        assert_eq!(within("echo no >&2; exit 3", long), Err(failed.to_owned()));
        assert!(begun.elapsed() < long, "{:?}", begun.elapsed());
    }

    #[test]
    fn chains_of_iptables_that_forwarding_reaches_are_judged() {
        let filter = |rules: &str| {
            saved(&format!(
                "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:X - [0:0]\n:Y - [0:0]\n{rules}\nCOMMIT\n"
            ))
        };
        let none = Vec::<String>::new();
        assert_eq!(filter("-A INPUT -j DROP\n-A X -j DROP\n-A FORWARD -j ACCEPT"), none, "nothing leads there");
        assert_eq!(filter("-A FORWARD -s 10.0.0.1/32 -p udp -j DROP"), ["FORWARD of filter has a rule that drops"]);
        let far =
            filter("-A FORWARD -m comment --comment \"a b\" -j X\n-A X -g Y\n-A Y -j REJECT --reject-with tcp-reset");
        assert_eq!(far, ["Y of filter has a rule that drops"]);
        assert_eq!(
            filter("-A FORWARD -m comment --comment \"see -j ACCEPT\" -j DROP").len(),
            1,
            "a comment is no target"
        );
        assert_eq!(filter("-A FORWARD -m conntrack --ctstate INVALID -j DROP"), none);
        assert_eq!(filter("-A FORWARD -m conntrack ! --ctstate INVALID -j DROP").len(), 1);
        assert_eq!(filter("-A FORWARD -m conntrack --ctstate INVALID,NEW -j DROP").len(), 1);
        assert_eq!(saved("*mangle\n:FORWARD DROP [0:0]\nCOMMIT\n"), ["FORWARD of mangle drops by its policy"]);
        assert_eq!(saved("*nat\n:FORWARD DROP [0:0]\n-A FORWARD -j DROP\nCOMMIT\n"), none);
    }

    fn chain(name: &str, rest: &str) -> String {
        format!(r#"{{"chain": {{"family": "inet", "table": "t", "name": "{name}"{rest}}}}}"#)
    }

    fn rule(chain: &str, expressions: &str) -> String {
        format!(r#"{{"rule": {{"family": "inet", "table": "t", "chain": "{chain}", "expr": [{expressions}]}}}}"#)
    }

    /// A table whose chain `f` is in the forward hook.
    fn nft(objects: &[String]) -> Vec<String> {
        let hook = chain("f", r#", "hook": "forward", "policy": "accept""#);
        let all: Vec<&str> = std::iter::once(&hook).chain(objects).map(String::as_str).collect();
        let mut rules = Rules::new();
        rules.read(&format!(r#"{{"nftables": [{{"metainfo": {{}}}}, {}]}}"#, all.join(", "))).expect("it is read");
        rules.dropping()
    }

    #[test]
    fn chains_of_nft_that_forwarding_reaches_are_judged() {
        let none = Vec::<String>::new();
        let one = ["x of inet t has a rule that drops"];
        let drop = r#"{"counter": {"packets": 0}}, {"drop": null}"#;
        assert_eq!(nft(&[rule("x", drop), rule("f", r#"{"accept": null}"#)]), none);
        assert_eq!(nft(&[rule("x", drop), rule("f", r#"{"jump": {"target": "x"}}"#)]), one);
        assert_eq!(
            nft(&[
                rule("x", r#"{"xt": {"type": "target", "name": "REJECT"}}"#),
                rule("f", r#"{"goto": {"target": "x"}}"#)
            ]),
            one
        );
        assert_eq!(nft(&[chain("i", r#", "hook": "input", "policy": "drop""#)]), none);
        let policy = nft(&[chain("g", r#", "hook": "forward", "policy": "drop""#)]);
        assert_eq!(policy, ["g of inet t drops by its policy"]);
    }

    #[test]
    fn maps_of_verdicts_are_looked_into() {
        let lookup =
            |data: &str| rule("f", &format!(r#"{{"vmap": {{"key": {{"ct": {{"key": "state"}}}}, "data": {data}}}}}"#));
        let here = |first: &str| {
            lookup(&format!(r#"{{"set": [["{first}", {{"drop": null}}], ["established", {{"accept": null}}]]}}"#))
        };
        assert_eq!(nft(&[here("new")]).len(), 1);
        assert_eq!(nft(&[here("invalid")]), Vec::<String>::new());
        let map = |elements: &str| {
            format!(
                r#"{{"map": {{"family": "inet", "table": "t", "name": "m", "map": "verdict", "elem": [{elements}]}}}}"#
            )
        };
        let reject = rule("r", r#"{"reject": null}"#);
        let there = [map(r#"[80, {"goto": {"target": "r"}}]"#), lookup("\"@m\""), reject.clone()];
        assert_eq!(nft(&there), ["r of inet t has a rule that drops"]);
        assert_eq!(nft(&[map(""), lookup("\"@m\""), reject]), Vec::<String>::new());
        let match_invalid =
            r#"{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "invalid"}}, {"drop": null}"#;
        assert_eq!(nft(&[rule("f", match_invalid)]), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_of_nft_is_not_understood() {
        assert!(Rules::new().read("{}").is_err() && Rules::new().read("").is_err());
    }
}
