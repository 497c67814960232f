#!/usr/bin/env python3
"""Verifies a partner's audit trail from outside: by docs/approval.md and c2sp.org/signed-note, with none of Tieup's code.

    pip install blake3 cryptography
    python3 verify_trail.py TRAIL SIGNED --key KEY --trail MAIN/PARTNER

TRAIL is the trail (audit.jsonl), SIGNED the partner's signature over it (audit.signed beside main's copy). KEY is the
verifier key of the partner's journal.

Exit status 0: the lines are those that the partner signed; the contracts are told that came into force by them.
1: they are not, and the first mistake is named.
"""

import argparse
import json
import sys
from pathlib import Path

from blake3 import blake3

from verify_journal import LOG, Key, Mistake

KIND = "tieup audit trail v1"


def digest(line):
    return "blake3:" + blake3(line.encode()).hexdigest()


def read(trail):
    """Every line of the trail as it stands there and what it says, once each has been found to continue the one before."""
    before, entries = digest(""), []
    for number, line in enumerate(trail.removesuffix("\n").split("\n")):
        entry = json.loads(line)
        if entry["number"] != number:
            raise Mistake(f"line {number} says that it is line {entry['number']}")
        if entry["before"] != before:
            raise Mistake(f"line {number} does not continue the one before it")
        before = digest(line)
        entries.append((line, entry))
    return entries


def signed(note, key, name):
    """How many lines are signed, the digest of the last of them, and when that was."""
    text, found, signatures = note.partition("\n\n")
    lines = [line.split(" ") for line in signatures.splitlines()]
    if not found or not any(line[:2] == ["\u2014", key.name] and key.made(line[2], text + "\n") for line in lines):
        raise Mistake("it is not signed by the partner's key")
    kind, trail, count, last, time = text.split("\n")
    if kind != KIND or trail != name:
        raise Mistake(f"what is signed is {kind!r} of {trail}")
    return int(count), last, time


def verify(options):
    key = Key(options.key, LOG)
    entries = read(options.file.read_text())
    count, last, time = signed(options.signed.read_text(), key, options.trail)
    if not 0 < count <= len(entries) or digest(entries[count - 1][0]) != last:
        raise Mistake(f"the {count} lines that were signed on {time} are others")
    for _, entry in entries[:count]:
        if entry["what"] == "contract-changed":
            print(f"in force with release {entry['release']}: {entry['reason']}")
    print(f"{count} of {len(entries)} lines are what {key.name} signed on {time}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("signed", type=Path)
    parser.add_argument("--key", required=True)
    parser.add_argument("--trail", required=True)
    try:
        verify(parser.parse_args())
    except (Mistake, OSError, ValueError, LookupError) as mistake:
        print(f"NOT verified: {mistake}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
