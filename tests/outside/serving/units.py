"""The unit files of examples/systemd under a real systemd: sockets, readiness, watchdog, restarts and hardening as it does them.

    python3 units.py --tieup target/debug/tieup --syncd target/debug/syncd

As root on Linux, with systemd 252 or later installed; it need not be what this machine was started with. A systemd is the first
process of namespaces of its own (processes, mounts, network, control groups), in which the units, the program, the user `syncd`
and the shop's folder stand where docs/deploying.md puts them. It sees no process and no port of this machine, and all of it is gone
when the script ends. Fails with exit status 1 where something is otherwise than it should be.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import stand

UNITS = pathlib.Path(__file__).parents[3] / "examples/systemd"
USER = 64_123

# The groups of processes that the systemd inside may divide; what is outside them it does not see.
GROUPS = pathlib.Path("/sys/fs/cgroup/unified"), pathlib.Path("/sys/fs/cgroup")

# What the units name, without anything of a whole system behind it.
STUBS = ["sysinit", "basic", "sockets", "network-online", "multi-user", "shutdown", "umount", "final", "exit"]

# The first process of the namespaces, until it becomes systemd.
INSIDE = r"""
set -e
cd "$1"
mount --make-rprivate /
mount -t proc proc /proc
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir -p /var/lib/syncd
mount --bind shop /var/lib/syncd
mount --bind bin /usr/local/bin
mount --bind "$2" /usr/local/bin/syncd
mount --bind passwd /etc/passwd
mount --bind group /etc/group
mount --bind empty /etc/systemd/system
mount --bind empty /usr/lib/systemd/system-generators
mount --bind units /usr/lib/systemd/system
ip link set lo up
exec env -i container=other PATH=/usr/local/bin:/usr/bin:/bin /lib/systemd/systemd --system --unit=multi-user.target \
    --log-target=console --log-level=info --show-status=no
"""

ASK = """
import ssl, sys, urllib.request
context = ssl._create_unverified_context()
print(urllib.request.urlopen(sys.argv[1], timeout=60, context=context).status)
"""


class Machine:
    """A systemd in namespaces of its own."""

    def __init__(self, folder, syncd):
        root = next(group for group in GROUPS if (group / "cgroup.procs").is_file())
        self.group = root / f"tieup-units-{os.getpid()}"
        self.group.mkdir()
        self.log = open(folder / "systemd.log", "w+b")
        apart = ["unshare", "--cgroup", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child"]
        enter = f'echo $$ > {self.group}/cgroup.procs; exec "$@"'
        command = ["sh", "-c", enter, "sh", *apart, "sh", "-c", INSIDE, "sh", str(folder), str(syncd)]
        self.outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        stand.until("systemd runs", self.is_up)

    def is_up(self):
        if self.outer.poll() is not None:
            self.log.seek(0)
            sys.exit(f"systemd has ended:\n{self.log.read().decode()}")
        return bool(self.first()) and self.run("systemctl", "is-active", "multi-user.target").stdout.strip() == "active"

    def first(self):
        """The process that is systemd, as it is known out here."""
        children = pathlib.Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read_text().split()
        return children[0] if children else None

    def run(self, *command):
        enter = ["nsenter", "-t", self.first(), "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--"]
        return subprocess.run([*enter, *command], capture_output=True, text=True)

    def show(self, name, unit="syncd.service"):
        return self.run("systemctl", "show", "--value", "--property", name, unit).stdout.strip()

    def ask(self, url):
        return self.run("python3", "-c", ASK, url).stdout.strip()

    def end(self):
        if self.first():
            os.kill(int(self.first()), signal.SIGKILL)
        self.outer.wait()
        for group in sorted(self.group.rglob("*/"), reverse=True):
            if group.is_dir():
                group.rmdir()
        self.group.rmdir()


def shop_of(tieup, syncd, folder):
    """The folder of a shop whose release 1 is live, with the ports that docs/deploying.md names."""
    main_site, shop = folder / "main", folder / "shop"
    main_site.mkdir()
    shop.mkdir()
    stand.set_up(tieup, syncd, main_site, shop, "{}", lambda *_: None)
    text = (shop / "syncd.yaml").read_text()
    for key, port in {"public": 80, "peer": 7450, "admin": 9180}.items():
        text = re.sub(f"(?m)^{key}:.*", f"{key}: 127.0.0.1:{port}", text)
    (shop / "syncd.yaml").write_text(re.sub(r"listen: '[^']*'", "listen: '127.0.0.1:443'", text))
    return shop


def lay(folder, shop):
    """What stands where inside."""
    for name in ("units", "bin", "empty"):
        (folder / name).mkdir()
    (folder / "bin/syncd").touch()
    for stub in STUBS:
        text = f"[Unit]\nDescription={stub}\nDefaultDependencies=no\n"
        (folder / f"units/{stub}.target").write_text(text)
    for unit in UNITS.iterdir():
        shutil.copy(unit, folder / "units")
    # Its ports are those of a machine that is reached from everywhere; here there is loopback alone. The watchdog is as it is
    # but for its time, so that nobody waits half a minute for it.
    (folder / "units/syncd.service.d").mkdir()
    (folder / "units/syncd.service.d/soon.conf").write_text("[Service]\nWatchdogSec=4\n")
    passwd, group = (pathlib.Path(f"/etc/{name}").read_text() for name in ("passwd", "group"))
    (folder / "passwd").write_text(f"{passwd}syncd:x:{USER}:{USER}::/var/lib/syncd:/usr/sbin/nologin\n")
    (folder / "group").write_text(f"{group}syncd:x:{USER}:\n")
    for path in [shop, *shop.rglob("*")]:
        os.chown(path, USER, USER, follow_symlinks=False)
    # The user inside must be able to reach it.
    folder.chmod(0o755)


def checks(machine):
    """What is looked at: in words, and whether it is so."""

    def back_after(what, number):
        """Whether another process serves after the main one was sent a signal, and nobody was turned away meanwhile."""
        before = machine.show("MainPID")
        machine.run("kill", f"-{number}", before)
        if number == "STOP":
            stand.until(f"systemd acts on {what}", lambda: machine.show("MainPID") not in (before,))
        asked = machine.ask("https://127.0.0.1/about/")
        after = machine.show("MainPID")
        return asked == "200" and after not in ("0", before)

    yield "the sockets stand before anybody asks, and the daemon does not run", (
        machine.run("systemctl", "start", "syncd.socket").returncode == 0
        and machine.show("ActiveState", "syncd.socket") == "active"
        and machine.show("ActiveState") == "inactive"
    )
    yield "whoever asks first starts it, waits, and is answered (port 443)", machine.ask("https://127.0.0.1/about/") == "200"
    yield "port 80 leads there", machine.ask("http://127.0.0.1/about/") == "200"
    yield "it has said that it is ready, and how it stands", (
        machine.show("ActiveState") == "active" and machine.show("StatusText").startswith("release 1 is live")
    )
    yield "it runs as its own user, without any right of root's", (
        machine.show("UID") == str(USER)
        and "CapEff:\t0000000000000000" in machine.run("cat", f"/proc/{machine.show('MainPID')}/status").stdout
    )
    yield "it gives signs of life: it is the same after three times the watchdog's time", still_there(machine)
    yield "killed, it is started again, and visitors wait meanwhile", back_after("the kill", "KILL")
    yield "stopped in its tracks, it is missed, ended and started again", back_after("the silence", "STOP")
    machine.run("systemctl", "stop", "syncd.service", "syncd.socket")
    yield "told to end, it ends well", machine.show("Result") == "success" and machine.show("ActiveState") == "inactive"
    yield "started with its sockets, it is ready when systemd says so", (
        machine.run("systemctl", "start", "syncd.service").returncode == 0
        and machine.ask("https://127.0.0.1/about/") == "200"
    )


def still_there(machine):
    before = machine.show("MainPID")
    time.sleep(12)
    return machine.show("MainPID") == before and machine.show("NRestarts") == "0"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tieup", required=True, type=pathlib.Path)
    parser.add_argument("--syncd", required=True, type=pathlib.Path)
    options = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory(prefix="tieup-units-") as temporary:
        folder, syncd = pathlib.Path(temporary), options.syncd.resolve()
        lay(folder, shop_of(str(options.tieup.resolve()), str(syncd), folder))
        machine = Machine(folder, syncd)
        try:
            print(machine.run("systemctl", "--version").stdout.splitlines()[0])
            for words, is_so in checks(machine):
                print(f"{'yes' if is_so else 'NO '}  {words}", flush=True)
                wrong += [] if is_so else [words]
            if wrong:
                print(machine.run("systemctl", "status", "--no-pager", "--full", "syncd.service", "syncd.socket").stdout)
        finally:
            machine.end()
        if wrong:
            print((folder / "systemd.log").read_text()[-4000:])
    if wrong:
        sys.exit(f"{len(wrong)} are otherwise than they should be")
    print("as it should be")


if __name__ == "__main__":
    main()
