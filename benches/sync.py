#!/usr/bin/env python3
"""Measures nights of a large mirror: `imgcopy sync` beside plain HEADs of the same names, and `regsync`.

See README.md beside this file for how to run it and what it prints.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MIB = 1 << 20
WIDTH = 32
"""How many plain HEADs are on their way at once."""

REPOSITORIES, TAGS, TARGETS, HOSTS = 700, 2400, 7500, 3
"""The size of rancher/image-mirror."""

NIGHTS = ["HEADs", "unchanged", "1 % changed", "100 tags: HEADs", "100 tags"]


# What is mirrored.


def large():
    """[repository, tag, [[host, repository], ..]]: every tag goes to every destination, and those of some
    repositories to the first one twice. Host 0 is the source."""
    more = TARGETS - TAGS * HOSTS
    wanted = []
    for number in range(TAGS):
        # A few repositories have many tags, most have few.
        of = number if number < REPOSITORIES else int(REPOSITORIES * random.Random(number).random() ** 3)
        wanted.append([f"library/app-{of:03}", f"1.{number}"])
    # Entries are whole repositories, so those that go twice are taken until there are enough tags.
    tags = {}
    for repository, tag in wanted:
        tags.setdefault(repository, []).append(tag)
    twice = set()
    for repository in sorted(tags, key=lambda name: (-len(tags[name]), name)):
        if len(tags[repository]) <= more:
            twice.add(repository)
            more -= len(tags[repository])
    return [
        [repository, tag, [[host, f"mirror/{repository}"] for host in range(1, HOSTS + 1)]
         + ([[1, f"again/{repository}"]] if repository in twice else [])]
        for repository, tag in sorted(wanted)
    ]


def hundred():
    return [["team/app", f"1.{number}", [[1, "mirror/team/app"]]] for number in range(100)]


def entries(wanted):
    """By repository: its tags, and where they go."""
    found = {}
    for repository, tag, places in wanted:
        tags, _ = found.setdefault(repository, ([], places))
        tags.append(tag)
    return found


def for_imgcopy(wanted, hosts):
    """A sync.yaml. JSON is YAML."""
    images = [
        {"from": f"{hosts[0]}/{repository}", "tags": tags, "to": [f"{hosts[host]}/{to}" for host, to in places]}
        for repository, (tags, places) in entries(wanted).items()
    ]
    registries = {host: {"auth": "none", "tls": "off"} for host in hosts}
    return json.dumps({"version": 1, "registries": registries, "images": images}, indent=1)


def for_regsync(wanted, hosts):
    steps = [
        {"source": f"{hosts[0]}/{repository}", "target": f"{hosts[host]}/{to}", "type": "repository",
         "tags": {"allow": tags}}
        for repository, (tags, places) in entries(wanted).items() for host, to in places
    ]
    return json.dumps({
        "version": 1, "creds": [{"registry": host, "tls": "disabled", "reqConcurrent": 16} for host in hosts],
        "defaults": {"parallel": 16}, "sync": steps,
    }, indent=1)


class Far:
    """The registries of far.py, in a process of their own."""

    def __init__(self, wanted, seconds):
        program = [sys.executable, Path(__file__).with_name("far.py")]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.hosts = self.ask({"count": HOSTS + 1, "wanted": wanted})
        self.ask({"do": "delay", "seconds": seconds})
        self.wanted = wanted

    def ask(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def requests(self):
        return sum(count for host in self.ask({"do": "counts"}) for count in host.values())

    def check(self):
        """Exits unless every name stands for what it stands for at the source: nobody is fast by leaving
        things out."""
        tags = {(host, repository, tag): digest for host, repository, tag, digest in self.ask({"do": "tags"})}
        for repository, tag, places in self.wanted:
            for host, to in places:
                if tags[host, to, tag] != tags[0, repository, tag]:
                    sys.exit(f"{to}:{tag} is not what {repository}:{tag} is")

    def move(self, share):
        count = max(1, round(len(self.wanted) * share))
        images = random.Random(time.monotonic()).sample(self.wanted, count)
        self.ask({"do": "move", "host": 0, "images": [image[:2] for image in images]})

    def end(self):
        self.process.stdin.close()
        self.process.wait()


# Plain HEADs.


async def heads(hosts, names):
    """Every name once, WIDTH of them at a time, over connections that stay."""
    waiting = iter(names)

    async def worker():
        open_to = {}
        for host, repository, tag in waiting:
            if host not in open_to:
                name, port = hosts[host].split(":")
                open_to[host] = await asyncio.open_connection(name, int(port))
            reader, writer = open_to[host]
            writer.write(f"HEAD /v2/{repository}/manifests/{tag} HTTP/1.1\r\nHost: {hosts[host]}\r\n\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                sys.exit(f"{repository}:{tag} is not there: {answer[:60]}")
        for _, writer in open_to.values():
            writer.close()

    await asyncio.gather(*(worker() for _ in range(WIDTH)))


def plain(far):
    """The floor: how long it takes to ask for every name once."""
    names = []
    for repository, tag, places in far.wanted:
        names.append((0, repository, tag))
        names.extend((host, to, tag) for host, to in places)
    before, begun = far.requests(), time.monotonic()
    asyncio.run(heads(far.hosts, names))
    return {"seconds": time.monotonic() - begun, "requests": far.requests() - before, "cpu": 0, "memory": 0}


# Programs.


def run(far, command):
    before, begun = far.requests(), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode != 0:
        sys.exit(f"failed ({process.returncode}): {command}\n{errors[-2000:].decode(errors='replace')}")
    far.check()
    return {
        "seconds": seconds, "requests": far.requests() - before,
        "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * 1024 / MIB,
    }


def find(name):
    """A program in PATH, or where Go installs programs."""
    return shutil.which(name) or shutil.which(Path.home() / "go/bin" / name)


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(args, work, taken):
    def take(night, tool, took):
        say(f"{night}, {tool}: {took['seconds']:.2f} s, {took['requests']} requests, {took['memory']:.1f} MiB")
        taken.setdefault((night, tool), []).append(took)

    with contextlib.ExitStack() as stack:
        far = Far(large(), 0.020)
        stack.callback(far.end)
        near = Far(hundred(), 0.030)
        stack.callback(near.end)
        files = []
        for name, world in (("large", far), ("hundred", near)):
            files.append(work / f"{name}.yaml")
            files[-1].write_text(for_imgcopy(world.wanted, world.hosts))
        sync = [[args.imgcopy, "sync", file, "--quiet"] for file in files]
        for _ in range(args.runs):
            take("HEADs", "32 wide", plain(far))
            take("unchanged", "imgcopy", run(far, sync[0]))
            far.move(0.01)
            take("1 % changed", "imgcopy", run(far, sync[0]))
            take("100 tags: HEADs", "32 wide", plain(near))
            take("100 tags", "imgcopy", run(near, sync[1]))
        regsync = None if args.without_regsync else find("regsync")
        if regsync is None:
            say("left out: regsync")
            return
        # Minutes: once.
        for world, night in ((near, "100 tags"), (far, "unchanged")):
            file = work / "regsync.yaml"
            file.write_text(for_regsync(world.wanted, world.hosts))
            take(night, "regsync", run(world, [regsync, "once", "-c", file]))
        far.move(0.01)
        take("1 % changed", "regsync", run(far, [regsync, "once", "-c", file]))


# Telling.


def verdicts(results):
    """Each target: its text, its value, and whether it is met."""
    night, floor = results["unchanged", "imgcopy"], results["HEADs", "32 wide"]
    ratio = night["seconds"] / floor["seconds"]
    yield "unchanged <= 1.3 x HEADs", f"{ratio:.2f} x", ratio <= 1.3
    for name in ("unchanged", "1 % changed"):
        memory = results[name, "imgcopy"]["memory"]
        yield f"{name} < 100 MiB", f"{memory:.1f} MiB", memory < 100
    small = results["100 tags", "imgcopy"]
    yield "100 tags <= 202 requests", str(small["requests"]), small["requests"] <= 202
    yield "100 tags <= 0.5 s", f"{small['seconds']:.2f} s", small["seconds"] <= 0.5


def summary(takes):
    seconds = [take["seconds"] for take in takes]
    return {
        "seconds": statistics.median(seconds), "fastest": min(seconds), "slowest": max(seconds),
        "cpu": statistics.median(take["cpu"] for take in takes),
        "memory": max(take["memory"] for take in takes),
        "requests": max(take["requests"] for take in takes), "runs": len(takes),
    }


def tell(results):
    print("| Night | Tool | Runs | Wall s | Range s | CPU s | Peak MiB | Requests |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for (night, tool), row in sorted(results.items(), key=lambda item: NIGHTS.index(item[0][0])):
        used = [f"{row['cpu']:.2f}", f"{row['memory']:.1f}"] if row["memory"] else ["-", "-"]
        print("| " + " | ".join([
            night, tool, str(row["runs"]), f"{row['seconds']:.2f}",
            f"{row['fastest']:.2f}-{row['slowest']:.2f}", *used, str(row["requests"]),
        ]) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("imgcopy", nargs="?", default=str(here / "target/release/imgcopy"),
                        help="the imgcopy to measure [default: target/release/imgcopy]")
    parser.add_argument("--runs", type=int, default=3, help="runs of each night [default: 3]")
    parser.add_argument("--without-regsync", action="store_true", help="it takes minutes")
    parser.add_argument("--json", type=Path, help="write every run into a file, too")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    args = parser.parse_args()
    if args.runs < 1:
        parser.error("--runs must be at least 1")
    if shutil.which(args.imgcopy) is None:
        parser.error(f"{args.imgcopy} is no program that can be run")
    taken, before = {}, os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="imgcopy-bench-") as work:
        measure(args, Path(work), taken)
    results = {key: summary(takes) for key, takes in taken.items()}
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB
    print(f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}; load {before:.1f} "
          f"before, {os.getloadavg()[0]:.1f} after. Peaks below {own:.1f} MiB cannot be seen.\n")
    tell(results)
    print()
    missed = []
    for target, value, is_met in verdicts(results):
        print(f"{'met' if is_met else 'MISSED'}: {target}, is {value}")
        missed += [] if is_met else [target]
    if args.json is not None:
        everything = [{"night": night, "tool": tool, "runs": takes} for (night, tool), takes in taken.items()]
        args.json.write_text(json.dumps({"results": everything, "missed": missed}, indent=2) + "\n")
    sys.exit(1 if missed and args.check else 0)


if __name__ == "__main__":
    main()
