#!/usr/bin/env python3
"""Compares imgcopy with skopeo, crane, regctl and oras on copies from and to registries.

See README.md beside this file for how to run it and what it prints.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import queue
import random
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

MB = 1_000_000
MIB = 1 << 20

LAYERS = [150, 90, 50, 25, 10]
"""The sizes of the layers, in MB."""

DELAY = 0.010
"""How long each direction of a distant registry takes, in seconds."""

REPO = "bench/app"
NAME = f"{REPO}:1"

# Targets: copies, what, limit. Wall time is a ratio to the best peer, memory is in MiB.
TARGETS = [
    (["push", "copy", "pull", "distant copy"], "wall", 0.9),
    (["unchanged", "distant unchanged"], "wall", 0.5),
    (["push", "copy", "pull", "unchanged", "distant copy", "distant unchanged"], "memory", 48.0),
]
ROUND_TRIPS = 2
"""How many of them a distant unchanged copy may take after connecting."""


# The image.


def descriptor(media_type, content, **more):
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    return {"mediaType": media_type, "digest": digest, "size": len(content), **more}


def write_image(layout):
    """An OCI directory with an image of gzip layers that hardly compress: tar headers, and noise."""
    vendor = "application/vnd.oci.image"
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def keep(media_type, content):
        kept = descriptor(media_type, content)
        (blobs / kept["digest"].removeprefix("sha256:")).write_bytes(content)
        return kept

    layers, diff_ids = [], []
    for number, size in enumerate(LAYERS):
        header = tar_header(f"noise-{number}", size * MB)
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        noise = random.Random(number).randbytes(size * MB)
        plain = header + noise + bytes(-len(noise) % 512 + 1024)
        diff_ids.append("sha256:" + hashlib.sha256(plain).hexdigest())
        layers.append(keep(f"{vendor}.layer.v1.tar+gzip", packer.compress(plain) + packer.flush()))
    config = {
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = {
        "schemaVersion": 2, "mediaType": f"{vendor}.manifest.v1+json",
        "config": keep(f"{vendor}.config.v1+json", json.dumps(config).encode()), "layers": layers,
    }
    root = keep(manifest["mediaType"], json.dumps(manifest).encode())
    root["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    index = {"schemaVersion": 2, "manifests": [root]}
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text(json.dumps(index))


def tar_header(name, size):
    import tarfile

    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def in_child(work):
    """Runs something in a process of its own: the memory of this one counts in every child's peak."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:  # A forked child must never fall through to its parent's work.
            say(f"failed: {error!r}")
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(1)


def root_of(layout):
    return json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]


# Registries.


class Registry:
    """Debian's docker-registry on a free port, empty at first, in a directory that goes with it."""

    def __init__(self, work):
        self.home = Path(tempfile.mkdtemp(prefix="registry-", dir=work))
        self.log = self.home / "log"
        config = {
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(self.home / "data")}},
            "http": {"addr": "127.0.0.1:0", "secret": "of the bench"},
        }
        (self.home / "config.yml").write_text(json.dumps(config))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", self.home / "config.yml"], stdout=log, stderr=log)
        self.host = self.wait_for(rb"listening on ([0-9.:]+)")

    def wait_for(self, pattern):
        for _ in range(1000):
            found = re.search(pattern, self.log.read_bytes())
            if found:
                return found[1].decode()
            time.sleep(0.01)
        sys.exit(f"docker-registry does not start:\n{self.log.read_text()}")

    def requests(self):
        """How many requests it has answered."""
        return len(re.findall(rb'"(GET|HEAD|POST|PUT|PATCH|DELETE) /v2/', self.log.read_bytes()))

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.home)


@contextlib.contextmanager
def registries(work, count):
    started = [Registry(work) for _ in range(count)]
    try:
        yield started
    finally:
        for registry in started:
            registry.stop()


class Distance:
    """A way to a server that takes time in each direction. It has no limit of bandwidth, and
    connecting takes no time."""

    def __init__(self, host):
        name, port = host.split(":")
        self.far = (name, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.far)
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for ends in ((near, far), (far, near)):
                    on_the_way = queue.Queue(256)
                    for part, end in zip((self.take, self.give), ends):
                        threading.Thread(target=part, args=(end, on_the_way), daemon=True).start()

    @staticmethod
    def take(end, on_the_way):
        piece = b"begin"
        while piece:
            try:
                piece = end.recv(256 << 10)
            except OSError:
                piece = b""
            on_the_way.put((time.monotonic() + DELAY, piece))

    @staticmethod
    def give(end, on_the_way):
        is_open = True
        while True:
            due, piece = on_the_way.get()
            if not piece:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_WR)
                return
            time.sleep(max(0, due - time.monotonic()))
            if is_open:
                try:
                    end.sendall(piece)
                except OSError:
                    is_open = False


def serve_distances(hosts):
    """Ways to these servers, in a process of their own. Gives their addresses and what ends them."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ways = [Distance(host) for host in hosts]
            os.write(into, json.dumps([way.host for way in ways]).encode() + b"\n")
            while True:
                time.sleep(3600)
        finally:
            os._exit(1)
    os.close(into)
    with open(out) as told:
        hosts = json.loads(told.readline())

    def end():
        os.kill(child, 9)
        os.waitpid(child, 0)

    return hosts, end


# Tools.


class Tool:
    """A program, and how it is told to copy from one place to another."""

    def __init__(self, program, command):
        self.program, self.command = program, command

    def __call__(self, source, destination):
        return [self.program, *self.command(source, destination)]


# A place is ("oci", directory) or ("registry", host).


def like_skopeo(*begin):
    def text(place):
        kind, where = place
        return f"oci:{where}:1" if kind == "oci" else f"docker://{where}/{NAME}"

    return lambda source, destination: [*begin, text(source), text(destination)]


def crane(source, destination):
    (kind, where), (kind_to, to) = source, destination
    if kind == "oci":
        return ["push", str(where), f"{to}/{NAME}"]
    if kind_to == "oci":
        return ["pull", "--format=oci", f"{where}/{NAME}", str(to)]
    return ["copy", f"{where}/{NAME}", f"{to}/{NAME}"]


def regctl(source, destination):
    hosts = [f"--host=reg={where},tls=disabled" for kind, where in (source, destination) if kind != "oci"]

    def text(place):
        kind, where = place
        return f"ocidir://{where}:1" if kind == "oci" else f"{where}/{NAME}"

    return [*hosts, "image", "copy", text(source), text(destination)]


def oras(source, destination):
    options, names = [], []
    for side, (kind, where) in zip(("from", "to"), (source, destination)):
        options.append(f"--{side}-oci-layout" if kind == "oci" else f"--{side}-plain-http")
        names.append(f"{where}:1" if kind == "oci" else f"{where}/{NAME}")
    return ["cp", "--no-tty", *options, *names]


def find(name):
    """A program in PATH, or where Go installs programs."""
    return shutil.which(name) or shutil.which(Path.home() / "go/bin" / name)


def tools(imgcopy):
    plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    commands = {
        "skopeo": like_skopeo("--insecure-policy", "copy", "--quiet", *plain),
        "crane": crane,
        "regctl": regctl,
        "oras": oras,
    }
    found = {"imgcopy": Tool(imgcopy, like_skopeo("copy", "--quiet"))}
    for name, command in commands.items():
        program = find(name)
        if program is None:
            say(f"left out: {name} is not installed")
        else:
            found[name] = Tool(program, command)
    return found


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


class Bench:
    def __init__(self, work, found, taken):
        self.work, self.tools, self.taken = work, found, taken
        self.layout = work / "image"
        if not (self.layout / "index.json").exists():
            say(f"making {self.layout}")
            shutil.rmtree(self.layout, ignore_errors=True)
            in_child(lambda: write_image(self.layout))
        for path in self.layout.rglob("*"):  # Nobody is the one who reads it from the disk first.
            if path.is_file():
                with open(path, "rb") as file:
                    while file.read(MIB):
                        pass

    def take(self, what, name, source, destination, asked=()):
        """Measures one copy, with the requests that these registries got."""
        say(f"{name}: {what}")
        before = sum(registry.requests() for registry in asked)
        took = run(self.tools[name](source, destination))
        if took is not None:
            time.sleep(0.05)  # The log comes a little after the answers.
            took["requests"] = sum(registry.requests() for registry in asked) - before
            self.taken.setdefault((what, name), []).append(took)
        return took is not None

    def check(self, registry, name):
        """Exits unless the registry has the image: no tool is fast by leaving things out."""
        wanted = root_of(self.layout)
        back = self.work / "check"
        shutil.rmtree(back, ignore_errors=True)
        judge = self.tools["skopeo"]
        if run(judge(("registry", registry.host), ("oci", back))) is None or root_of(back) != wanted:
            sys.exit(f"{name} did not copy the image")
        shutil.rmtree(back)

    def of(self, name, thorough):
        """Every copy by one tool, into registries that have never seen the image."""
        image = ("oci", self.layout)
        with registries(self.work, 2) as (first, second):
            at = [("registry", registry.host) for registry in (first, second)]
            if not self.take("push", name, image, at[0], [first]):
                return
            if self.take("copy", name, *at, [first, second]):
                if thorough:
                    self.check(second, name)
                self.take("unchanged", name, *at, [first, second])
            pulled = self.work / "pulled"
            shutil.rmtree(pulled, ignore_errors=True)
            if self.take("pull", name, at[0], ("oci", pulled), [first]) and root_of(pulled) != root_of(self.layout):
                sys.exit(f"{name} did not copy the image")
            shutil.rmtree(pulled, ignore_errors=True)
            with registries(self.work, 1) as (third,):
                hosts, end = serve_distances([first.host, third.host])
                far = [("registry", host) for host in hosts]
                try:
                    if self.take("distant copy", name, *far, [first, third]):
                        self.take("distant unchanged", name, *far, [first, third])
                finally:
                    end()


def summary(takes):
    """Median times, and the worst of the rest."""
    return {
        "seconds": statistics.median(take["seconds"] for take in takes),
        "fastest": min(take["seconds"] for take in takes),
        "slowest": max(take["seconds"] for take in takes),
        "cpu": statistics.median(take["cpu"] for take in takes),
        "memory": max(take["memory"] for take in takes),
        "requests": max(take["requests"] for take in takes),
        "runs": len(takes),
    }


COPIES = ["push", "copy", "pull", "unchanged", "distant copy", "distant unchanged"]


# Telling.


def say(text):
    print(text, file=sys.stderr, flush=True)


def verdicts(copy, row, best, near):
    """Each target of imgcopy in a copy: its text, its value, and whether it is met."""
    values = {"wall": row["seconds"] / best, "memory": row["memory"]}
    units = {"wall": "x", "memory": " MiB"}
    for copies, what, limit in TARGETS:
        if copy in copies:
            value, unit = values[what], units[what]
            yield f"{what} <= {limit:g}{unit}", f"{value:.3g}{unit}", value <= limit
    if copy == "distant unchanged" and near is not None:
        # The fastest runs: whatever else a busy machine does only adds to them.
        trips = (row["fastest"] - near["fastest"]) / (2 * DELAY)
        yield f"round trips <= {ROUND_TRIPS}", f"{trips:.2f}", trips < ROUND_TRIPS + 0.5


def table(results, names):
    rows, missed = [], []
    for copy in COPIES:
        peers = [results[key]["seconds"] for key in results if key[0] == copy and key[1] != "imgcopy"]
        for name in names:
            row = results.get((copy, name))
            if row is None:
                rows.append([copy, name, *["-"] * 6, "failed"])
                if name == "imgcopy":
                    missed.append(f"MISSED: {copy}: imgcopy failed")
                continue
            targets = []
            if name == "imgcopy" and peers:
                for target, value, is_met in verdicts(copy, row, min(peers), results.get(("unchanged", name))):
                    targets.append(target if is_met else f"**{target}**")
                    if not is_met:
                        missed.append(f"MISSED: {copy}: {target}, is {value}")
            rows.append([
                copy, name, f"{row['seconds']:.3f}", f"{row['fastest']:.3f}-{row['slowest']:.3f}",
                f"{row['seconds'] / min(peers):.2f}" if peers else "-",
                f"{row['cpu']:.3f}", f"{row['memory']:.1f}", str(row["requests"]), "; ".join(targets),
            ])
    return rows, missed


HEAD = ["Copy", "Tool", "Wall s", "Range s", "To best peer", "CPU s", "Peak MiB", "Requests",
        "Targets (missed ones bold)"]


def print_table(rows):
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "|".join([" --- "] * 2 + [" ---: "] * 6 + [" --- "]) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("imgcopy", nargs="?", default=str(here / "target/release/imgcopy"),
                        help="the imgcopy to measure [default: target/release/imgcopy]")
    parser.add_argument("--runs", type=int, default=5, help="runs of each copy [default: 5]")
    parser.add_argument("--work", type=Path,
                        help="where the image is made and kept for the next time [default: a temporary directory]")
    parser.add_argument("--json", type=Path, help="write every run into a file, too")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    args = parser.parse_args()
    if args.runs < 1:
        parser.error("--runs must be at least 1")
    for program in [args.imgcopy, "docker-registry", "skopeo"]:
        if shutil.which(program) is None:
            parser.error(f"{program} is no program that can be run")
    with contextlib.ExitStack() as stack:
        if args.work is None:
            args.work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imgcopy-bench-")))
        args.work.mkdir(parents=True, exist_ok=True)
        missed = compare(args)
    sys.exit(1 if missed and args.check else 0)


def compare(args):
    """Measures, prints, and returns the lines about missed targets."""
    found, taken, before = tools(args.imgcopy), {}, os.getloadavg()[0]
    bench = Bench(args.work, found, taken)
    for number in range(args.runs):
        say(f"run {number + 1} of {args.runs}")
        # Each has its turn to be the first.
        names = list(found)
        at = number % len(names)
        for name in names[at:] + names[:at]:
            bench.of(name, thorough=number == 0)
    results = {key: summary(takes) for key, takes in taken.items()}
    rows, missed = table(results, found)
    print(f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}; load {before:.1f} "
          f"before, {os.getloadavg()[0]:.1f} after; {args.runs} runs. Peaks below {own_peak():.1f} MiB "
          "cannot be seen.\n")
    print_table(rows)
    print()
    print("\n".join(missed) if missed else "All targets are met.")
    if args.json is not None:
        everything = [{"copy": copy, "tool": name, "runs": takes} for (copy, name), takes in taken.items()]
        args.json.write_text(json.dumps({"results": everything, "missed": missed}, indent=2) + "\n")
    return missed


if __name__ == "__main__":
    main()
