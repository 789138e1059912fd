//! Exchanges as tables: when what comes, and what is done about it.

use pipeline::probes::is_probe;
use proptest::prelude::*;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);

fn form() -> Form {
    Form {
        request_uri: "sip:sbc.example.net".to_owned(),
        from: String::new(),
        user_agent: "ringside/1".to_owned(),
        max_forwards: 70,
    }
}

fn marks(n: u64) -> Marks {
    Marks { branch: n.into(), second_branch: u128::from(n) << 64, tag: n, call_id: n.into(), cnonce: n }
}

fn local() -> SocketAddr {
    "192.0.2.1:5062".parse().expect("an address")
}

/// One path, with its clock.
struct Bench {
    exchange: Exchange,
    start: Instant,
    begun: u64,
    requests: Vec<String>,
}

impl Bench {
    fn new(carrier: Carrier) -> Self {
        Self::with(carrier, None)
    }

    fn with(carrier: Carrier, credentials: Option<Credentials>) -> Self {
        let exchange = Exchange::new(form(), carrier, credentials);
        Self { exchange, start: Instant::now(), begun: 0, requests: Vec::new() }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn begin(&mut self, millis: u64) {
        self.begun += 1;
        let now = self.at(millis);
        let sent = self.exchange.begin(ProbeId(self.begun), marks(self.begun), local(), now, now + TIMEOUT);
        let Some(Output::Send(bytes)) = sent else { panic!("{sent:?}") };
        self.requests.push(String::from_utf8(bytes).expect("it is text"));
    }

    /// What comes out, as words: `send`, `timeout 1`, `200 1 30ms`, `late`.
    fn words(&mut self, out: Vec<Output>) -> Vec<String> {
        let word = |output| match output {
            Output::Send(bytes) => {
                self.requests.push(String::from_utf8(bytes).expect("it is text"));
                "send".to_owned()
            }
            Output::Ended(ProbeId(id), Answer { response: Some(response), rtt, .. }) => {
                format!("{} {id} {:?}", response.status, rtt.expect("it was answered"))
            }
            Output::Ended(ProbeId(id), Answer { response: None, .. }) => format!("timeout {id}"),
            Output::Unexpected(what) => what.as_str().to_owned(),
        };
        out.into_iter().map(word).collect()
    }

    fn receive(&mut self, millis: u64, message: &str) -> Vec<String> {
        let mut out = Vec::new();
        self.exchange.on_message(self.at(millis), message.as_bytes(), &mut out);
        self.words(out)
    }

    /// Everything due until then, each with its time in milliseconds.
    fn run_until(&mut self, millis: u64) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(due) = self.exchange.next_timeout().filter(|due| *due <= self.at(millis)) {
            let mut out = Vec::new();
            self.exchange.on_timeout(due, &mut out);
            assert!(!out.is_empty(), "it said that something is due");
            let time = (due - self.start).as_millis();
            all.extend(self.words(out).into_iter().map(|word| format!("{time} {word}")));
        }
        all
    }
}

fn field<'a>(request: &'a str, name: &str) -> &'a str {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_else(|| panic!("no {name}"))
}

/// What a server says to a request, but for `start`.
fn reply(request: &str, start: &str, more: &str) -> String {
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| format!("{name}: {}\r\n", field(request, name)));
    format!("SIP/2.0 {start}\r\n{}{more}Content-Length: 0\r\n\r\n", copied.concat())
}

#[test]
fn a_request_says_all_that_rfc_3261_wants_and_nothing_else() {
    let mut bench = Bench::new(Carrier::Udp);
    bench.begin(0);
    assert_eq!(
        bench.requests[0],
        "OPTIONS sip:sbc.example.net SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK00000000000000000000000000000001;rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:ringside@192.0.2.1>;tag=0000000000000001\r\n\
         To: <sip:sbc.example.net>\r\n\
         Call-ID: 00000000000000000000000000000001@probe.ringside.invalid\r\n\
         CSeq: 1 OPTIONS\r\n\
         Contact: <sip:ringside@192.0.2.1:5062>\r\n\
         Accept: application/sdp\r\n\
         User-Agent: ringside/1\r\n\
         Content-Length: 0\r\n\r\n"
    );
    for carrier in [Carrier::Udp, Carrier::Tcp, Carrier::Tls] {
        let mut exchange = Exchange::new(Form { from: "sip:me@x".to_owned(), ..form() }, carrier, None);
        let now = Instant::now();
        let local = "[2001:db8::1]:5060".parse().expect("an address");
        let Some(Output::Send(bytes)) = exchange.begin(ProbeId(1), Marks::draw(), local, now, now + TIMEOUT) else {
            panic!("the first one is never refused")
        };
        let message = sip::parse(&bytes, Framing::Datagram { truncated: false }).expect("our own parser reads it");
        assert_eq!((message.via.host, message.via.port), (&b"[2001:db8::1]"[..], 5060));
        assert!(message.via.unique_branch() && message.to.tag.is_empty() && !message.from.tag.is_empty());
        assert_eq!(message.from.uri, b"sip:me@x");
        assert!(is_probe(&message), "whoever captures it leaves it out");
        assert!(message.anomalies.is_empty(), "{:?}", message.anomalies);
        assert_eq!(message.contacts().count(), 1);
    }
}

#[test]
fn marks_are_drawn_anew() {
    let (first, second) = (Marks::draw(), Marks::draw());
    assert!(first.branch != second.branch && first.call_id != second.call_id && first.tag != second.tag);
    assert!(first.branch != first.second_branch);
}

/// Final responses, and what becomes of the probe: every one of them ends it.
#[test]
fn the_first_final_response_ends_a_probe() {
    for status in [200, 302, 401, 404, 405, 407, 483, 486, 501, 503, 603] {
        let mut bench = Bench::new(Carrier::Udp);
        bench.begin(0);
        let response = reply(&bench.requests[0], &format!("{status} Whatever"), "");
        assert_eq!(bench.receive(30, &response), [format!("{status} 1 30ms")]);
        assert_eq!(bench.exchange.next_timeout(), None);
    }
}

#[test]
fn over_udp_timer_e_repeats_until_the_timeout() {
    let mut bench = Bench::new(Carrier::Udp);
    bench.begin(0);
    assert_eq!(bench.run_until(60_000), ["500 send", "1500 send", "3500 send", "5000 timeout 1"]);
    assert!(bench.requests.iter().all(|request| *request == bench.requests[0]));

    // Twice as long each time, four seconds at most.
    let mut exchange = Exchange::new(form(), Carrier::Udp, None);
    let start = Instant::now();
    exchange.begin(ProbeId(1), marks(1), local(), start, start + Duration::from_secs(32)).expect("it is the first");
    let mut waits = Vec::new();
    while let Some(due) = exchange.next_timeout() {
        waits.push((due - start).as_millis());
        exchange.on_timeout(due, &mut Vec::new());
    }
    assert_eq!(waits, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500, 32_000]);
}

#[test]
fn over_a_stream_nothing_is_repeated() {
    for carrier in [Carrier::Tcp, Carrier::Tls] {
        let mut bench = Bench::new(carrier);
        bench.begin(0);
        assert_eq!(bench.run_until(60_000), ["5000 timeout 1"]);
    }
}

#[test]
fn a_provisional_response_is_noted_slows_timer_e_and_ends_nothing() {
    let mut exchange = Exchange::new(form(), Carrier::Udp, None);
    let start = Instant::now();
    let Some(Output::Send(request)) =
        exchange.begin(ProbeId(1), marks(1), local(), start, start + Duration::from_secs(32))
    else {
        panic!("it is the first")
    };
    let trying = reply(std::str::from_utf8(&request).expect("it is text"), "100 Trying", "");
    let mut out = Vec::new();
    exchange.on_message(start + Duration::from_millis(100), trying.as_bytes(), &mut out);
    assert_eq!(out, []);
    let mut waits = Vec::new();
    while let Some(due) = exchange.next_timeout() {
        waits.push((due - start).as_millis());
        exchange.on_timeout(due, &mut out);
    }
    assert_eq!(waits, [500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500, 32_000]);
    let Some(Output::Ended(_, answer)) = out.last() else { panic!("it is lost") };
    assert_eq!((answer.provisional, answer.retransmissions, answer.rtt), (Some(100), 8, None));
}

/// What is no answer: changed in one thing, or come at the wrong time.
#[test]
fn what_is_not_the_answer_is_counted_and_not_believed() {
    let mut bench = Bench::new(Carrier::Udp);
    bench.begin(0);
    let right = reply(&bench.requests[0], "200 OK", "");
    for (wrong, what) in [
        (right.replace("000001;rport", "000002;rport"), "stray"),
        (right.replace("branch=z9hG4bK", "branch=Z9HG4BK"), "stray"),
        (right.replace("1 OPTIONS", "1 INVITE"), "stray"),
        (bench.requests[0].clone(), "stray"),
        (right.replace("SIP/2.0 200 OK", "HTTP/1.1 200 OK"), "unreadable"),
        (right.replace("Call-ID", "X"), "unreadable"),
        (String::new(), "unreadable"),
        ("x".repeat(65_507), "unreadable"),
    ] {
        assert_eq!(bench.receive(10, &wrong), [what], "{wrong}");
    }
    assert_eq!(bench.exchange.under_way(), 1);
    // Neither Call-ID nor tags decide, and where it comes from cannot: only branch and method.
    let other = right.replace("Call-ID: 0", "Call-ID: 1").replace("CSeq: 1 ", "CSeq: 9 ");
    assert_eq!(bench.receive(20, &other), ["200 1 20ms"]);
    assert_eq!(bench.receive(21, &right), ["doubled"]);
    assert_eq!(bench.receive(22, &right), ["doubled"]);

    bench.begin(30);
    assert_eq!(bench.run_until(6000).last().map(String::as_str), Some("5030 timeout 2"));
    let late = reply(&bench.requests[1], "200 OK", "");
    assert_eq!(bench.receive(6001, &late), ["late"]);
    // The same when nobody looked at the clock before it came.
    bench.begin(7000);
    let late = reply(bench.requests.last().expect("some"), "200 OK", "");
    assert_eq!(bench.receive(12_001, &late), ["timeout 3", "late"]);
}

#[test]
fn a_response_of_64_kib_is_an_answer_like_others() {
    let mut bench = Bench::new(Carrier::Udp);
    bench.begin(0);
    let response = reply(&bench.requests[0], "200 OK", &format!("X: {}\r\n", "x".repeat(64_000)));
    assert_eq!(bench.receive(5, &response), ["200 1 5ms"]);
}

#[test]
fn probes_that_overlap_are_told_apart() {
    let mut bench = Bench::new(Carrier::Tcp);
    bench.begin(0);
    bench.begin(1000);
    let [first, second] = [0, 1].map(|index: usize| reply(&bench.requests[index], "200 OK", ""));
    assert_eq!(bench.receive(1500, &second), ["200 2 500ms"]);
    assert_eq!(bench.receive(1600, &first), ["200 1 1.6s"]);
}

#[test]
fn too_many_at_a_time_are_refused() {
    let mut exchange = Exchange::new(form(), Carrier::Tcp, None);
    let now = Instant::now();
    let mut begin = |n: u64| exchange.begin(ProbeId(n), marks(n), local(), now, now + TIMEOUT).is_some();
    assert!((0..MAX_UNDER_WAY as u64).all(&mut begin) && !begin(1000));
    let broken = exchange.give_up();
    assert_eq!(broken.len(), MAX_UNDER_WAY);
    assert_eq!(exchange.next_timeout(), None);
}

#[test]
fn a_challenge_is_answered_once() {
    let credentials = Credentials { username: "probe".to_owned(), password: "secret".to_owned() };
    for (status, asks, answers) in
        [(401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization")]
    {
        let mut bench = Bench::with(Carrier::Udp, Some(credentials.clone()));
        bench.begin(0);
        let challenge = format!("{asks}: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n");
        let challenged = reply(&bench.requests[0], &format!("{status} Who"), &challenge);
        assert_eq!(bench.receive(40, &challenged), ["send"]);
        let [first, second] = [&bench.requests[0], &bench.requests[1]].map(String::clone);
        assert!(field(&second, answers).starts_with("Digest username=\"probe\",realm=\"r\",nonce=\"n\""));
        assert_eq!(field(&second, "CSeq"), "2 OPTIONS");
        assert_eq!(field(&second, "Call-ID"), field(&first, "Call-ID"));
        assert_eq!(field(&second, "From"), field(&first, "From"));
        assert_ne!(field(&second, "Via"), field(&first, "Via"));
        // The challenge again is an answer to a request that is over; the second request is repeated like the first.
        assert_eq!(bench.receive(50, &challenged), ["doubled"]);
        assert_eq!(bench.run_until(600), ["540 send"]);
        assert_eq!(bench.requests[2], second);
        // Refused again, it is over: the round trip is that of the first final response.
        let refused = reply(&second, &format!("{status} Who"), &challenge);
        assert_eq!(bench.receive(700, &refused), [format!("{status} 1 40ms")]);
    }
}

#[test]
fn a_challenge_that_cannot_be_answered_is_an_answer() {
    let mut bench = Bench::new(Carrier::Udp);
    bench.begin(0);
    let digest = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n";
    let challenged = reply(&bench.requests[0], "401 Who", digest);
    assert_eq!(bench.receive(40, &challenged), ["401 1 40ms"]);
    let credentials = Credentials { username: "probe".to_owned(), password: "secret".to_owned() };
    let mut bench = Bench::with(Carrier::Udp, Some(credentials));
    bench.begin(0);
    let challenged = reply(&bench.requests[0], "401 Who", "WWW-Authenticate: Basic realm=\"r\"\r\n");
    assert_eq!(bench.receive(40, &challenged), ["401 1 40ms"]);
}

#[test]
fn what_a_response_says_is_told_without_what_a_terminal_obeys() {
    let mut bench = Bench::new(Carrier::Udp);
    bench.begin(0);
    let response = reply(&bench.requests[0], "404 Not\u{1b}[31m F\u{202e}ound", "Server: kamailio (5.8)\r\n");
    let mut out = Vec::new();
    bench.exchange.on_message(bench.at(1), response.as_bytes(), &mut out);
    let [Output::Ended(_, Answer { response: Some(response), .. })] = &out[..] else { panic!("{out:?}") };
    assert_eq!((response.reason.as_str(), response.server.as_deref()), ("Not[31m Found", Some("kamailio (5.8)")));
}

proptest! {
    /// Whatever comes and whenever: each probe ends once, nothing panics, and the next time is one to come.
    #[test]
    fn whatever_comes_each_probe_ends_once(
        steps in proptest::collection::vec((0u64..2000, 0u8..4, proptest::collection::vec(any::<u8>(), 0..80)), 0..60),
    ) {
        let credentials = Credentials { username: "u".to_owned(), password: "p".to_owned() };
        let mut exchange = Exchange::new(form(), Carrier::Udp, Some(credentials));
        let (mut now, mut begun, mut ended) = (Instant::now(), 0, Vec::new());
        let mut last = String::new();
        for (wait, what, bytes) in steps {
            now += Duration::from_millis(wait);
            let mut out = Vec::new();
            match what {
                0 => {
                    begun += 1;
                    out.extend(exchange.begin(ProbeId(begun), marks(begun), local(), now, now + TIMEOUT));
                }
                1 if !last.is_empty() => {
                    let mut reply = reply(&last, "401 Who", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n");
                    // Somewhere in it something else.
                    if let [at, with, ..] = bytes[..] && with.is_ascii() {
                        let at = usize::from(at) * 3 % reply.len();
                        if reply.is_char_boundary(at) && reply.is_char_boundary(at + 1) {
                            reply.replace_range(at..=at, &char::from(with).to_string());
                        }
                    }
                    exchange.on_message(now, reply.as_bytes(), &mut out);
                }
                2 => exchange.on_message(now, &bytes, &mut out),
                _ => exchange.on_timeout(now, &mut out),
            }
            for output in out {
                match output {
                    Output::Send(bytes) => last = String::from_utf8(bytes).expect("it is text"),
                    Output::Ended(id, _) => ended.push(id.0),
                    Output::Unexpected(_) => {}
                }
            }
        }
        while let Some(due) = exchange.next_timeout() {
            let mut out = Vec::new();
            exchange.on_timeout(due, &mut out);
            prop_assert!(!out.is_empty());
            ended.extend(out.iter().filter_map(|output| match output { Output::Ended(id, _) => Some(id.0), _ => None }));
        }
        ended.sort_unstable();
        prop_assert_eq!(ended, (1..=begun).collect::<Vec<_>>());
    }
}
