"""Questions and answers over one TLS connection to itself, 500 bytes each: tls.py CERTIFICATE KEY PORT ROUNDS

Each round is two calls that write and two that read. Reads a line, prints the microseconds a round took, and again.
"""

import socket
import ssl
import sys
import threading
import time

certificate, key, port, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
message = b"x" * 498 + b"\r\n"


def serve():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    plain, _ = listener.accept()
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with context.wrap_socket(plain, server_side=True) as connection:
        while data := connection.recv(65536):
            connection.sendall(data)


listener = socket.create_server(("127.0.0.1", port))
threading.Thread(target=serve, daemon=True).start()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
plain = socket.create_connection(("127.0.0.1", port))
plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
with context.wrap_socket(plain) as connection:
    print("connected", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(rounds):
            connection.sendall(message)
            connection.recv(65536)
        print((time.perf_counter() - start) / rounds * 1e6, flush=True)
