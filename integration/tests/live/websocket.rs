//! Calls over WebSocket, between a client and a server that know nothing of each other but RFC 6455.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use integration::gate;
use integration::ringside::{Config, Ringside};
use integration::wait::{DEADLINE, eventually};
use testnet::{Family, Namespace};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket};

use crate::stage::{CALLS, cable, namespace};

/// [`CALLS`] as a metric shows it.
const N: f64 = CALLS as f64;

const PORT: u16 = 8080;
const WS_PORTS: &str = "ws_ports = [8080]";

/// An answered call; `@` stands for its number.
const CALL: &str = "
    0.000 alice -> bob INVITE sdp call=@ branch=z9hG4bK@i ftag=f@
    0.001 alice <- bob 100 call=@
    0.100 alice <- bob 180 call=@ tag=t
    2.000 alice <- bob 200 sdp call=@ tag=t
    2.010 alice -> bob ACK call=@ branch=z9hG4bK@a
    9.000 alice -> bob BYE call=@ branch=z9hG4bK@b
    9.010 alice <- bob 200 call=@ of=BYE";

/// Messages of [`CALL`].
const MESSAGES: u64 = 7;

/// Both ends of one connection.
struct Line {
    client: WebSocket<TcpStream>,
    server: WebSocket<TcpStream>,
}

impl Line {
    /// Connects and upgrades to SIP.
    fn open(from: &Namespace, to: &Namespace, address: SocketAddr) -> Self {
        // A process that another test starts holds what listened last until it has become another program.
        let listener = to.run(|| eventually("a free port", || TcpListener::bind(address).ok()));
        let stream = from.run(|| TcpStream::connect(address)).expect("somebody listens");
        let (accepted, _) = listener.accept().expect("a connection");
        for stream in [&stream, &accepted] {
            stream.set_read_timeout(Some(DEADLINE)).expect("a deadline that is not zero");
            stream.set_nodelay(true).expect("a TCP socket");
        }
        let server = thread::spawn(move || {
            #[expect(clippy::result_large_err, reason = "the shape of tungstenite's callback")]
            let grant = |_: &Request, mut response: Response| {
                response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
                Ok(response)
            };
            tungstenite::accept_hdr(accepted, grant).expect("an upgrade")
        });
        let mut request = format!("ws://{address}/").into_client_request().expect("an address");
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
        let (client, _) = tungstenite::client(request, stream).expect("an upgrade");
        Self { client, server: server.join().expect("no panic") }
    }

    /// On loopback.
    fn inside(namespace: &Namespace, family: Family) -> Self {
        Self::open(namespace, namespace, SocketAddr::new(family.loopback(), PORT))
    }

    /// Plays a call, each message once the one before it has arrived; `send` says how a message is written.
    fn call(&mut self, name: &str, mut send: impl FnMut(&mut WebSocket<TcpStream>, &str)) {
        for step in ladder::play(&CALL.replace('@', name)) {
            let text = String::from_utf8(step.bytes).expect("a ladder without raw bytes is text");
            let text = text.replace("SIP/2.0/UDP", "SIP/2.0/WS");
            let is_of_client = step.source.ip() == ladder::play(CALL)[0].source.ip();
            let (sender, recipient) = match is_of_client {
                true => (&mut self.client, &mut self.server),
                false => (&mut self.server, &mut self.client),
            };
            send(sender, &text);
            let received = loop {
                match recipient.read().expect("the connection stands") {
                    Message::Ping(_) | Message::Pong(_) => {}
                    message => break message.into_data(),
                }
            };
            // What a test adds comes behind the first line.
            let (_, headers) = text.split_once("\r\n").expect("a first line");
            assert!(received.ends_with(headers.as_bytes()));
        }
    }

    /// Says goodbye, on both sides.
    fn close(self) {
        let Self { mut client, mut server } = self;
        client.close(None).expect("the connection stands");
        while server.read().is_ok() {}
        // The server ends the connection (RFC 6455 §7.1.1); until then the client waits.
        drop(server);
        while client.read().is_ok() {}
    }
}

fn as_text(socket: &mut WebSocket<TcpStream>, message: &str) {
    socket.send(Message::text(message)).expect("somebody reads");
}

fn as_binary(socket: &mut WebSocket<TcpStream>, message: &str) {
    socket.send(Message::binary(message.as_bytes().to_vec())).expect("somebody reads");
}

/// In three frames, with a ping before the last, each in a segment of its own.
fn in_pieces(socket: &mut WebSocket<TcpStream>, message: &str) {
    let (head, rest) = message.split_at(9);
    let (middle, tail) = rest.split_at(100);
    let piece = |bytes: &str, opcode, last| {
        Message::Frame(Frame::message(bytes.as_bytes().to_vec(), OpCode::Data(opcode), last))
    };
    let frames = [
        piece(head, Data::Text, false),
        piece(middle, Data::Continue, false),
        Message::Ping("still there?".into()),
        piece(tail, Data::Continue, true),
    ];
    for frame in frames {
        socket.send(frame).expect("somebody reads");
    }
}

#[track_caller]
fn assert_answered(ringside: &Ringside, calls: f64, pings: f64) {
    let scrape = ringside.settled(calls as u64 * MESSAGES);
    scrape.assert([
        ("packets_total", calls * MESSAGES as f64),
        ("session_attempts_total", calls),
        ("session_outcomes_total{outcome=\"answered\"}", calls),
        ("sdc_total", calls),
        ("retransmissions_total", 0.0),
        ("keepalives_total{type=\"ws_ping\"}", pings),
        ("keepalives_total{type=\"crlf\"}", 0.0),
        ("non_sip_total", 0.0),
        ("parse_errors_total", 0.0),
        ("anomalies_total", 0.0),
        ("stream_resync_total", 0.0),
        ("capture_drops_total", 0.0),
    ]);
}

#[test]
fn calls_over_websocket_are_counted_once_and_completed() {
    let Some(_pass) = gate::shared("calls over WebSocket") else { return };
    for family in [Family::V4, Family::V6] {
        let namespace = namespace();
        let ringside = Ringside::start(&namespace, &Config::on("lo").receiver(WS_PORTS));
        let mut line = Line::inside(&namespace, family);
        for call in 0..CALLS {
            let send = if call % 2 == 0 { as_text } else { as_binary };
            line.call(&format!("{call:03}"), send);
        }
        line.close();
        assert_answered(&ringside, N, 0.0);
        eventually("all messages, as the program tells of itself", || {
            ringside
                .internal("otelcol_receiver_accepted_sip_messages")
                .filter(|accepted| *accepted == N * MESSAGES as f64)
        });

        let cable = cable();
        let ringside = Ringside::start(&cable.right, &Config::on("right").receiver(WS_PORTS));
        for call in 0..CALLS {
            let mut line = Line::open(&cable.left, &cable.right, cable.addresses(family, PORT).1);
            line.call(&format!("{call:03}"), as_text);
            line.close();
        }
        assert_answered(&ringside, N, 0.0);
    }
}

#[test]
fn messages_in_pieces_with_pings_between_them_are_put_together() {
    let Some(_pass) = gate::shared("fragmented messages over WebSocket") else { return };
    let cable = cable();
    let ringside = Ringside::start(&cable.right, &Config::on("right").receiver(WS_PORTS));
    let mut line = Line::open(&cable.left, &cable.right, cable.addresses(Family::V4, PORT).1);
    for call in 0..CALLS {
        line.call(&format!("{call:03}"), in_pieces);
    }
    line.close();
    assert_answered(&ringside, N, N * MESSAGES as f64);
}

#[test]
fn a_message_larger_than_a_segment_is_put_together_over_websocket() {
    let Some(_pass) = gate::shared("60 kB message over WebSocket") else { return };
    let cable = cable();
    let ringside = Ringside::start(&cable.right, &Config::on("right").receiver(WS_PORTS));
    let mut line = Line::open(&cable.left, &cable.right, cable.addresses(Family::V6, PORT).1);
    line.call("1", |socket, message| {
        as_text(socket, &message.replacen("\r\n", &format!("\r\nX-Padding: {}\r\n", "x".repeat(60_000)), 1));
    });
    assert_answered(&ringside, 1.0, 0.0);
}

#[test]
fn a_websocket_that_was_there_before_is_followed_from_its_next_message_on() {
    let Some(_pass) = gate::shared("WebSocket older than the capture") else { return };
    let namespace = namespace();
    let mut line = Line::inside(&namespace, Family::V4);
    line.call("before", as_text);
    let ringside = Ringside::start(&namespace, &Config::on("lo").receiver(WS_PORTS));
    line.call("after", as_text);
    line.call("later", in_pieces);
    assert_answered(&ringside, 2.0, MESSAGES as f64);
}

#[test]
fn ports_of_websockets_change_while_it_runs_and_need_no_tcp_among_the_transports() {
    let Some(_pass) = gate::shared("SIGHUP with ws_ports") else { return };
    let namespace = namespace();
    let ringside = Ringside::start(&namespace, &Config::on("lo").receiver("transports = [\"udp\"]"));
    let mut line = Line::inside(&namespace, Family::V4);
    line.call("unseen", as_text);
    ringside.rewrite(&Config::on("lo").receiver(&format!("transports = [\"udp\"]\n{WS_PORTS}")).toml());
    ringside.signal(libc::SIGHUP);
    eventually("the reload is done", || ringside.log().contains("configuration reloaded").then_some(()));
    line.call("seen", as_text);
    assert_answered(&ringside, 1.0, 0.0);
    assert_eq!(ringside.internal("otelcol_config_restart_needed"), Some(0.0));
}
