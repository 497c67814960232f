"""A main site and partners of it, each a process on free ports of this machine, and a relay that counts their bytes."""
import asyncio
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "tests/bench/generator.d"
sys.path.insert(0, str(FIXTURES))
import corpus  # noqa: E402

CONTRACT = """contract: main/{partner}@1
effective: {{from: 2026-11-01, tz: Asia/Tokyo}}
partnership: inherited
mounts: {{"/": main, "/local/**": partner}}
slots: []
approval: {{policy: ask, auto: [{auto}], soak: 0m, strategy: staged}}
journal: {{writer: partner, verifier: both}}
count: {{rules: page-view/1, robots: "blake3:{robots}", double_click: 30s, session: hour}}
money: {{currency: JPY, round: half_up, at: line}}
meters: {{tie: {{views: {{class: tieup}}}}}}
charges: {{base: {{by: partnership, link: 0, framework: 20000, inherited: 50000}}}}
close: {{grace: 5d, late: next_period_correction}}
"""
ROBOTS = "e104e885ce23e0ff78e43c5a5cf705dd325dfc95b1878f166b54919a3b3f959a"


def binaries():
    """Builds the two commands and names them."""
    build = ["cargo", "build", "--release", "--quiet", "-p", "tieup-hub", "-p", "tieup-syncd"]
    subprocess.run(build, cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release/tieup", target / "release/syncd"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Relay:
    """Passes connections on to `port`, counts the bytes of both ways, and notes when the first and the last passed."""

    def __init__(self, port):
        self.target, self.port = port, free_port()
        self.sent = self.received = 0
        self.first = self.last = None
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        ready.wait()

    async def serve(self, ready):
        server = await asyncio.start_server(self.join, "127.0.0.1", self.port)
        ready.set()
        await server.serve_forever()

    async def join(self, reader, writer):
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(self.pump(reader, far_writer, "sent"), self.pump(far_reader, writer, "received"))

    async def pump(self, reader, writer, way):
        with contextlib.suppress(OSError):
            while chunk := await reader.read(1 << 18):
                self.last = time.perf_counter()
                self.first = self.first or self.last
                setattr(self, way, getattr(self, way) + len(chunk))
                writer.write(chunk)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    def take(self):
        """The bytes of both ways since the last call, and the seconds between the first and the last."""
        counted = self.sent + self.received, self.last - self.first if self.first else 0.0
        self.sent = self.received = 0
        self.first = self.last = None
        return counted


def run(command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(str(part) for part in command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def edit(file, old, new):
    text = file.read_text()
    assert old in text, f"{file} does not hold {old}"
    file.write_text(text.replace(old, new))


def start(command, folder, port):
    """Starts a process that listens at `port`, and waits until it does."""
    log = (folder / "log").open("w")
    child = subprocess.Popen([str(part) for part in command], cwd=folder, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return child
        time.sleep(0.02)
    sys.exit(f"{command} does not listen:\n{(folder / 'log').read_text()}")


class Main:
    """A main site of so many pages, and its hub, which publishes when it is told to, or when the site changes. The hub is
    started by the command `prefix`, if one is given."""

    def __init__(self, folder, pages, publishes=False, prefix=()):
        self.tieup, self.syncd = binaries()
        self.folder = folder / "main"
        self.folder.mkdir()
        corpus.write(self.folder, pages, "tieup")
        shutil.copy(FIXTURES / "site/site.yaml", self.folder)
        shutil.copytree(FIXTURES / "themes", self.folder / "themes")
        run([self.tieup, "init", "main"], cwd=self.folder)
        join, self.public = free_port(), free_port()
        edit(self.folder / "tieup.yaml", "127.0.0.1:7440", f"127.0.0.1:{join}")
        edit(self.folder / "tieup.yaml", "127.0.0.1:8000", f"127.0.0.1:{self.public}")
        options = [] if publishes else ["--no-publish"]
        self.hub = start([*prefix, self.tieup, "hub", *options], self.folder, join)

    def contract(self, partner, auto=""):
        contract = self.folder / f"partners/{partner}/contract.yaml"
        contract.parent.mkdir(parents=True, exist_ok=True)
        contract.write_text(CONTRACT.format(partner=partner, robots=ROBOTS, auto=auto))

    def publish(self, *options):
        """What one `tieup publish` says, and its seconds."""
        begun = time.perf_counter()
        said = run([self.tieup, "publish", *options], cwd=self.folder)
        return said, time.perf_counter() - begun

    def wait_for(self, state):
        """Waits until `tieup status` says this state."""
        deadline = time.monotonic() + 120
        while state not in (said := run([self.tieup, "status"], cwd=self.folder)):
            if time.monotonic() > deadline:
                sys.exit(f"nothing is {state}:\n{said}{(self.folder / 'log').read_text()}")
            time.sleep(0.2)

    def stop(self):
        self.hub.terminate()
        self.hub.wait()


class Shop:
    """A partner whose contract stands, joined and running; main calls it through a relay. The daemon is started by the
    command `prefix`, if one is given, and serves visitors by HTTPS where it is given a certificate and its key."""

    def __init__(self, folder, main, partner, prefix=(), certificate=None):
        self.syncd, self.folder = main.syncd, folder / partner
        self.public, peer = free_port(), free_port()
        self.relay = Relay(peer)
        self.folder.mkdir()
        run([self.syncd, "init"], cwd=self.folder)
        with (self.folder / "site.yaml").open("a") as own:
            own.write("extra: {description: A shop, nav: []}\n")
        config = self.folder / "syncd.yaml"
        text = config.read_text()
        ports = {"public": self.public, "peer": peer, "address": self.relay.port}
        for key, port in [*ports.items(), ("console", free_port()), ("preview", free_port())]:
            text, found = re.subn(rf"(?m)^#? *{key}: *\S+", f"{key}: 127.0.0.1:{port}", text)
            if not found:
                text += f"{key}: 127.0.0.1:{port}\n"
        if certificate:
            self.https = free_port()
            text += (f"https:\n  listen: 127.0.0.1:{self.https}\n"
                     f"  certificate: {certificate[0]}\n  key: {certificate[1]}\n")
        config.write_text(text)
        invited = run([main.tieup, "partner", "invite", partner], cwd=main.folder)
        run([self.syncd, "join", re.search(r"tieup1-\S+", invited).group()], cwd=self.folder)
        self.daemon = start([*prefix, self.syncd, "run"], self.folder, peer)

    def approve(self, version):
        run([self.syncd, "approve", version], cwd=self.folder)

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait()
