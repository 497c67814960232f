"""A main site and a shop on this machine, the shop's pages by HTTP and HTTPS, for tools that are run by hand.

    python3 stand.py --tieup target/debug/tieup --syncd target/debug/syncd [--visitors '{of_one_address: 4096}']

Prints where the site is and the daemon's process, and stays until its input ends or Ctrl-C. All of it lies in a
temporary folder. Needs `openssl` for the certificate.
"""

import argparse
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

LARGE = 8 << 20


def free_ports(count):
    """Ports that nobody has; another program may take one before it is used."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def run(command, folder):
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"{command} failed:\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def until(what, holds):
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    sys.exit(f"it did not come to be that {what}")


def answers(url):
    try:
        return urllib.request.urlopen(url).status < 500
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def write_main(folder, join, public):
    text = (folder / "tieup.yaml").read_text()
    text = re.sub("(?m)^join:.*", f"join: 127.0.0.1:{join}", text)
    (folder / "tieup.yaml").write_text(re.sub("(?m)^public:.*", f"public: 127.0.0.1:{public}", text))
    words = " ".join(f"word{number}" for number in range(400))
    (folder / "content/about.md").write_text(f"---\ntitle: About\n---\n{words}\n")
    (folder / "static").mkdir()
    # Nothing that a coding would make smaller.
    (folder / "static/large.bin").write_bytes(bytes(number * number % 251 for number in range(LARGE)))


def write_shop(folder, ports, visitors):
    public, https, peer, admin = ports
    name = ["-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example,DNS:localhost,IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]
    run(["openssl", "req", "-x509", "-days", "30", *key, *name], folder)
    (folder / "syncd.yaml").write_text(
        f"state: .syncd\npublic: 127.0.0.1:{public}\npeer: 127.0.0.1:{peer}\nadmin: 127.0.0.1:{admin}\n"
        f"https: {{listen: '127.0.0.1:{https}', certificate: cert.pem, key: key.pem}}\nvisitors: {visitors}\n"
    )


def set_up(tieup, syncd, main_site, shop, visitors, stay):
    """A main site and a shop in these folders, with release 1 live; both run while `stay` does."""
    join, main_public, *ports = free_ports(6)
    public, https, _, admin = ports
    run([tieup, "init", "nationwide"], main_site)
    write_main(main_site, join, main_public)
    run([tieup, "partner", "add", "harbor-shop"], main_site)
    run([syncd, "init"], shop)
    write_shop(shop, ports, visitors)
    logs = [open(folder / "log", "wb") for folder in (main_site, shop)]
    hub = subprocess.Popen([tieup, "hub", "--no-publish"], cwd=main_site, stdout=logs[0], stderr=logs[0])
    daemon = None
    try:
        until("the hub runs", lambda: answers(f"http://127.0.0.1:{main_public}/"))
        invited = run([tieup, "partner", "invite", "harbor-shop"], main_site)
        run([syncd, "join", re.search(r"tieup1-\S+", invited).group()], shop)
        daemon = subprocess.Popen([syncd, "run"], cwd=shop, stdout=logs[1], stderr=logs[1])
        until("the daemon runs", lambda: answers(f"http://127.0.0.1:{admin}/healthz"))
        run([tieup, "publish"], main_site)
        run([syncd, "approve", "1"], shop)
        stay(daemon, public, https, admin)
    except KeyboardInterrupt:
        pass
    finally:
        for process in filter(None, (daemon, hub)):
            process.terminate()
            process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tieup", required=True, type=pathlib.Path)
    parser.add_argument("--syncd", required=True, type=pathlib.Path)
    parser.add_argument("--visitors", default="{}")
    options = parser.parse_args()
    tieup, syncd = str(options.tieup.resolve()), str(options.syncd.resolve())
    with tempfile.TemporaryDirectory(prefix="tieup-stand-") as temporary:
        main_site, shop = pathlib.Path(temporary, "main"), pathlib.Path(temporary, "shop")
        main_site.mkdir()
        shop.mkdir()

        def stay(daemon, public, https, admin):
            print(f"process {daemon.pid}; http 127.0.0.1:{public}; https 127.0.0.1:{https}; admin 127.0.0.1:{admin}")
            print(f"files in {temporary}; pages / /about/ /large.bin; end with Ctrl-C", flush=True)
            sys.stdin.read()

        set_up(tieup, syncd, main_site, shop, options.visitors, stay)


if __name__ == "__main__":
    main()
