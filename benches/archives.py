#!/usr/bin/env python3
"""Compares imgcopy with skopeo on copies from an OCI directory into an archive for docker load.

See README.md beside this file for how to run it and what it prints.
"""

import argparse
import os
import platform
import shutil
import statistics
import sys
import tarfile
import tempfile
from pathlib import Path

import compare

LIMIT = 1 / 3
"""How much of skopeo's time a copy may take."""
MEMORY = 64.0
"""How much memory it may take, in MiB."""


def check(path, diff_ids):
    """Exits unless the archive holds these layers: no tool is fast by leaving things out."""
    with tarfile.open(path) as tar:
        names = {member.name: member.size for member in tar.getmembers() if member.isfile()}
    missing = [it for it in diff_ids if it.removeprefix("sha256:") + ".tar" not in names]
    if missing or "manifest.json" not in names:
        sys.exit(f"{path} does not hold the image: {missing}")


def measure(args, label, sizes):
    path, diff_ids = compare.archive(args.work, label, sizes)
    layout = args.work / (path.stem + ".layout")
    if not layout.exists():
        compare.run([args.imgcopy, "copy", "--quiet", f"docker-archive:{path}", f"oci:{layout}:x"])
    for blob in (layout / "blobs/sha256").iterdir():  # Nobody is the one who reads it from the disk first.
        with open(blob, "rb") as file:
            while file.read(compare.MIB):
                pass
    tools = {
        "imgcopy": [args.imgcopy, "copy", "--quiet"],
        "skopeo": [args.skopeo, "--insecure-policy", "copy", "--quiet"],
    }
    taken = {tool: [] for tool in tools}
    for number in range(args.runs):
        for tool, begin in tools.items():
            compare.say(f"run {number + 1} of {args.runs}: {tool}, {label}")
            out = args.work / "out"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            took = compare.run([*begin, f"oci:{layout}:x", f"docker-archive:{out / 'x.tar'}:bench:1"])
            if took is not None:
                check(out / "x.tar", diff_ids)
                taken[tool].append(took)
            shutil.rmtree(out)
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("imgcopy", nargs="?", default=str(here / "target/release/imgcopy"),
                        help="the imgcopy to measure [default: target/release/imgcopy]")
    parser.add_argument("--skopeo", default="skopeo", help="the skopeo to compare with [default: from PATH]")
    parser.add_argument("--runs", type=int, default=5, help="runs of each copy [default: 5]")
    parser.add_argument("--work", type=Path,
                        help="where images are made and kept for the next time [default: a temporary directory]")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    args = parser.parse_args()
    temporary = None
    if args.work is None:
        temporary = tempfile.TemporaryDirectory(prefix="imgcopy-bench-")
        args.work = Path(temporary.name)
    args.work.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} cores, {platform.machine()}, {compare.version(args.skopeo)}; {args.runs} runs\n")
    print("| Image | Tool | Wall s | To skopeo | CPU s | Peak MiB |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    missed = []
    for label, sizes in compare.ARCHIVES.items():
        taken = measure(args, label, sizes)
        wall = {tool: statistics.median(it["seconds"] for it in takes) for tool, takes in taken.items()}
        for tool, takes in taken.items():
            cpu = statistics.median(it["cpu"] for it in takes)
            memory = max(it["memory"] for it in takes)
            ratio = wall[tool] / wall["skopeo"]
            print(f"| {label} | {tool} | {wall[tool]:.3f} | {ratio:.3f} | {cpu:.3f} | {memory:.1f} |")
            if tool == "imgcopy" and (ratio > LIMIT or memory > MEMORY):
                missed.append(f"MISSED: {label}: {ratio:.3f} of skopeo's time, {memory:.1f} MiB")
    print()
    print("\n".join(missed) if missed else "All targets are met.")
    if temporary is not None:
        temporary.cleanup()
    sys.exit(1 if missed and args.check else 0)


if __name__ == "__main__":
    main()
