#!/usr/bin/env python3
"""Verifies a month's journal from outside: by the text of C2SP and docs/journal.md, with none of Tieup's code.

    pip install cryptography
    python3 verify_journal.py FOLDER --key KEY [--origin ORIGIN] [--cosigner KEY] [--earlier NOTE]...

FOLDER is a month's folder as Tieup writes it (entries, hashes-0, ..., checkpoint, cosigned), or the same log under the
paths of c2sp.org/tlog-tiles (checkpoint, cosigned as well, and tile/...). KEY is a verifier key of c2sp.org/signed-note. Each NOTE is a
checkpoint of the same log that was seen before: the log must begin with what it covers.

Exit status 0: everything is what the keys signed for. 1: it is not, and the first mistake is named.
"""

import argparse
import base64
import hashlib
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LOG, COSIGNER = 0x01, 0x04
FULL = 256


class Mistake(Exception):
    """What is wrong with the journal."""


class Key:
    """A verifier key: name+hash+base64(type and public key)."""

    def __init__(self, text, kind):
        self.name, identity, key = text.strip().split("+", 2)
        key = base64.b64decode(key, validate=True)
        if key[0] != kind or len(key) != 33:
            raise Mistake(f"{text} is no key of type {kind}")
        self.id = hashlib.sha256(self.name.encode() + b"\n" + key).digest()[:4]
        if self.id.hex() != identity:
            raise Mistake(f"the number of the key {self.name} does not fit")
        self.key = Ed25519PublicKey.from_public_bytes(key[1:])

    def made(self, signature, text):
        """Whether `signature`, as a note has it, is this key's over `text`."""
        signature = base64.b64decode(signature, validate=True)
        return signature[:4] == self.id and self.holds(signature[4:], text.encode())

    def holds(self, signature, message):
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Checkpoint:
    """A signed note of c2sp.org/tlog-checkpoint."""

    def __init__(self, note):
        body, _, lines = note.partition("\n\n")
        self.text = body + "\n"
        try:
            self.origin, size, root = body.split("\n")
            self.size, self.root = int(size), base64.b64decode(root, validate=True)
        except ValueError as error:
            raise Mistake(f"the checkpoint is malformed: {error}") from error
        if str(self.size) != size or self.size < 0 or len(self.root) != 32:
            raise Mistake("the checkpoint is malformed")
        self.signatures = []
        for line in lines.splitlines():
            mark, name, signature = line.split(" ")
            if mark != "\u2014":
                raise Mistake("the checkpoint's signatures are malformed")
            self.signatures.append((name, base64.b64decode(signature, validate=True)))

    def of(self, key):
        return [signature[4:] for name, signature in self.signatures if name == key.name and signature[:4] == key.id]

    def check(self, key):
        if not any(key.holds(signature, self.text.encode()) for signature in self.of(key)):
            raise Mistake("the checkpoint is not signed by the log's key")

    def check_cosigned(self, key):
        """c2sp.org/tlog-cosignature: eight bytes of time, then the signature over time and text."""
        for signature in self.of(key):
            time = int.from_bytes(signature[:8], "big")
            if key.holds(signature[8:], f"cosignature/v1\ntime {time}\n{self.text}".encode()):
                return time
        raise Mistake("the cosigned checkpoint is not signed by the cosigner's key")


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes):
    """RFC 6962, section 2.1, by the roots of full subtrees."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    peaks = []
    for number, entry in enumerate(hashes):
        while number & 1:
            entry, number = node(peaks.pop(), entry), number >> 1
        peaks.append(entry)
    root = peaks.pop()
    while peaks:
        root = node(peaks.pop(), root)
    return root


def split(data):
    """Entries, each with its length before it. What is cut off at the end is left out."""
    entries, at = [], 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at:at + 2], "big")
        if length == 0 or at + 2 + length > len(data):
            break
        entries.append(data[at + 2:at + 2 + length])
        at += 2 + length
    return entries


def index_path(index):
    digits = f"{index:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at:at + 3] for at in range(0, len(digits), 3)]
    return "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])


def tile(folder, level, index, width):
    path = folder / "tile" / str(level) / index_path(index)
    if width < FULL:
        path = path.with_name(path.name + ".p") / str(width)
    if not path.is_file():
        raise Mistake(f"{path.relative_to(folder)} is not there")
    return path.read_bytes()


def level_of(folder, level, count):
    """What is stored of a level: its first `count` hashes, or entries with their lengths."""
    if (folder / "tile").is_dir():
        widths = [FULL] * (count // FULL) + [count % FULL] * (count % FULL > 0)
        return b"".join(tile(folder, level, index, width) for index, width in enumerate(widths))
    name = "entries" if level == "entries" else f"hashes-{level}"
    path = folder / name
    return path.read_bytes() if path.is_file() else b""


def check_hashes(folder, hashes):
    """The stored hashes of every level, each of the roots of 256 of the level below."""
    level = 0
    while hashes:
        stored = level_of(folder, level, len(hashes))
        for number, entry in enumerate(hashes):
            if stored[number * 32:number * 32 + 32] != entry:
                what = f"entry {number} is not the one that was logged" if level == 0 else "a tile is damaged"
                raise Mistake(f"hash {number} of level {level} does not fit: {what}")
        hashes = [root_of(hashes[at:at + FULL]) for at in range(0, len(hashes) - len(hashes) % FULL, FULL)]
        level += 1


def check_earlier(earlier, checkpoint, hashes, key):
    earlier.check(key)
    if earlier.origin != checkpoint.origin:
        raise Mistake("the earlier checkpoint is of another log")
    if earlier.size > checkpoint.size:
        raise Mistake(f"the log was rolled back: it had {earlier.size} entries, and has {checkpoint.size}")
    if earlier.size == checkpoint.size and earlier.root != checkpoint.root:
        raise Mistake(f"the log forked: two checkpoints of {earlier.size} entries have different roots")
    if root_of(hashes[:earlier.size]) != earlier.root:
        raise Mistake(f"the log was rewritten: its first {earlier.size} entries have another root than before")


def verify(options):
    key = Key(options.key, LOG)
    checkpoint = Checkpoint((options.folder / "checkpoint").read_text())
    checkpoint.check(key)
    if options.origin is not None and checkpoint.origin != options.origin:
        raise Mistake(f"it is the log {checkpoint.origin}")
    entries = split(level_of(options.folder, "entries", checkpoint.size))
    if len(entries) < checkpoint.size:
        raise Mistake(f"the checkpoint covers {checkpoint.size} entries, and {len(entries)} are there")
    hashes = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries[:checkpoint.size]]
    check_hashes(options.folder, hashes)
    if root_of(hashes) != checkpoint.root:
        raise Mistake("entries and hashes agree, but not with the checkpoint")
    for note in options.earlier:
        check_earlier(Checkpoint(note.read_text()), checkpoint, hashes, key)
    cosigned = options.folder / ("checkpoint" if (options.folder / "tile").is_dir() else "cosigned")
    if options.cosigner is not None:
        if not cosigned.is_file():
            raise Mistake("nothing was cosigned")
        receipt = Checkpoint(cosigned.read_text())
        receipt.check_cosigned(Key(options.cosigner, COSIGNER))
        check_earlier(receipt, checkpoint, hashes, key)
    print(f"{checkpoint.origin}: {checkpoint.size} entries are what was signed for")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", required=True)
    parser.add_argument("--origin")
    parser.add_argument("--cosigner")
    parser.add_argument("--earlier", type=Path, action="append", default=[])
    try:
        verify(parser.parse_args())
    except (Mistake, OSError, ValueError) as mistake:
        print(f"NOT verified: {mistake}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
