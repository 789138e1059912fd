//! The daemon with its programs in the kernel, on a node whose service address iptables translate: what breaks calls, and
//! what does not.

mod stage;

use std::fs;
use std::time::{Duration, Instant};

use affinity::steer::Clients;
use integration::wait::eventually;
use nix::sys::signal::Signal;
use stage::{Call, Stage};
use steer::node::Node;
use testnet::Family;

/// Calls that are up in a test.
const CALLS: usize = 30;

/// Turns it on while no call is up.
fn activate(stage: &Stage) {
    stage.ask(&["mode", "active", "--force"]);
}

/// How many calls each of three backends has.
fn spread(calls: &[Call]) -> [usize; 3] {
    let mut spread = [0; 3];
    calls.iter().for_each(|call| spread[call.pod] += 1);
    spread
}

/// Waits until the daemon shows a backend in this state.
#[track_caller]
fn wait_for_state(stage: &Stage, name: &str, state: &str) {
    eventually(&format!("{name} {state}"), || {
        let services = stage.ask(&["services"]);
        let backends = services[0]["backends"].as_array().expect("a list").clone();
        backends.iter().any(|backend| backend["name"] == name && backend["state"] == state).then_some(())
    });
}

#[test]
fn a_balancer_breaks_calls_and_observing_changes_nothing_about_it() {
    let Some(mut stage) = Stage::new("steer observe", 3) else { return };
    let calls = stage.calls(CALLS);
    let before = stage.broken(&calls);
    stage.start();
    let calls = stage.calls(CALLS);
    let observed = stage.broken(&calls);
    // Two of three go astray by chance; that fewer than a quarter do happens once in a million.
    assert!(before >= CALLS / 4 && observed >= CALLS / 4, "{before} and {observed} of {CALLS} broken");
}

#[test]
fn steered_calls_stay_where_they_began_whatever_port_they_go_on_from() {
    let Some(mut stage) = Stage::new("steer active", 3) else { return };
    stage.start();
    activate(&stage);
    let calls = stage.calls(CALLS);
    assert_eq!(stage.broken(&calls), 0);
    assert!(spread(&calls).iter().all(|share| *share > 0), "{:?}", spread(&calls));
    let steered = "sip_steer_packets_total{service=\"sbc\",method=\"INVITE\",action=\"steer\"}";
    eventually("they are counted", || (stage.metric(steered) == CALLS as f64).then_some(()));
}

#[test]
fn calls_over_ipv6_stay_as_well() {
    let Some(mut stage) = Stage::over(Family::V6, "steer ipv6", 3) else { return };
    stage.start();
    let up = stage.calls(CALLS);
    activate(&stage);
    let calls = stage.calls(CALLS);
    assert_eq!((stage.broken(&up), stage.broken(&calls)), (0, 0));
    assert!(spread(&calls).iter().all(|share| *share > 0), "{:?}", spread(&calls));
    let services = stage.ask(&["services"]).to_string();
    assert!(!services.contains("\"local\":false"), "a pod behind a gateway of its own is on this node: {services}");
}

#[test]
fn calls_that_were_up_before_are_learned_and_survive_switching_on() {
    let Some(mut stage) = Stage::new("steer learning", 3) else { return };
    stage.start();
    let calls = stage.calls(CALLS);
    activate(&stage);
    assert_eq!(stage.broken(&calls), 0);
    let learned = "sip_steer_learned_dialogs_total{service=\"sbc\"}";
    eventually("they are counted", || (stage.metric(learned) == CALLS as f64).then_some(()));
}

#[test]
fn a_daemon_that_is_killed_breaks_no_call_and_nor_does_its_successor() {
    let Some(mut stage) = Stage::new("steer killed", 3) else { return };
    stage.start();
    activate(&stage);
    let mut calls = stage.calls(CALLS);
    stage.kill();
    calls.extend(stage.calls(CALLS));
    let rest = calls.split_off(CALLS / 2);
    assert_eq!(stage.broken(&calls), 0, "while nobody is there");
    stage.start();
    assert_eq!(stage.ask(&["status"])["mode"], "active", "what was commanded holds");
    assert_eq!(stage.broken(&rest), 0, "after another start");
    let calls = stage.calls(CALLS);
    assert_eq!(stage.broken(&calls), 0);
}

#[test]
fn the_end_of_the_daemon_leaves_steering_on() {
    let Some(mut stage) = Stage::new("steer ended", 3) else { return };
    stage.start();
    activate(&stage);
    let calls = stage.calls(CALLS);
    stage.signal(Signal::SIGTERM);
    assert!(stage.wait().success());
    assert_eq!(stage.broken(&calls), 0);
    let calls = stage.calls(CALLS);
    assert_eq!(stage.broken(&calls), 0);
}

#[test]
fn when_the_daemon_hangs_no_call_breaks_and_new_ones_take_the_standard_path_after_a_while() {
    let Some(mut stage) = Stage::new("steer hang", 3) else { return };
    stage.configure("grace = \"1s\"", "");
    stage.start();
    activate(&stage);
    let known = stage.calls(CALLS);
    stage.signal(Signal::SIGSTOP);
    let begun = Instant::now();
    eventually("grace is over", || (begun.elapsed() > Duration::from_millis(1500)).then_some(()));
    // What begins now is learned from who answers it.
    let new = stage.calls(CALLS);
    assert_eq!((stage.broken(&known), stage.broken(&new)), (0, 0));
    stage.signal(Signal::SIGCONT);
    eventually("it lives again", || stage.try_ask(&["status"]));
    let calls = stage.calls(CALLS);
    assert_eq!(stage.broken(&calls), 0);
    let passed = "sip_steer_pass_total{service=\"sbc\",reason=\"existing_only\"}";
    eventually("they are counted", || (stage.metric(passed) == CALLS as f64).then_some(()));
}

#[test]
fn rules_drop_and_limit_what_they_are_for_and_nothing_else() {
    let Some(mut stage) = Stage::new("steer rules", 3) else { return };
    let rules = "[[service.rule]]\nmatch = { cidr = [\"192.0.2.11/32\"] }\naction = \"drop\"\n\
                 [[service.rule]]\nmatch = { method = [\"REGISTER\"] }\n\
                 limit = { rate = 1, burst = 5, per = \"source\", over = \"drop\" }\n";
    stage.configure("", rules);
    stage.start();
    activate(&stage);
    assert!(!stage.reaches(11, "INVITE") && !stage.reaches(11, "BYE"), "a network is dropped as a whole");
    let passed = (0..20).filter(|_| stage.reaches(10, "REGISTER")).count();
    // Five at once, and one for each second that this takes: every drop is waited for.
    assert!((5..=12).contains(&passed), "{passed} of 20");
    assert!(stage.reaches(12, "REGISTER"), "another client has a limit of its own");
    let calls = stage.calls(CALLS);
    assert_eq!(stage.broken(&calls), 0);
    let counted = [
        ("sip_steer_drops_total{service=\"sbc\",rule=\"1\",stage=\"tc\"}", 2),
        ("sip_steer_drops_total{service=\"sbc\",rule=\"2\",stage=\"tc\"}", 20 - passed),
        ("sip_steer_limited_total{service=\"sbc\",rule=\"2\"}", 20 - passed),
    ];
    for (series, expected) in counted {
        eventually(series, || (stage.metric(series) == expected as f64).then_some(()));
    }
}

#[test]
fn a_wrong_file_at_a_reload_changes_nothing() {
    let Some(mut stage) = Stage::new("steer wrong file", 3) else { return };
    stage.start();
    activate(&stage);
    let calls = stage.calls(CALLS);
    let right = fs::read_to_string(stage.file()).expect("a file");
    fs::write(stage.file(), right.replace("[[service]]", "[[services]]")).expect("a file");
    stage.signal(Signal::SIGHUP);
    eventually("it is counted", || (stage.metric("sip_steer_config_errors_total") == 1.0).then_some(()));
    // The commands find the socket by the file.
    fs::write(stage.file(), right).expect("a file");
    assert_eq!(stage.broken(&calls), 0);
    let problems = stage.ask(&["status"])["problems"].to_string();
    assert!(problems.contains("services: unknown key"), "{problems}");
    stage.signal(Signal::SIGHUP);
    eventually("it is well again", || stage.ask(&["status"])["problems"].as_array()?.is_empty().then_some(()));
    let calls = stage.calls(CALLS);
    assert_eq!(stage.broken(&calls), 0);
}

#[test]
fn a_backend_that_drains_keeps_its_calls_and_gets_no_new_ones() {
    let Some(mut stage) = Stage::new("steer drain", 3) else { return };
    stage.start();
    activate(&stage);
    let before = stage.calls(CALLS);
    stage.ask(&["drain", "sbc/pod1"]);
    let after = stage.calls(CALLS);
    assert!(spread(&before)[1] > 0 && spread(&after)[1] == 0, "{:?}, then {:?}", spread(&before), spread(&after));
    assert_eq!((stage.broken(&before), stage.broken(&after)), (0, 0));
    stage.ask(&["up", "sbc/pod1"]);
    assert!(spread(&stage.calls(CALLS))[1] > 0);
}

#[test]
fn backends_that_come_and_go_by_a_file_break_no_call() {
    let Some(mut stage) = Stage::new("steer scale", 2) else { return };
    stage.start();
    activate(&stage);
    let two = stage.calls(CALLS);
    assert_eq!(spread(&two)[2], 0);
    stage.find(&[0, 1, 2]);
    wait_for_state(&stage, "pod2", "up");
    let three = stage.calls(CALLS);
    assert!(spread(&three)[2] > 0, "{:?}", spread(&three));
    stage.find(&[1, 2]);
    wait_for_state(&stage, "pod0", "drain");
    let gone = stage.calls(CALLS);
    assert_eq!(spread(&gone)[0], 0);
    assert_eq!((stage.broken(&two), stage.broken(&three), stage.broken(&gone)), (0, 0, 0));
}

/// INVITEs to three backends, of which one answers so late: what is left of its weight of 100 once that holds.
#[track_caller]
fn offer_until(stage: &mut Stage, late: Option<(usize, Duration)>, what: &str, holds: impl Fn(f64) -> bool) {
    eventually(what, || {
        let sent = Instant::now();
        let (slow, fast): (Vec<_>, Vec<_>) =
            stage.offer(45).into_iter().partition(|one| late.is_some_and(|(pod, _)| one.pod == pod));
        stage.refuse(&fast);
        while late.is_some_and(|(_, delay)| sent.elapsed() < delay) {
            std::thread::yield_now();
        }
        stage.refuse(&slow);
        holds(stage.metric("sip_steer_weight{service=\"sbc\",backend=\"pod0\"}")).then_some(())
    });
}

#[test]
fn a_slow_backend_gets_fewer_calls_and_its_share_again_once_it_is_well() {
    let Some(mut stage) = Stage::new("steer weights", 3) else { return };
    stage.configure("", "adaptive = \"on\"\nlatency_target = \"60ms\"");
    stage.start();
    activate(&stage);
    offer_until(&mut stage, Some((0, Duration::from_millis(150))), "it has less", |weight| weight <= 64.0);
    let share = spread(&stage.calls(300));
    assert!(share[0] < share[1] && share[0] < share[2], "{share:?} of 300");
    offer_until(&mut stage, None, "it has more again", |weight| weight >= 75.0);
}

#[test]
fn a_device_that_comes_later_is_attached() {
    let Some(mut stage) = Stage::new("steer later device", 3) else { return };
    stage.start();
    stage.lab.node.ip("link add late0 type veth peer name other0");
    eventually("it is attached", || {
        let devices = stage.ask(&["status"])["devices"].to_string();
        devices.contains("late0").then_some(())
    });
    stage.lab.node.ip("link del late0");
    eventually("it is forgotten", || {
        let devices = stage.ask(&["status"])["devices"].to_string();
        (!devices.contains("late0")).then_some(())
    });
}

/// Has the node drop what it forwards to SIP ports, or no longer.
fn drop_forwarded(stage: &Stage, action: &str) {
    let arguments = [action, "FORWARD", "-p", "udp", "--dport", "5060", "-j", "DROP"];
    let done = stage.lab.node.command("iptables").args(arguments).status().expect("iptables is installed");
    assert!(done.success());
}

/// Flows that connection tracking of the node knows.
fn tracked(stage: &Stage) -> usize {
    let output = stage.lab.node.command("conntrack").args(["-L", "-p", "udp"]).output().expect("it is installed");
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.contains("dport=5060")).count()
}

fn wait_for_path(stage: &Stage, path: &str) {
    eventually(&format!("path {path}"), || (stage.ask(&["status"])["path"] == path).then_some(()));
}

#[test]
fn calls_go_past_the_stack_until_the_node_has_a_policy() {
    for family in [Family::V4, Family::V6] {
        let Some(mut stage) = Stage::over(family, "steer direct", 3) else { return };
        stage.configure("path = \"direct\"", "");
        stage.start();
        activate(&stage);
        stage.lab.forget_flows();
        let calls = stage.calls(CALLS);
        assert_eq!((stage.broken(&calls[..10]), tracked(&stage)), (0, 0), "conntrack has seen nothing");
        let services = stage.ask(&["services"]).to_string();
        assert!(!services.contains("\"direct\":false"), "{services}");
        if family == Family::V6 {
            continue;
        }
        drop_forwarded(&stage, "-I");
        stage.signal(Signal::SIGHUP);
        wait_for_path(&stage, "stack");
        assert!(!stage.reaches(10, "OPTIONS"), "the policy holds again");
        let problems = stage.ask(&["status"])["problems"].to_string();
        assert!(problems.contains("FORWARD of filter has a rule that drops"), "{problems}");
        drop_forwarded(&stage, "-D");
        stage.signal(Signal::SIGHUP);
        wait_for_path(&stage, "direct");
        stage.lab.forget_flows();
        assert_eq!((stage.broken(&calls[10..]), tracked(&stage)), (0, 0));
    }
}

#[test]
fn a_node_with_a_policy_refuses_to_go_past_it_unless_it_is_allowed() {
    let Some(mut stage) = Stage::new("steer policy", 3) else { return };
    drop_forwarded(&stage, "-I");
    stage.configure("path = \"direct\"", "");
    let refused = stage.program().args(["run", "--config"]).arg(stage.file()).output().expect("it is built");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("path = \"direct\" is refused"), "{said}");
    assert!(said.contains("take path = \"stack\", or allow_policy_bypass = true"), "{said}");
    let checked = stage.program().args(["check", "--config"]).arg(stage.file()).output().expect("it is built");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.code() == Some(1) && said.contains("FAIL   policies: this node drops"), "{said}");
    drop_forwarded(&stage, "-D");
    // The same by nft, far from its hook; another chain that drops is in none.
    let rules = "table inet far { map ports { type inet_service : verdict; elements = { 5060 : goto tail }; };
                 chain tail { drop; };
                 chain head { udp dport vmap @ports; };
                 chain base { type filter hook forward priority 0; jump head; };
                 chain other { type filter hook input priority 0; policy drop; }; };";
    let nft = |rules: &str| {
        let done = stage.lab.node.command("nft").arg(rules).status().expect("nft is installed");
        assert!(done.success());
    };
    nft(rules);
    let checked = stage.program().args(["check", "--config"]).arg(stage.file()).output().expect("it is built");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("(nft: tail of inet far has a rule that drops)"), "{said}");
    nft("delete element inet far ports { 5060 }");
    let checked = stage.program().args(["check", "--config"]).arg(stage.file()).output().expect("it is built");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("policies: nothing that is forwarded is dropped"), "{said}");
    nft("delete table inet far");
    drop_forwarded(&stage, "-I");
    stage.configure("path = \"direct\"\nallow_policy_bypass = true", "");
    stage.start();
    activate(&stage);
    let calls = stage.calls(CALLS);
    assert_eq!(stage.broken(&calls), 0);
    assert_eq!(stage.metric("sip_steer_policy_bypass{service=\"sbc\"}"), 1.0);
}

#[test]
fn a_daemon_past_the_stack_that_is_killed_breaks_no_call_and_nor_does_its_successor() {
    let Some(mut stage) = Stage::new("steer direct killed", 3) else { return };
    stage.configure("path = \"direct\"", "");
    stage.start();
    activate(&stage);
    let mut calls = stage.calls(CALLS);
    stage.kill();
    calls.extend(stage.calls(CALLS));
    let rest = calls.split_off(CALLS / 2);
    assert_eq!(stage.broken(&calls), 0, "while nobody is there");
    stage.start();
    assert_eq!(stage.broken(&rest), 0, "after another start");
    // A successor that takes the other path takes the calls along.
    let mut calls = stage.calls(CALLS);
    stage.signal(Signal::SIGTERM);
    assert!(stage.wait().success());
    stage.configure("path = \"stack\"", "");
    stage.start();
    calls.extend(stage.calls(CALLS));
    assert_eq!(stage.broken(&calls), 0);
}

#[test]
fn past_the_stack_one_thread_keeps_what_looking_at_policies_takes() {
    let Some(mut stage) = Stage::new("steer direct capabilities", 3) else { return };
    stage.configure("path = \"direct\"", "");
    stage.start();
    let tasks = fs::read_dir(format!("/proc/{}/task", stage.daemon_id())).expect("it runs");
    let mut keeping = 0;
    for task in tasks.flatten() {
        let status = fs::read_to_string(task.path().join("status")).expect("it runs");
        let permitted = status.lines().find_map(|line| line.strip_prefix("CapPrm:")).expect("a set");
        let permitted = u64::from_str_radix(permitted.trim(), 16).expect("digits");
        // CAP_NET_ADMIN is 12, CAP_NET_RAW 13.
        assert!(permitted == 0 || permitted == 3 << 12, "{status}");
        keeping += usize::from(permitted != 0);
    }
    assert_eq!(keeping, 1);
}

#[test]
fn no_thread_keeps_a_capability() {
    let Some(mut stage) = Stage::new("steer capabilities", 3) else { return };
    stage.start();
    let tasks = fs::read_dir(format!("/proc/{}/task", stage.daemon_id())).expect("it runs");
    for task in tasks.flatten() {
        let status = fs::read_to_string(task.path().join("status")).expect("it runs");
        for line in status.lines().filter(|line| line.starts_with("Cap")) {
            let set = line.split_whitespace().nth(1).expect("a set");
            assert!(set.bytes().all(|digit| digit == b'0'), "{line}");
        }
    }
}

#[test]
fn a_route_that_comes_later_makes_an_uplink_of_a_device() {
    let Some(stage) = Stage::new("steer routes", 3) else { return };
    let (clients, mut node) = stage.lab.node.run(|| (index_of("c0"), Node::open().expect("anybody may ask")));
    let mut who = || {
        let links = node.links().expect("anybody may ask");
        links.iter().find(|link| link.index == clients).expect("it is there").device.clients
    };
    assert_eq!((who(), who()), (Clients::Own, Clients::Own), "a pair that leads to another namespace");
    stage.lab.node.ip("route add 198.51.100.0/24 via 192.0.2.10 dev c0");
    assert_eq!((who(), who()), (Clients::Elsewhere, Clients::Elsewhere));
    stage.lab.node.ip("route del 198.51.100.0/24 via 192.0.2.10 dev c0");
    assert_eq!(who(), Clients::Own);
}

fn index_of(device: &str) -> u32 {
    nix::net::if_::if_nametoindex(device).expect("it is there")
}

#[test]
fn a_second_daemon_is_refused() {
    let Some(mut stage) = Stage::new("steer second", 3) else { return };
    stage.start();
    let second = stage.program().args(["run", "--config"]).arg(stage.file()).output().expect("it is built");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(second.status.code() == Some(1) && said.contains("another ringside-steer runs"), "{said}");
}

#[test]
fn a_dialog_is_shown_by_its_call_id() {
    let Some(mut stage) = Stage::new("steer dialog", 3) else { return };
    stage.start();
    activate(&stage);
    let call = stage.call();
    let found = stage.ask(&["dialog", call.id()]);
    assert_eq!((&found[0]["backend"], &found[0]["answered"]), (&format!("pod{}", call.pod).into(), &true.into()));
    assert_eq!(stage.try_ask(&["dialog", "nobody@test"]), None);
}

#[test]
fn detaching_leaves_nothing_behind() {
    let Some(mut stage) = Stage::new("steer detach", 3) else { return };
    stage.start();
    activate(&stage);
    let calls = stage.calls(CALLS);
    eventually("dialogs are counted", || (stage.ask(&["status"])["dialogs"].as_u64()? >= 1).then_some(()));
    assert_eq!(stage.try_ask(&["detach"]), None, "calls are up");
    stage.ask(&["detach", "--force"]);
    assert!(stage.wait().success());
    assert_eq!(stage.pinned(), Vec::<std::path::PathBuf>::new());
    let left = stage.lab.node.run(|| {
        let devices = nix::net::if_::if_nameindex().expect("anybody may ask");
        let programs =
            devices.iter().flat_map(|device| steer::kernel::programs_on(device.index()).expect("root may ask"));
        programs.collect::<Vec<_>>()
    });
    assert_eq!(left, Vec::<String>::new());
    let broken = stage.broken(&calls);
    assert!(broken >= CALLS / 4, "{broken} of {CALLS} broken: the standard path has them again");
}
