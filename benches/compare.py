#!/usr/bin/env python3
"""Compares imgcopy with skopeo on archives made from files of this machine.

See README.md beside this file for how to run it and what it prints.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

MB = 1_000_000
MIB = 1 << 20

ROOTS = ["/usr/lib", "/usr/share", "/usr/bin"]
"""Where the files of the layers come from."""

STRETCH = 8 * MIB
"""How much is taken from one root before it is the next one's turn: libraries, texts and programs
come in every layer, and files of one directory stay together, as in real layers."""

LARGEST_FILE = 64 * MIB
"""Larger files are left out: one of them would be a whole layer."""

ARCHIVES = {
    "300 MB": [140, 80, 50, 20, 10],
    "2 GB": [800, 300, 250, 180, 130, 110, 90, 60, 40, 25, 10, 5],
}
"""The sizes of the layers, in MB."""

# What is measured: the options of imgcopy, and of skopeo.
MODES = {
    "gzip": ([], []),
    "zstd": (["--compression", "zstd"], ["--dest-compress-format", "zstd"]),
    "none": (["--compression", "none"], ["--dest-oci-accept-uncompressed-layers"]),
}
REPEAT = "repeat"

# Targets: (mode, archive or None for every one, what, comparison, limit). Wall time and bytes are
# ratios to skopeo's default (gzip) run on the same archive; memory is in MiB, seconds in seconds.
TARGETS = [
    ("gzip", None, "wall", "<=", 0.45),
    ("gzip", None, "bytes", "<=", 1.06),
    ("zstd", None, "wall", "<=", 0.30),
    ("zstd", None, "bytes", "<", 1.0),
    ("none", None, "wall", "<=", 0.20),
    *((mode, None, "memory", "<", 64.0) for mode in [*MODES, REPEAT]),
    (REPEAT, "300 MB", "seconds", "<", 0.050),
]
UNITS = {"wall": "x", "bytes": "x", "memory": " MiB", "seconds": " s"}


# Archives.


def files_of(root):
    """The regular files below a root, always in the same order."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def contents():
    """Endless (name, bytes): the files of every root in turn, and when there are no more the same
    ones again under other names and with a changed byte."""
    round_ = 0
    while True:
        left = [files_of(root) for root in ROOTS]
        found = 0
        while left:
            for root in list(left):
                taken = 0
                while taken < STRETCH:
                    path = next(root, None)
                    if path is None:
                        left.remove(root)
                        break
                    content = read(path)
                    if content is None:
                        continue
                    name = path.lstrip("/")
                    if round_ > 0:
                        name = f"again-{round_}/{name}"
                        middle = len(content) // 2
                        content[middle] ^= round_ % 255 + 1
                    taken += len(content)
                    found += 1
                    yield name, content
        if found == 0:
            sys.exit(f"no file can be read below {', '.join(ROOTS)}")
        round_ += 1


def read(path):
    """The content of a file; None if it is of no use."""
    try:
        if not 0 < os.path.getsize(path) <= LARGEST_FILE:
            return None
        return bytearray(Path(path).read_bytes()) or None
    except OSError:
        return None


class Hashed(io.RawIOBase):
    """A file that is hashed while it is written."""

    def __init__(self, file):
        self.file = file
        self.sha256 = hashlib.sha256()

    def writable(self):
        return True

    def write(self, piece):
        self.sha256.update(piece)
        return self.file.write(piece)


def entry(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info


def write_layer(path, size, source):
    """Writes a tar of about `size` bytes of files. Returns its digest."""
    with open(path, "wb") as file:
        hashed = Hashed(file)
        with tarfile.open(fileobj=hashed, mode="w|", bufsize=MIB) as tar:
            written = 0
            while written < size:
                name, content = next(source)
                content = content[: size - written]
                tar.addfile(entry(name, len(content)), io.BytesIO(content))
                written += len(content)
    return "sha256:" + hashed.sha256.hexdigest()


def write_archive(path, sizes):
    """Writes what `docker save` would: layers, config, manifest.json. Returns the DiffIds."""
    source = contents()
    layer = path.with_suffix(".layer")
    diff_ids, names = [], []
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for size in sizes:
            diff_ids.append(write_layer(layer, size * MB, source))
            names.append(diff_ids[-1].removeprefix("sha256:") + "/layer.tar")
            with open(layer, "rb") as content:
                tar.addfile(entry(names[-1], layer.stat().st_size), content)
        layer.unlink()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        config = json.dumps(config).encode()
        image_id = hashlib.sha256(config).hexdigest()
        listed = [{"Config": f"{image_id}.json", "RepoTags": ["bench:1"], "Layers": names}]
        for name, content in [
            (f"{image_id}.json", config),
            ("manifest.json", json.dumps(listed).encode()),
        ]:
            tar.addfile(entry(name, len(content)), io.BytesIO(content))
    return diff_ids


def archive(work, label, sizes):
    """The archive, and its DiffIds; one that an earlier run left in the work directory serves."""
    path = work / (label.replace(" ", "").lower() + ".tar")
    note = path.with_suffix(".json")
    if not note.exists():
        say(f"making {path}")
        # In a process of its own: the memory of this one counts in every child's peak.
        child = os.fork()
        if child == 0:
            status = 1
            try:
                note.write_text(json.dumps(write_archive(path, sizes)))
                status = 0
            except BaseException as error:  # A forked child must never fall through to its parent's work.
                say(f"cannot make {path}: {error!r}")
            finally:
                os._exit(status)
        if os.waitpid(child, 0)[1] != 0:
            sys.exit(1)
    return path, json.loads(note.read_text())


# Measuring.


def run(command):
    """Runs a command to its end: what it took, or None if it failed."""
    os.sync()  # Nobody pays for what somebody else wrote.
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode != 0:
        say(f"failed ({process.returncode}): {' '.join(command)}\n{errors.decode(errors='replace')}")
        return None
    return {
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * 1024 / MIB,
    }


def own_peak():
    """The peak memory of this process in MiB, which Linux counts in that of every program it starts."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


def size_of(directory):
    """How many bytes the blobs of an OCI directory have."""
    return sum(path.stat().st_size for path in (directory / "blobs").rglob("*") if path.is_file())


def check(directory, diff_ids):
    """Exits unless the directory holds the image: no tool is fast by leaving things out."""

    def blob(descriptor):
        return directory / "blobs" / descriptor["digest"].replace(":", "/")

    index = json.loads((directory / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]).read_text())
    # Not by the image ID: skopeo writes the config anew.
    config = json.loads(blob(manifest["config"]).read_text())
    layers = manifest["layers"]
    right = (
        config["rootfs"]["diff_ids"] == diff_ids
        and len(layers) == len(diff_ids)
        and all(blob(layer).stat().st_size == layer["size"] for layer in layers)
    )
    if not right:
        sys.exit(f"{directory} does not hold the image")


def measure(tools, work, path, diff_ids, runs):
    """Runs of every tool in every mode: {(tool, mode): [what it took]}."""
    taken = {}
    for number in range(runs):
        for mode, options in MODES.items():
            out = {tool: work / f"out-{tool}" for tool in tools}
            for directory in out.values():
                shutil.rmtree(directory, ignore_errors=True)
            steps = [mode, REPEAT] if mode == "gzip" else [mode]
            for step in steps:
                for (tool, begin), own in zip(tools.items(), options):
                    say(f"run {number + 1} of {runs}: {tool}, {step}")
                    reference = [f"docker-archive:{path}", f"oci:{out[tool]}:x"]
                    took = run([*begin, *own, *reference])
                    if took is None:
                        continue
                    check(out[tool], diff_ids)
                    took["bytes"] = size_of(out[tool])
                    taken.setdefault((tool, step), []).append(took)
            for directory in out.values():
                shutil.rmtree(directory, ignore_errors=True)
    return taken


def summary(takes):
    """Median times, and the worst memory."""
    sizes = {take["bytes"] for take in takes}
    return {
        "seconds": statistics.median(take["seconds"] for take in takes),
        "fastest": min(take["seconds"] for take in takes),
        "slowest": max(take["seconds"] for take in takes),
        "cpu": statistics.median(take["cpu"] for take in takes),
        "memory": max(take["memory"] for take in takes),
        "bytes": max(sizes),
        "same": len(sizes) == 1,
        "runs": len(takes),
    }


# Telling.


def say(text):
    print(text, file=sys.stderr, flush=True)


def met(value, comparison, limit):
    return value <= limit if comparison == "<=" else value < limit


def verdicts(label, mode, row, base):
    """Each target of imgcopy in a mode: its text, its value, and whether it is met."""
    values = {
        "wall": row["seconds"] / base["seconds"],
        "bytes": row["bytes"] / base["bytes"],
        "memory": row["memory"],
        "seconds": row["seconds"],
    }
    for target_mode, only, what, comparison, limit in TARGETS:
        if target_mode == mode and only in (None, label):
            value, unit = values[what], UNITS[what]
            target = f"{what} {comparison} {limit:g}{unit}"
            yield target, f"{value:.3g}{unit}", met(value, comparison, limit)


def table(label, results):
    """Markdown rows of one archive, and a line for each missed target."""
    base = results[("skopeo", "gzip")]
    rows, missed = [], []
    for mode in [*MODES, REPEAT]:
        for tool in ["imgcopy", "skopeo"]:
            row = results.get((tool, mode))
            if row is None:
                rows.append([label, mode, tool, *["-"] * 8, "failed"])
                if tool == "imgcopy":
                    missed.append(f"MISSED: {label}, {mode}: imgcopy failed")
                continue
            targets = []
            if tool == "imgcopy":
                for target, value, is_met in verdicts(label, mode, row, base):
                    targets.append(target if is_met else f"**{target}**")
                    if not is_met:
                        missed.append(f"MISSED: {label}, {mode}: {target}, is {value}")
                if not row["same"]:
                    missed.append(f"MISSED: {label}, {mode}: every run writes the same bytes")
            rows.append([
                label, mode, tool,
                f"{row['seconds']:.3f}", f"{row['fastest']:.3f}-{row['slowest']:.3f}",
                f"{row['seconds'] / base['seconds']:.3f}",
                f"{row['cpu']:.3f}", f"{row['cpu'] / base['cpu']:.3f}",
                f"{row['memory']:.1f}",
                f"{row['bytes'] / MB:.1f}", f"{row['bytes'] / base['bytes']:.3f}",
                "; ".join(targets),
            ])
    return rows, missed


HEAD = [
    "Archive", "Copy", "Tool", "Wall s", "Range s", "Wall ratio", "CPU s", "CPU ratio",
    "Peak MiB", "Written MB", "Written ratio", "Targets (missed ones bold)",
]


def print_table(rows):
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "|".join([" --- "] * 3 + [" ---: "] * 8 + [" --- "]) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def version(command):
    out = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    return out.stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("imgcopy", nargs="?", default=str(here / "target/release/imgcopy"),
                        help="the imgcopy to measure [default: target/release/imgcopy]")
    parser.add_argument("--skopeo", default="skopeo", help="the skopeo to compare with [default: from PATH]")
    parser.add_argument("--runs", type=int, default=5,
                        help="runs of each copy [default: 5]; the large archive gets at most 3")
    parser.add_argument("--small-only", action="store_true", help="leave the large archive out")
    parser.add_argument("--work", type=Path,
                        help="where archives are made and kept for the next time [default: a temporary directory]")
    parser.add_argument("--json", type=Path, help="write every run into a file, too")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    args = parser.parse_args()
    if args.runs < 1:
        parser.error("--runs must be at least 1")
    for tool in [args.imgcopy, args.skopeo]:
        if shutil.which(tool) is None:
            parser.error(f"{tool} is no program that can be run")

    temporary = None
    if args.work is None:
        temporary = tempfile.TemporaryDirectory(prefix="imgcopy-bench-")
        args.work = Path(temporary.name)
    args.work.mkdir(parents=True, exist_ok=True)
    try:
        missed = compare(args)
    finally:
        if temporary is not None:
            temporary.cleanup()
    sys.exit(1 if missed and args.check else 0)


def compare(args):
    """Measures, prints, and returns the lines about missed targets."""
    tools = {
        "imgcopy": [args.imgcopy, "copy", "--quiet"],
        "skopeo": [args.skopeo, "--insecure-policy", "copy", "--quiet"],
    }
    before = os.getloadavg()[0]
    rows, missed, everything = [], [], []
    for label, sizes in ARCHIVES.items():
        if args.small_only and label != "300 MB":
            continue
        path, diff_ids = archive(args.work, label, sizes)
        with open(path, "rb") as file:  # Nobody is the one who reads it from the disk first.
            while file.read(MIB):
                pass
        runs = args.runs if label == "300 MB" else min(args.runs, 3)
        taken = measure(tools, args.work, path, diff_ids, runs)
        if ("skopeo", "gzip") not in taken:
            sys.exit("skopeo's default run failed: there is nothing to compare with")
        results = {key: summary(takes) for key, takes in taken.items()}
        more_rows, more_missed = table(label, results)
        rows += more_rows
        missed += more_missed
        for (tool, mode), takes in taken.items():
            everything.append({"archive": label, "tool": tool, "mode": mode, "runs": takes})
    print(f"{version(args.imgcopy)} and {version(args.skopeo)}; {os.cpu_count()} cores, "
          f"{platform.machine()}, Linux {platform.release()}; load {before:.1f} before, "
          f"{os.getloadavg()[0]:.1f} after. Ratios are to skopeo's gzip run; peaks below "
          f"{own_peak():.1f} MiB cannot be seen.\n")
    print_table(rows)
    print()
    print("\n".join(missed) if missed else "All targets are met.")
    if args.json is not None:
        args.json.write_text(json.dumps({"results": everything, "missed": missed}, indent=2) + "\n")
    return missed


if __name__ == "__main__":
    main()
