#!/usr/bin/python3
"""SIP over TLS by Python's ssl, which is OpenSSL: a server that answers everything, and a client of many connections.

peer.py serve [--loop | --websocket | --fork] ADDRESS PORT CERTIFICATE KEY
peer.py send  [--loop | --websocket | --in-turn] [--wait] ADDRESS PORT CONNECTIONS REQUESTS
peer.py abuse ADDRESS PORT CONNECTIONS

The client's connection number n comes from 127.0.1.n; each sends its requests one after another. With --wait it says
"connected", and goes on when it has read a line. With --loop one thread serves all connections, and the TLS objects get
their bytes from memory (asyncio); else each has a thread and its objects read from sockets. With --websocket a
connection is upgraded first (RFC 6455), and every message is a frame. With --fork a process shakes hands, and another one
goes on with the connection. With --in-turn connections shake hands one after another.

Of the connections that abuse a server each third sends a header without end, each third ends in the middle of a message,
without a word, and each third in the middle of the handshake; then the process is killed in the middle of a message.
"""

import asyncio
import base64
import hashlib
import os
import signal
import socket
import ssl
import struct
import sys
import threading
import uuid

END = b"\r\n\r\n"


def answers(request):
    lines = request.split(b"\r\n")
    method = lines[0].split(b" ")[0]
    if method == b"ACK":
        return
    copied = [line for line in lines[1:] if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Record-Route")]
    tagged = [line + b";tag=peer" if line.startswith(b"To:") and b"tag=" not in line else line for line in copied]
    for status in (b"180 Ringing", b"200 OK") if method == b"INVITE" else (b"200 OK",):
        contact = [b"Contact: <sip:127.0.0.1:5063;transport=tls>"] if method == b"INVITE" else []
        yield b"\r\n".join([b"SIP/2.0 " + status] + tagged + contact + [b"Content-Length: 0", b"", b""])


def cut(buffer):
    """Whole messages, and what is left. Bodies are left out: lengths are those of the header alone."""
    messages = []
    while END in buffer:
        header, rest = buffer.split(END, 1)
        length = next((int(l.split(b":")[1]) for l in header.split(b"\r\n") if l.lower().startswith(b"content-length:")), 0)
        if len(rest) < length:
            break
        messages.append(header)
        buffer = rest[length:]
    return messages, buffer


def options(number):
    name = uuid.uuid4().hex
    return (
        f"OPTIONS sip:peer@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.1.{number};branch=z9hG4bK{name}\r\n"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:peer@b>\r\nCall-ID: {name}\r\nCSeq: 1 OPTIONS\r\n"
        "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def serving(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def trusting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Stream:
    """Messages one after another."""

    def __init__(self, connection, is_server):
        self.connection, self.buffer, self.messages = connection, b"", []

    def fill(self):
        data = self.connection.recv(65536)
        if not data:
            raise EOFError
        self.buffer += data

    def send(self, message):
        self.connection.sendall(message)

    def receive(self):
        while not self.messages:
            self.messages, self.buffer = cut(self.buffer)
            if not self.messages:
                self.fill()
        return self.messages.pop(0)


class WebSocket(Stream):
    """A message a frame; those of the client are masked."""

    def __init__(self, connection, is_server):
        super().__init__(connection, is_server)
        self.mask = b"" if is_server else os.urandom(4)
        if not is_server:
            self.send_head(b"GET / HTTP/1.1\r\nHost: peer\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
        head = self.receive_head()
        if is_server:
            key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            self.send_head(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept)

    def send_head(self, head):
        self.connection.sendall(head + b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\n\r\n")

    def receive_head(self):
        while END not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(END, 1)
        return head

    def take(self, length):
        while len(self.buffer) < length:
            self.fill()
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def send(self, message):
        masked = bytes(byte ^ self.mask[at % 4] for at, byte in enumerate(message)) if self.mask else message
        self.connection.sendall(struct.pack("!BBH", 0x81, 126 | (0x80 if self.mask else 0), len(message)) + self.mask + masked)

    def receive(self):
        _, length = self.take(2)
        is_masked, length = length & 0x80, length & 0x7F
        length = struct.unpack("!H", self.take(2))[0] if length == 126 else length
        mask = self.take(4) if is_masked else bytes(4)
        return bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.take(length))).removesuffix(END)


def serve_threads(address, port, context, kind):
    def serve(plain):
        try:
            with context.wrap_socket(plain, server_side=True) as connection:
                peer = kind(connection, True)
                while True:
                    for answer in answers(peer.receive()):
                        peer.send(answer)
        except (OSError, EOFError):
            pass

    with socket.create_server((address, port), backlog=100) as listener:
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=serve, args=(plain,), daemon=True).start()


def serve_forks(address, port, context):
    def give_back(connection, told):
        os.read(told, 1)
        os.close(told)
        connection.close()

    def serve(connection, tell):
        stream = Stream(connection, True)
        while True:
            for answer in answers(stream.receive()):
                stream.send(answer)
            if tell is not None:
                tell = os.close(tell)

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server((address, port), backlog=100) as listener:
        while True:
            connection = context.wrap_socket(listener.accept()[0], server_side=True)
            told, tell = os.pipe()
            if os.fork() == 0:
                try:
                    serve(connection, tell)
                finally:
                    os._exit(0)
            # Once the other process has answered, the object is given back here; it lives on there.
            os.close(tell)
            threading.Thread(target=give_back, args=(connection, told), daemon=True).start()


async def serve_loop(address, port, context):
    async def serve(reader, writer):
        buffer = b""
        while data := await reader.read(65536):
            messages, buffer = cut(buffer + data)
            for message in messages:
                for answer in answers(message):
                    writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, address, port, ssl=context)
    await server.serve_forever()


def go_on():
    print("connected", flush=True)
    sys.stdin.readline()


def send_threads(address, port, connections, requests, wait, kind, at_once):
    context = trusting()
    # One that fails ends all, so that nobody waits for it.
    threading.excepthook = lambda what: (sys.__excepthook__(what.exc_type, what.exc_value, what.exc_traceback), os._exit(1))
    ready = threading.Barrier(connections + 1)
    go = threading.Event()
    shaking = threading.Semaphore(at_once)

    def shake_hands(number):
        with shaking:
            return context.wrap_socket(socket.create_connection((address, port), source_address=(f"127.0.1.{number}", 0)))

    def send(number):
        with shake_hands(number) as connection:
            peer = kind(connection, False)
            ready.wait()
            go.wait()
            for _ in range(requests):
                peer.send(options(number))
                peer.receive()

    threads = [threading.Thread(target=send, args=(number + 1,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    ready.wait()
    if wait:
        go_on()
    go.set()
    for thread in threads:
        thread.join()


async def send_loop(address, port, connections, requests, wait):
    context = trusting()
    opened = [
        await asyncio.open_connection(address, port, ssl=context, local_addr=(f"127.0.1.{number + 1}", 0))
        for number in range(connections)
    ]
    if wait:
        go_on()

    async def send(number, reader, writer):
        for _ in range(requests):
            writer.write(options(number))
            await reader.readuntil(END)
        writer.close()

    await asyncio.gather(*(send(number + 1, *pair) for number, pair in enumerate(opened)))


def abuse(address, port, connections):
    context = trusting()
    for number in range(connections):
        plain = socket.create_connection((address, port))
        if number % 3 == 0:
            with context.wrap_socket(plain) as connection:
                connection.sendall(b"OPTIONS sip:a SIP/2.0\r\nX: " + b"x" * 300_000)
            continue
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if number % 3 == 1:
            plain = context.wrap_socket(plain)
            plain.sendall(options(1)[:-20])
        else:
            plain.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        plain.close()
    connection = context.wrap_socket(socket.create_connection((address, port)))
    connection.sendall(options(1)[:-20])
    os.kill(os.getpid(), signal.SIGKILL)


def main(arguments):
    flags = {argument for argument in arguments if argument.startswith("--")}
    what, address, port, *rest = [argument for argument in arguments if argument not in flags]
    loop, wait = "--loop" in flags, "--wait" in flags
    kind = WebSocket if "--websocket" in flags else Stream
    if what == "serve":
        context = serving(*rest)
        if loop:
            asyncio.run(serve_loop(address, int(port), context))
        elif "--fork" in flags:
            serve_forks(address, int(port), context)
        else:
            serve_threads(address, int(port), context, kind)
    elif what == "abuse":
        abuse(address, int(port), int(rest[0]))
    else:
        connections, requests = (int(number) for number in rest)
        if loop:
            asyncio.run(send_loop(address, int(port), connections, requests, wait))
        else:
            send_threads(address, int(port), connections, requests, wait, kind, 1 if "--in-turn" in flags else connections)


main(sys.argv[1:])
