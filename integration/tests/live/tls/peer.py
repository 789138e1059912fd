#!/usr/bin/python3
"""SIP over TLS by Python's ssl, which is OpenSSL: a server that answers everything, and a client of many connections.

peer.py serve [--loop] ADDRESS PORT CERTIFICATE KEY
peer.py send  [--loop] [--wait] ADDRESS PORT CONNECTIONS REQUESTS

The client's connection number n comes from 127.0.1.n; each sends its requests one after another. With --wait it says
"connected", and goes on when it has read a line. With --loop one thread serves all connections, and the TLS objects get
their bytes from memory (asyncio); else each has a thread and its objects read from sockets.
"""

import asyncio
import os
import socket
import ssl
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


def serve_threads(address, port, context):
    def serve(plain):
        try:
            with context.wrap_socket(plain, server_side=True) as connection:
                buffer = b""
                while data := connection.recv(65536):
                    messages, buffer = cut(buffer + data)
                    for message in messages:
                        for answer in answers(message):
                            connection.sendall(answer)
        except OSError:
            pass

    with socket.create_server((address, port), backlog=100) as listener:
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=serve, args=(plain,), daemon=True).start()


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


def send_threads(address, port, connections, requests, wait):
    context = trusting()
    # One that fails ends all, so that nobody waits for it.
    threading.excepthook = lambda what: (sys.__excepthook__(what.exc_type, what.exc_value, what.exc_traceback), os._exit(1))
    ready = threading.Barrier(connections + 1)
    go = threading.Event()

    def send(number):
        plain = socket.create_connection((address, port), source_address=(f"127.0.1.{number}", 0))
        with context.wrap_socket(plain) as connection:
            ready.wait()
            go.wait()
            for _ in range(requests):
                connection.sendall(options(number))
                buffer = b""
                while END not in buffer:
                    buffer += connection.recv(65536)

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


def main(arguments):
    flags = {argument for argument in arguments if argument.startswith("--")}
    what, address, port, *rest = [argument for argument in arguments if argument not in flags]
    loop, wait = "--loop" in flags, "--wait" in flags
    if what == "serve":
        context = serving(*rest)
        asyncio.run(serve_loop(address, int(port), context)) if loop else serve_threads(address, int(port), context)
    else:
        connections, requests = (int(number) for number in rest)
        if loop:
            asyncio.run(send_loop(address, int(port), connections, requests, wait))
        else:
            send_threads(address, int(port), connections, requests, wait)


main(sys.argv[1:])
