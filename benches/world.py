"""Two registries with what soak.py mirrors between them, and what happens to it by day."""

import collections
import contextlib
import ctypes
import hashlib
import http.client
import io
import json
import random
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zlib

KIND = "application/vnd.oci.image."
MANIFEST = KIND + "manifest.v1+json"
REPOSITORIES, TAGS = 40, 5


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


LIBC = ctypes.CDLL(None)


def dies_with_us():
    LIBC.prctl(1, signal.SIGKILL)


def start(command, **more):
    """A program that does not outlive this one. Only the main thread may call this."""
    return subprocess.Popen([str(word) for word in command], preexec_fn=dies_with_us, **more)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


class Registry:
    """Debian's docker-registry on a port that stays the same."""

    def __init__(self, home):
        self.port, self.home, self.process, self.connection = free_port(), home, None, None
        home.mkdir(parents=True)
        (home / "config.yml").write_text(json.dumps({
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(home / "data")}, "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{self.port}", "secret": "of the bench"},
        }))
        self.start()

    def start(self):
        with open(self.home / "log", "ab") as log:
            self.process = start(["docker-registry", "serve", self.home / "config.yml"], stdout=log, stderr=log)
        for _ in range(1000):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.01)
        sys.exit("docker-registry does not start")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ask(self, method, target, body=None, kind="application/octet-stream"):
        """Status, headers and content. Past the weather."""
        for is_last in (False, True):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                headers = {"Accept": f"{MANIFEST}, {KIND}index.v1+json"}
                if body is not None:
                    headers["Content-Type"] = kind
                self.connection.request(method, target, body, headers)
                answer = self.connection.getresponse()
                return answer.status, answer.headers, answer.read()
            except (OSError, http.client.HTTPException):
                self.connection.close()
                self.connection = None
                if is_last:
                    raise

    def must(self, expected, *request):
        status, headers, content = self.ask(*request)
        if status != expected:
            sys.exit(f"{request[:2]} was answered by {status}: {content[:300]!r}")
        return headers, content

    def push(self, repository, tag, image):
        for digest, content in image.blobs.items():
            if self.ask("HEAD", f"/v2/{repository}/blobs/{digest}")[0] != 200:
                place = self.must(202, "POST", f"/v2/{repository}/blobs/uploads/", b"")[0]["Location"]
                place = place[place.index("/v2/"):]
                self.must(201, "PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", content)
        self.must(201, "PUT", f"/v2/{repository}/manifests/{tag}", image.manifest, MANIFEST)

    def digest(self, repository, tag):
        """What a tag stands for; `None` if it is missing."""
        status, headers, _ = self.ask("HEAD", f"/v2/{repository}/manifests/{tag}")
        return headers["Docker-Content-Digest"] if status == 200 else None

    def remove(self, repository, tag):
        digest = self.digest(repository, tag)
        if digest is not None:
            # Pruning may have been faster.
            status = self.ask("DELETE", f"/v2/{repository}/manifests/{digest}")[0]
            if status not in (202, 404):
                sys.exit(f"{repository}:{tag} cannot be removed: {status}")

    def tags(self, repository):
        status, _, content = self.ask("GET", f"/v2/{repository}/tags/list")
        return set(json.loads(content)["tags"] or []) if status == 200 else set()


def layer(name, size):
    """A tar.gz with a file of noise. The same name gives the same bytes."""
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo(name.replace("/", "-").replace(":", "-").replace(" ", "-"))
        info.size = size
        tar.addfile(info, io.BytesIO(random.Random(name).randbytes(size)))
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return digest_of(tape.getvalue()), packer.compress(tape.getvalue()) + packer.flush()


def part(media_type, content):
    return {"mediaType": KIND + media_type, "digest": digest_of(content), "size": len(content)}


class Image:
    """Three layers: one that many repositories have, one of the repository, one of its own."""

    def __init__(self, repository, tag, generation=0):
        name = f"{repository}:{tag} {generation}"
        own = 1_500_000 if zlib.crc32(name.encode()) % 20 == 0 else 20_000 + zlib.crc32(name.encode()) % 150_000
        wanted = [(f"base {zlib.crc32(repository.encode()) % 3}", 400_000), (repository, 100_000), (name, own)]
        layers = [layer(*one) for one in wanted]
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "config": {"Labels": {"name": name}},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for diff_id, _ in layers]},
        }).encode()
        self.blobs = {digest_of(content): content for content in [config, *(content for _, content in layers)]}
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": part("config.v1+json", config),
            "layers": [part("layer.v1.tar+gzip", content) for _, content in layers],
        }).encode()
        self.digest, self.config = digest_of(self.manifest), digest_of(config)


class Signature:
    """As much of one as registries see: an image of one small layer."""

    def __init__(self, image):
        config = b'{"rootfs":{"type":"layers","diff_ids":[]}}'
        payload = json.dumps({"critical": {"image": {"docker-manifest-digest": image.digest}}}).encode()
        self.blobs = {digest_of(content): content for content in (config, payload)}
        simple = {**part("", payload), "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json"}
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": part("config.v1+json", config), "layers": [simple],
        }).encode()
        self.tag = image.digest.replace(":", "-") + ".sig"


class World:
    """What the source holds, and what happens to it and to the destination."""

    def __init__(self, source, destination, rng):
        self.source, self.destination, self.rng = source, destination, rng
        self.images, self.signed, self.generation, self.done = {}, {}, 0, collections.Counter()
        self.removed = set()
        for number in range(REPOSITORIES):
            for tag in range(TAGS):
                self.put(f"team-{number % 4}/app-{number:02}", f"1.{tag}")

    def repositories(self):
        return sorted({repository for repository, _ in self.images})

    def put(self, repository, tag):
        self.generation += 1
        image = Image(repository, tag, self.generation)
        self.source.push(repository, tag, image)
        self.images[repository, tag] = image.digest, image.config
        self.signed.pop((repository, tag), None)
        if self.rng.random() < 0.2:
            signature = Signature(image)
            self.source.push(repository, signature.tag, signature)
            self.signed[repository, tag] = signature.tag

    def day(self):
        """Something to do for the next night. Every tenth day nothing happens."""
        if self.rng.random() < 0.1:
            return
        for repository, tag in self.rng.sample(sorted(self.images), self.rng.randrange(5)):
            self.put(repository, tag)
            self.done["moved"] += 1
        if self.rng.random() < 0.3:
            self.replace()
        if self.rng.random() < 0.2:
            for repository, tag in self.rng.sample(sorted(self.images), self.rng.randrange(1, 4)):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    self.destination.remove(f"mirror/{repository}", tag)
                    self.removed.add((repository, tag))
                    self.done["lost at the destination"] += 1

    def replace(self):
        """A new tag in place of the oldest one of a repository."""
        repository = self.rng.choice(self.repositories())
        tags = sorted((int(tag[2:]) for of, tag in self.images if of == repository))
        self.put(repository, f"1.{tags[-1] + 1}")
        self.source.remove(repository, f"1.{tags[0]}")
        signature = self.signed.pop((repository, f"1.{tags[0]}"), None)
        if signature is not None:
            self.source.remove(repository, signature)
        del self.images[repository, f"1.{tags[0]}"]
        self.done["replaced"] += 1
