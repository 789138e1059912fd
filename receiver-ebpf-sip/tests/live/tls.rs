//! Both ways to set probes, with a program that speaks TLS to itself. What the messages count as, the live tests of
//! `integration` show.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use intake::{End, PortSet};
use receiver_ebpf_sip::Clocks;
use receiver_ebpf_sip::TlsConfig;
use receiver_ebpf_sip::tls::{Tls, Way};
use testnet::{Namespace, skipped};

use crate::common::capture::live;

/// Messages each way, of all sizes up to several TLS records.
const MESSAGES: u32 = 40;

/// Sends and answers itself over TLS on the port it is given. The certificate is made by `openssl`.
const SCRIPT: &str = r#"
import socket, ssl, subprocess, sys, tempfile, threading
folder = tempfile.TemporaryDirectory()
key, certificate = folder.name + "/key", folder.name + "/certificate"
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", "/CN=x", "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
def take(connection, length):
    while length:
        length -= len(connection.recv(min(length, 65536)))
def serve():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
        for number in range(int(sys.argv[2])):
            take(connection, 1 + number * 1000)
            connection.sendall(b"a" * (1 + number * 1000))
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
server = threading.Thread(target=serve)
server.start()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with context.wrap_socket(socket.create_connection(listener.getsockname())) as connection:
    for number in range(int(sys.argv[2])):
        connection.sendall(b"q" * (1 + number * 1000))
        take(connection, 1 + number * 1000)
server.join()
"#;

/// Bytes of each direction, as each end has shown them, and whether all had the right addresses and no holes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Questions as sent and as received, answers likewise.
    bytes: [usize; 4],
    ended: [bool; 4],
}

fn speaks_to_itself(test: &str, port: u16, way: Way) {
    live(test, || {
        Namespace::new().expect("checked").enter();
        let ports: PortSet = [port].into_iter().collect();
        let mut tls = match Tls::start(&TlsConfig::default(), &ports, Some(way)) {
            Ok(tls) => tls,
            Err(error) => return skipped(test, &format!("probes are refused: {error}")),
        };
        assert_eq!(tls.way(), way);
        let mut peer = Command::new("python3")
            .args(["-c", SCRIPT, &port.to_string(), &MESSAGES.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .expect("python3 is installed");
        let mut seen = Seen::default();
        let mut next = [None; 4];
        let begun = Instant::now();
        while seen.ended.contains(&false) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{seen:?}");
            tls.release_due(Clocks::read(), 1000, |piece| {
                let is_question = piece.destination.port() == port;
                assert!(is_question || piece.source.port() == port);
                assert!(piece.source.ip().is_loopback() && piece.destination.ip().is_loopback());
                let index = usize::from(!is_question) * 2 + usize::from(piece.seen_at == End::Recipient);
                assert!(piece.bytes.iter().all(|byte| *byte == if is_question { b'q' } else { b'a' }));
                if piece.ended {
                    seen.ended[index] = true;
                    return;
                }
                assert_eq!(piece.opening, next[index].is_none(), "the connection was seen from its beginning");
                assert!(next[index].is_none_or(|next| next == piece.sequence), "a hole");
                next[index] = Some(piece.sequence.wrapping_add(piece.bytes.len() as u32));
                seen.bytes[index] += piece.bytes.len();
            });
        }
        assert!(peer.wait().expect("our own child").success());
        let all: usize = (0..MESSAGES as usize).map(|number| 1 + number * 1000).sum();
        assert_eq!(seen.bytes, [all; 4]);
    });
}

#[test]
fn probes_are_set_many_in_one_link() {
    speaks_to_itself("probes_are_set_many_in_one_link", 15_061, Way::Links);
}

#[test]
fn where_there_are_no_such_links_probes_are_set_one_by_one() {
    speaks_to_itself("where_there_are_no_such_links_probes_are_set_one_by_one", 15_062, Way::Events);
}
