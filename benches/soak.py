#!/usr/bin/env python3
"""Lets `imgcopy watch` mirror 200 images between two registries for hours, in bad weather, and looks whether it
grows and whether what it says is true.

See README.md beside this file for how to run it and what it prints.
"""

import argparse
import collections
import contextlib
import csv
import json
import os
import platform
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import weather
from watched import Program, Webhook
from world import Registry, World, digest_of

ENDS_WITHIN = 5.0
"""How soon `watch` is to end after SIGTERM, in seconds."""

# What is sampled and must not grow: name, unit, what may be added to 10 %.
GROWTH = [("rss", "KiB", 2048), ("anonymous", "KiB", 2048), ("fds", "", 4), ("sockets", "", 4), ("threads", "", 4),
          ("temporary", "files", 2), ("unnamed", "files", 2), ("strays", "files", 2)]


def say(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


class Soak:
    def __init__(self, args, work, stack):
        self.args, self.work, self.rng = args, work, random.Random(args.seed)
        self.begun = time.monotonic()
        self.source, self.destination = Registry(work / "source"), Registry(work / "destination")
        self.world = World(self.source, self.destination, random.Random(args.seed + 1))
        self.weather, self.sky = weather.Weather(args.seed + 2), "calm"
        self.ways = weather.serve(self.weather, [self.source.port, self.destination.port])
        self.webhook = Webhook(random.Random(args.seed + 3))
        self.program = Program(args.imgcopy, work, args.interval)
        self.program.configure(self.world, [way.host for way in self.ways], self.webhook.address)
        self.files = {}
        for name in ("samples", "rounds"):
            self.files[name] = stack.enter_context(open(work / f"{name}.csv", "w", newline=""))
        self.writers, self.samples, self.seen = {}, [], None
        self.rounds, self.exits, self.wrong, self.checked = 0, collections.Counter(), [], 0
        self.statuses, self.texts, self.last = collections.Counter(), {}, None
        self.due, self.down_until, self.kills = {}, None, 0

    def note(self, name, row):
        if name not in self.writers:
            self.writers[name] = csv.DictWriter(self.files[name], list(row))
            self.writers[name].writeheader()
        self.writers[name].writerow(row)
        self.files[name].flush()

    def seconds(self):
        return time.monotonic() - self.begun

    def is_due(self, what, least, most):
        """Whether it is time for it again; the first time comes after one pause."""
        if what not in self.due:
            self.due[what] = self.seconds() + self.rng.uniform(least, most)
        if self.seconds() < self.due[what]:
            return False
        del self.due[what]
        return True

    def run(self):
        say(f"{len(self.world.images)} images at the source after {self.seconds():.0f} s")
        self.begun = time.monotonic()
        self.program.start()
        while self.seconds() < self.args.minutes * 60:
            self.step()
            time.sleep(0.25)

    def step(self, with_faults=True):
        if self.program.process.poll() is not None:
            sys.exit(f"imgcopy has ended ({self.program.process.returncode}); its last words:\n"
                     + self.program.log.read_text(errors="replace")[-3000:])
        if with_faults:
            self.change_weather()
            self.kill_or_start()
            if self.is_due("file", 100, 300):
                self.program.rewrite()
                if self.rng.random() < 0.5:
                    self.program.process.send_signal(signal.SIGHUP)
            if self.is_due("wrong file", 400, 900):
                self.program.rewrite(is_right=False)
                self.due["file"] = self.seconds() + 15
            if self.is_due("day", self.args.interval * 0.5, self.args.interval * 1.2):
                self.world.day()
        if self.is_due("sample", self.args.sample, self.args.sample):
            self.sample()
        self.hear()

    def sample(self):
        row = {"seconds": round(self.seconds()), "round": self.rounds, "sky": self.sky,
               "rests": int(not self.program.is_running()), **self.program.sample()}
        self.samples.append(row)
        self.note("samples", row)

    def change_weather(self):
        if self.is_due("weather", 40, 120):
            self.sky = self.rng.choices(list(weather.WEATHERS), [20, 45, 25, 10])[0]
            self.weather.odds = weather.WEATHERS[self.sky]

    def kill_or_start(self):
        if self.down_until is not None:
            if self.seconds() > self.down_until:
                self.destination.start()
                self.down_until = None
        elif self.is_due("kill", 100, 300):
            # While something goes on, nothing hurts else.
            if not self.program.is_running():
                self.due["kill"] = self.seconds()
                return
            self.destination.kill()
            self.kills += 1
            self.down_until = self.seconds() + self.rng.uniform(1, 15)

    def hear(self):
        """Reads the report of a round that has ended."""
        path = self.program.report
        found = path.stat().st_ino if path.exists() else None
        if found == self.seen:
            return
        self.seen, self.last = found, json.loads(path.read_text())
        self.rounds += 1
        totals = collections.Counter(row["status"] for row in self.last["rows"])
        self.statuses.update(totals)
        problems = self.last["run"].get("problems", [])
        failed = totals["failed"] + len(problems)
        self.exits["failed" if failed else "unfinished" if totals["deferred"] else "ok"] += 1
        for text in [*problems, *(row["reason"] for row in self.last["rows"] if row.get("reason"))]:
            count, example = self.texts.get(form(text), (0, text))
            self.texts[form(text)] = count + 1, example
        names = ("new", "updated", "same", "pruned", "skipped", "deferred", "failed")
        row = {"seconds": round(self.seconds()), "round": self.rounds, "sky": self.sky, "took": self.last["run"]["seconds"],
               "problems": len(problems), **{name: totals[name] for name in names}}
        self.note("rounds", row)
        if self.rounds % 5 == 1:
            say(", ".join(f"{name} {value}" for name, value in row.items()) + f"; {self.samples[-1:]}")
        for _ in range(40):
            if not self.program.is_running():
                self.sample()
                break
            time.sleep(0.1)
        if self.down_until is None:
            self.verify(self.last)

    def verify(self, report):
        """Whether what a round says to have done is so. Counts only if no other round goes on meanwhile."""
        removed, self.world.removed = self.world.removed, set()
        wrong, checked, prefix = [], 0, f"{self.ways[1].host}/mirror/"
        for row in report["rows"]:
            repository, _, tag = row["destination"].removeprefix(prefix).rpartition(":")
            if not row["destination"].startswith(prefix) or (repository, tag) in removed:
                continue
            if row["status"] not in ("new", "updated", "same", "pruned"):
                continue
            now = self.destination.digest(f"mirror/{repository}", tag)
            said = None if row["status"] == "pruned" else row.get("after") or row.get("sourceDigest")
            checked += 1
            if now != said:
                wrong.append(f"round {self.rounds}: {row['status']} {row['destination']}: {said}, is {now}")
        if not self.program.is_running() and self.same_report():
            self.checked += checked
            self.wrong += wrong
            for line in wrong:
                say(f"WRONG: {line}")

    def same_report(self):
        return self.program.report.stat().st_ino == self.seen

    # The end.

    def clear(self):
        """No faults any more. Waits until a round ends well and the destination has what the source has, and
        no more. Gives how many rounds that took, or None."""
        if self.down_until is not None:
            self.destination.start()
            self.down_until = None
        self.weather.odds, self.sky = 0.0, "clear"
        self.program.rewrite()
        # The one that goes on may have met faults yet.
        while self.program.is_running():
            self.step(with_faults=False)
            time.sleep(0.25)
        self.hear()
        first, last_heard = self.rounds, self.rounds
        while self.rounds < first + 8:
            self.step(with_faults=False)
            if self.rounds > last_heard:
                last_heard = self.rounds
                rows = self.last["rows"]
                bad = [row for row in rows if row["status"] in ("failed", "deferred")]
                say(f"clear round {self.rounds - first}: {len(bad)} of {len(rows)} failed or were put off")
                if not bad and not self.last["run"].get("problems") and not self.differences(quick=True):
                    return self.rounds - first
            time.sleep(0.25)
        return None

    def differences(self, quick=False):
        """How the destinations differ from the source."""
        found = []
        for repository in self.world.repositories():
            there = self.destination.tags(f"mirror/{repository}")
            wanted = {tag for of, tag in self.world.images if of == repository}
            extra = {tag for tag in there if not tag.endswith(".sig")} - wanted
            found += [f"mirror/{repository}:{tag} is there, and no source has it" for tag in sorted(extra)]
        if quick:
            return found
        blobs = set()
        for (repository, tag), (digest, _) in self.world.images.items():
            names = [(tag, digest)]
            if (repository, tag) in self.world.signed:
                signature = self.world.signed[repository, tag]
                names.append((signature, self.source.digest(repository, signature)))
            for name, wanted in names:
                found += self.differs(repository, name, wanted, blobs)
        return found + list(self.local_differences())

    def differs(self, repository, name, wanted, blobs):
        status, _, content = self.destination.ask("GET", f"/v2/mirror/{repository}/manifests/{name}")
        _, at_source = self.source.must(200, "GET", f"/v2/{repository}/manifests/{name}")
        if digest_of(at_source) != wanted:
            yield f"{repository}:{name} at the source is not what the script put there"
        if status != 200 or content != at_source:
            yield f"mirror/{repository}:{name} is not {wanted}: {status}, {digest_of(content)}"
            return
        document = json.loads(content)
        for one in [document["config"], *document["layers"]]:
            if (repository, one["digest"]) in blobs:
                continue
            blobs.add((repository, one["digest"]))
            status, _, content = self.destination.ask("GET", f"/v2/mirror/{repository}/blobs/{one['digest']}")
            if digest_of(content) != one["digest"]:
                yield f"{one['digest']} in mirror/{repository} is not there: {status}"

    def local_differences(self):
        directory, archive, docker = self.world.repositories()[:3]
        out = self.program.out
        with tarfile.open(out / f"{archive.replace('/', '-')}.tar") as tar:
            index_of_archive = json.load(tar.extractfile("index.json"))
        index = json.loads((out / directory.replace("/", "-") / "index.json").read_text())
        name = "org.opencontainers.image.ref.name"
        for repository, document in ((directory, index), (archive, index_of_archive)):
            there = {one["digest"] for one in document["manifests"] if name in one.get("annotations", {})}
            for (of, tag), (digest, _) in self.world.images.items():
                if of == repository and digest not in there:
                    yield f"{repository}:{tag} is not in the OCI directory or archive"
        with tarfile.open(out / f"{docker.replace('/', '-')}.tar") as tar:
            there = {re.search("[0-9a-f]{64}", one["Config"])[0] for one in json.load(tar.extractfile("manifest.json"))}
        for (of, tag), (_, config) in self.world.images.items():
            if of == docker and config[7:] not in there:
                yield f"{docker}:{tag} is not in the Docker archive"

    def end(self):
        """Ends the program. Gives what is wrong with how it ends."""
        begun = time.monotonic()
        self.program.process.terminate()
        try:
            code = self.program.process.wait(30)
        except subprocess.TimeoutExpired:
            return ["it does not end within 30 s of SIGTERM"]
        took, found = time.monotonic() - begun, []
        say(f"ended with {code} {took:.2f} s after SIGTERM")
        if code != 143:
            found.append(f"it ends with {code} on SIGTERM")
        if took > ENDS_WITHIN:
            found.append(f"it takes {took:.1f} s to end")
        left = [str(path) for path in self.program.temporary.rglob("*")]
        return found + [f"left behind: {path}" for path in left]


def form(text):
    """A message without what differs from one time to the next."""
    text = re.sub(r"(sha256[:-])?[0-9a-f]{64}", "DIGEST", text)
    text = re.sub(r"team-\d/app-\d+", "REPO", text)
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+(\.\d+)*", "N", text)


# Telling.


def grown(samples):
    """For each thing the medians of the second and of the last quarter, and whether that is too much. What it
    needs at work depends on the weather, so samples between rounds are compared."""
    resting = [row for row in samples if row["rests"]]
    quarter = len(resting) // 4
    for name, unit, slack in GROWTH if quarter else []:
        values = [row[name] for row in resting]
        before, after = (statistics.median(part) for part in (values[quarter:2 * quarter], values[-quarter:]))
        yield name, unit, before, after, max(row[name] for row in samples), after > before * 1.1 + slack


def tell(soak, rows, wrong):
    bad = soak.weather.broken
    print(f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}; {soak.args.minutes:g} minutes, seed "
          f"{soak.args.seed}; {soak.rounds} rounds: "
          + ", ".join(f"{count} {name}" for name, count in sorted(soak.exits.items()))
          + f"; {soak.weather.requests} requests, {sum(bad.values())} of them broken ("
          + ", ".join(f"{name} {count}" for name, count in bad.most_common())
          + f"); the destination was killed {soak.kills} times; tags: "
          + ", ".join(f"{count} {name}" for name, count in soak.world.done.items())
          + "; rows: " + ", ".join(f"{count} {name}" for name, count in soak.statuses.most_common())
          + f"; {soak.checked} of them held against the registry; webhook: {dict(soak.webhook.told)}.\n")
    print("| What | 2nd quarter | Last quarter | Most | Verdict |")
    print("| --- | ---: | ---: | ---: | --- |")
    for name, unit, before, after, most, is_worse in rows:
        print(f"| {name} | {before:g} {unit} | {after:g} {unit} | {most:g} {unit} | {'GROWS' if is_worse else 'stays'} |")
    print()
    print("\n".join(f"MISSED: {line}" for line in wrong) if wrong else "Nothing grows, and everything is there.")


def soak(args, work, stack):
    running = Soak(args, work, stack)
    running.run()
    rounds = running.clear()
    wrong = list(running.wrong)
    wrong += [f"{what} of {count} messages" for what, count in panics(running.program.log).items()]
    wrong += running.differences()
    if rounds is None:
        wrong.append("in clear weather no round ends well with everything pruned")
    else:
        say(f"everything done after {rounds} clear rounds")
    wrong += running.end()
    with open(work / "messages.txt", "w") as file:
        for text, (count, example) in sorted(running.texts.items(), key=lambda item: -item[1][0]):
            file.write(f"{count}\t{text}\n\t{example}\n")
    rows = list(grown(running.samples))
    if not rows:
        wrong.append("too few rounds to tell what grows")
    wrong += [f"{row[0]} grows from {row[2]:g} to {row[3]:g} {row[1]}" for row in rows if row[5]]
    tell(running, rows, wrong)
    return wrong


def panics(log):
    found = collections.Counter()
    with open(log, errors="replace") as lines:
        for line in lines:
            if "panicked" in line or "died" in line:
                found[line.strip()] += 1
    return found


def main():
    parser = argparse.ArgumentParser(description=" ".join(__doc__.split("\n\n")[0].split()))
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("imgcopy", nargs="?", default=str(here / "target/release/imgcopy"),
                        help="the imgcopy to soak [default: target/release/imgcopy]")
    parser.add_argument("--minutes", type=float, default=120, help="how long faults come [default: 120]")
    parser.add_argument("--interval", type=int, default=20, help="seconds from one round to the next [default: 20]")
    parser.add_argument("--sample", type=float, default=30, help="seconds between samples [default: 30]")
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with [default: 1]")
    parser.add_argument("--out", type=Path, help="work in this directory, which must not exist, and keep it")
    parser.add_argument("--keep", action="store_true", help="keep the temporary directory, and tell its name")
    args = parser.parse_args()
    for program in (args.imgcopy, "docker-registry"):
        if shutil.which(program) is None:
            parser.error(f"{program} is no program that can be run")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    work = args.out or Path(tempfile.mkdtemp(prefix="imgcopy-soak-"))
    try:
        work.mkdir(parents=True, exist_ok=args.out is None)
        with contextlib.ExitStack() as stack:
            wrong = soak(args, work.resolve(), stack)
    finally:
        if args.out is not None or args.keep:
            say(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
