"""The program that measures journals: building it, and running it on one core."""
import json
import os
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
CONTRACT = ROOT / "sites/nationwide/partners/harbor-shop/contract.yaml"
MEMORY = pathlib.Path("/dev/shm")


def build(*features):
    """The program, built with some features."""
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    target = pathlib.Path(target) / "bench"
    command = ["cargo", "build", "--release", "--quiet", "--locked", "--features", ",".join(features)]
    subprocess.run(command, cwd=HERE, env={**os.environ, "CARGO_TARGET_DIR": str(target)}, check=True)
    return target / "release/journal-bench"


def run(binary, *arguments):
    """The figures that it prints."""
    command = ["taskset", "-c", "0", str(binary), *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def in_folder(place, binary, action, *arguments):
    """The same, with a folder to work in: below `place`, or in memory."""
    place = place or (MEMORY if MEMORY.is_dir() else None)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as folder:
        return run(binary, action, folder, *arguments)


def show(figures, goals):
    """Prints figures, a line each, with what is to be reached."""
    for name, value in figures.items():
        told = f"{value:16,.2f}" if isinstance(value, float) else f"{value!s:>16}"
        print(f"{name:>34}: {told}" + (f"   to reach: {goals[name]:,}" if name in goals else ""))
