#!/usr/bin/python3
"""A client of another libssl than Python's own, by way of its C functions: older.py LIBRARIES ADDRESS PORT REQUESTS

It connects, says so, and shakes hands when it has read a line. Of its requests every second one goes by SSL_write_ex and
SSL_read_ex, the others by SSL_write and SSL_read. In between, as many go by Python's own, on a connection from 127.0.1.2.
"""

import ctypes
import socket
import ssl as own
import sys
import uuid

folder, address, port, requests = sys.argv[1:]
ctypes.CDLL(f"{folder}/libcrypto.so.1.1", ctypes.RTLD_GLOBAL)
ssl = ctypes.CDLL(f"{folder}/libssl.so.1.1")
for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
    getattr(ssl, name).restype = ctypes.c_void_p
pointer = ctypes.c_void_p

plain = socket.create_connection((address, int(port)), source_address=("127.0.1.1", 0))
context = own.SSLContext(own.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, own.CERT_NONE
other = socket.create_connection((address, int(port)), source_address=("127.0.1.2", 0))
print("connected", flush=True)
sys.stdin.readline()
other = context.wrap_socket(other)
connection = pointer(ssl.SSL_new(pointer(ssl.SSL_CTX_new(pointer(ssl.TLS_client_method())))))
assert ssl.SSL_set_fd(connection, plain.fileno()) == 1
assert ssl.SSL_connect(connection) == 1


def options(host):
    name = uuid.uuid4().hex
    return (
        f"OPTIONS sip:peer@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS {host};branch=z9hG4bK{name}\r\n"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:peer@b>\r\nCall-ID: {name}\r\nCSeq: 1 OPTIONS\r\n"
        "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


for number in range(int(requests)):
    request = options("127.0.1.1")
    buffer, length, answer = ctypes.create_string_buffer(65536), ctypes.c_size_t(), b""
    if number % 2:
        assert ssl.SSL_write_ex(connection, request, ctypes.c_size_t(len(request)), ctypes.byref(length)) == 1
    else:
        assert ssl.SSL_write(connection, request, len(request)) == len(request)
    while b"\r\n\r\n" not in answer:
        if number % 2:
            assert ssl.SSL_read_ex(connection, buffer, ctypes.c_size_t(len(buffer)), ctypes.byref(length)) == 1
            answer += buffer.raw[: length.value]
        else:
            count = ssl.SSL_read(connection, buffer, len(buffer))
            assert count > 0
            answer += buffer.raw[:count]
    other.sendall(options("127.0.1.2"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += other.recv(65536)
