"""`imgcopy watch` as soak.py runs it, and what can be seen of it from outside."""

import collections
import contextlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from world import start

WANTED = re.compile(r"[^.].*\.(json|prom|tar)|oci-layout|lock|verified")
"""The names of files that belong to what imgcopy writes. All others are temporary."""


class Webhook:
    """Takes what it is told, and fails now and then."""

    def __init__(self, rng):
        told = self.told = collections.Counter()

        class Take(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                status = 503 if rng.random() < 0.1 else 204
                told[status] += 1
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Take)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = "http://127.0.0.1:%d/hook" % self.server.server_address[1]


class Program:
    """`imgcopy watch` in directories of its own."""

    def __init__(self, imgcopy, work, interval):
        self.work, self.out, self.temporary = work, work / "out", work / "tmp"
        self.state, self.log, self.report = work / "state", work / "watch.log", work / "report" / "last.json"
        for directory in (self.out, self.temporary, self.state, self.report.parent, work / "home"):
            directory.mkdir(parents=True)
        self.file, self.notes = work / "sync.yaml", 0
        self.command = [imgcopy, "watch", self.file, "--once-now", "--interval", f"{interval}s",
                        "--listen", "127.0.0.1:0", "--report", self.report, "--timeout", "5s",
                        "--retry-delay", "200ms", "--max-retry-wait", "10s"]

    def configure(self, world, hosts, webhook):
        images = []
        for number, repository in enumerate(world.repositories()):
            to = [hosts[1] + "/mirror/{repo}"]
            name = repository.replace("/", "-")
            if number < 3:
                kinds = [f"oci:{self.out}/{name}", f"oci-archive:{self.out}/{name}.tar",
                         f"docker-archive:{self.out}/{name}.tar"]
                to.append(kinds[number])
            images.append({"from": f"{hosts[0]}/{repository}", "tags": "*", "to": to})
        self.config = {
            "version": 1, "registries": {host: {"auth": "none", "tls": "off"} for host in hosts}, "images": images,
            "prune": {"mode": "delete", "max": "60%", "grace": "30s"}, "state": str(self.state),
            "notify": [{"webhook": webhook, "when": ["always"]}],
            "metrics": {"textfile": str(self.report.parent / "metrics.prom")},
        }
        self.rewrite()

    def rewrite(self, is_right=True):
        self.notes += 1
        config = {**self.config, "x-note": self.notes}
        if not is_right:
            config["colour"] = "blue"
        self.file.write_text(json.dumps(config, indent=1))

    def start(self):
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "RUST_BACKTRACE") if name in os.environ}
        environment = {**kept, "HOME": str(self.work / "home"), "TMPDIR": str(self.temporary)}
        with open(self.log, "wb") as log:
            self.process = start(self.command, stdout=log, stderr=log, env=environment, stdin=subprocess.DEVNULL)
        for _ in range(500):
            found = re.search(rb"listening on ([0-9.:]+)", self.log.read_bytes())
            if found:
                self.host = found[1].decode()
                return
            time.sleep(0.02)
        sys.exit(f"imgcopy does not start:\n{self.log.read_text()}")

    def metrics(self):
        """It answers at all times, however it is kept busy."""
        try:
            with urllib.request.urlopen(f"http://{self.host}/metrics", timeout=60) as answer:
                lines = answer.read().decode().splitlines()
        except TimeoutError:
            sys.exit("MISSED: imgcopy stands still: /metrics has no answer for a minute")
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    def is_running(self):
        return self.metrics()["imgcopy_running"] == 1

    def sample(self):
        """What /proc says of it, and what lies about."""
        proc = Path("/proc") / str(self.process.pid)
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        fds, sockets, unnamed, unnamed_bytes = 0, 0, 0, 0
        for link in (proc / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(link)
                fds += 1
                sockets += target.startswith("socket:")
                if target.endswith(" (deleted)") and target.startswith("/") and not target.startswith("/memfd"):
                    unnamed += 1
                    unnamed_bytes += os.stat(link).st_size
        ticks = (proc / "stat").read_text().rpartition(")")[2].split()
        temporary = [path for path in self.temporary.rglob("*") if path.is_file()]
        strays = [path for place in (self.out, self.state, self.report.parent) for path in place.rglob("*")
                  if path.is_file() and "blobs" not in path.parts and not WANTED.fullmatch(path.name)]
        return {
            "rss": kib(status["VmRSS"]), "anonymous": kib(status["RssAnon"]), "peak": kib(status["VmHWM"]),
            "fds": fds, "sockets": sockets, "threads": int(status["Threads"]),
            "temporary": len(temporary), "temporary_bytes": sum(size(path) for path in temporary),
            "unnamed": unnamed, "unnamed_bytes": unnamed_bytes, "strays": len(strays),
            "cpu": (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK"),
        }


def kib(text):
    return int(text.split()[0])


def size(path):
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
