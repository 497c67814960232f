#!/usr/bin/env python3
"""Verifies a release from outside: with python-tuf and blake3, and none of Tieup's code.

    pip install tuf blake3
    syncd export --release 5 --to release-5
    python3 verify_release.py release-5 [--root ROOT.json] [--at 2026-11-29T00:00:00Z]

ROOT is the root metadata that the partner pinned when it joined; by default the one in the exported folder, which says
nothing about a folder that was forged as a whole. --at checks the expiry dates for another moment than now.

Exit status 0: everything is as main's keys say. 1: it is not, and the first mistake is named.
"""

import argparse
import json
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from blake3 import blake3
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

BASE = "folder:///"


class Mistake(Exception):
    """What is wrong with the release."""


class Folder(FetcherInterface):
    """Answers a TUF client from a folder."""

    def __init__(self, folder):
        self.folder = folder

    def _fetch(self, url):
        path = self.folder / url.removeprefix(BASE)
        if not path.is_file():
            raise DownloadHTTPError(f"{path} is not there", 404)
        yield path.read_bytes()


def verified_target(release, root, at):
    """The signed entry of the manifest, after the whole chain from `root` has been verified."""
    with tempfile.TemporaryDirectory() as state:
        updater = Updater(
            metadata_dir=state,
            metadata_base_url=BASE + "metadata/",
            target_dir=state,
            target_base_url=BASE,
            fetcher=Folder(release),
            bootstrap=root,
        )
        if at is not None:
            updater._trusted_set.reference_time = at
        updater.refresh()
        target = updater.get_targetinfo("manifest.json")
        if target is None:
            raise Mistake("the targets name no manifest")
        updater.download_target(target)
        return target


def blobs_of(manifest):
    """Digest and length of every blob that the manifest names, each once."""
    named = [entry["blob"] for entry in manifest["entries"].values()]
    named += list(manifest["framework"].values()) + [manifest["index"]]
    return {(blob["digest"], blob["length"]) for blob in named}


def check_label(label, manifest, bytes_of_manifest, blobs):
    """The label says of the release what the release is."""
    found = {
        "main": manifest["main"],
        "partner": manifest["partner"],
        "stream": "pages",
        "version": manifest["version"],
        "contract": manifest["contract"],
        "manifest": "blake3:" + blake3(bytes_of_manifest).hexdigest(),
        "entries": len(manifest["entries"]),
        "bytes": sum(length for _, length in blobs),
        "emergency": manifest.get("emergency"),
    }
    for field in sorted(found.keys() | label.keys()):
        if label.get(field) != found.get(field):
            raise Mistake(f"the label says {label.get(field)} for `{field}`, but it is {found.get(field)}")


def check_contract(manifest, text):
    digest = "blake3:" + blake3(text).hexdigest()
    if manifest["contract"]["digest"] != digest:
        raise Mistake(f"contract.yaml has the digest {digest}; the manifest names another")


def check_blobs(folder, blobs):
    for digest, length in sorted(blobs):
        algorithm, _, name = digest.partition(":")
        if algorithm != "blake3":
            raise Mistake(f"{digest} is no BLAKE3 digest")
        path = folder / name
        if not path.is_file():
            raise Mistake(f"blob {name} is missing")
        content = path.read_bytes()
        if len(content) != length:
            raise Mistake(f"blob {name} has {len(content)} bytes, not {length}")
        if blake3(content).hexdigest() != name:
            raise Mistake(f"blob {name} has other content")


def verify(release, root, at):
    target = verified_target(release, root, at)
    text = (release / "manifest.json").read_bytes()
    manifest = json.loads(text)
    blobs = blobs_of(manifest)
    check_label(target.custom, manifest, text, blobs)
    check_contract(manifest, (release / "contract.yaml").read_bytes())
    check_blobs(release / "blobs", blobs)
    return manifest, blobs


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)


def main():
    parser = argparse.ArgumentParser(description="Verify an exported release with python-tuf and blake3.")
    parser.add_argument("release", type=Path, help="the folder that `syncd export` wrote")
    parser.add_argument("--root", type=Path, help="the root metadata that the partner pinned")
    parser.add_argument("--at", type=moment, help="the moment for which expiry dates are checked; now if left out")
    arguments = parser.parse_args()
    root = (arguments.root or arguments.release / "pinned.root.json").read_bytes()
    try:
        manifest, blobs = verify(arguments.release, root, arguments.at)
    except Exception as error:  # noqa: BLE001 - whatever python-tuf raises, the release is not verified
        print(f"NOT verified: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(
        f"verified: release {manifest['version']} from {manifest['main']} for {manifest['partner']}, "
        f"{len(manifest['entries'])} paths, {len(blobs)} blobs"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
