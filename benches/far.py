"""Registries on this machine that answer after a while, for sync.py: as little work for each request as
can be, so that what is measured is the client.

Run by itself it serves as many as it is told on 127.0.0.1, writes their addresses as a line of JSON, and
then obeys lines of JSON on stdin, each answered by one:

    {"do": "delay", "seconds": 0.02}           how long every answer takes from now on
    {"do": "reset"}                            every registry holds the images, and nobody has asked anything
    {"do": "move", "host": 0, "images": [..]}  tags stand for something else there
    {"do": "counts"}                           how many requests each of them had, by method
    {"do": "tags"}                             what tags stand for, [[host, repository, tag, digest], ..]
"""

import asyncio
import collections
import hashlib
import json
import sys
from urllib.parse import parse_qs

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
REASONS = {200: "OK", 201: "Created", 202: "Accepted", 400: "Bad Request", 404: "Not Found"}


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Image:
    """Three small layers, two of them the same for all tags of a repository."""

    def __init__(self, repository, tag, generation=0):
        names = [f"{repository} base", f"{repository} more", f"{repository}:{tag} {generation}"]
        layers = [(name + "\n").encode() * 40 for name in names]
        diff_ids = [digest_of(layer) for layer in layers]
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }).encode()
        kind = "application/vnd.oci.image."

        def descriptor(media_type, content):
            return {"mediaType": kind + media_type, "digest": digest_of(content), "size": len(content)}

        self.blobs = {digest_of(content): content for content in [config, *layers]}
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("config.v1+json", config),
            "layers": [descriptor("layer.v1.tar", layer) for layer in layers],
        }).encode()
        self.digest = digest_of(self.manifest)


class Registry:
    def __init__(self):
        self.counts = collections.Counter()
        self.tags, self.manifests, self.blobs = {}, {}, {}

    def hold(self, repository, tag, image):
        self.tags[repository, tag] = image.digest
        self.manifests[repository, image.digest] = image.manifest
        for digest, content in image.blobs.items():
            self.blobs[repository, digest] = content

    def answer(self, method, target, body):
        """Status, headers and content."""
        self.counts[method] += 1
        path, _, query = target.partition("?")
        if path == "/v2/":
            return 200, {}, b"{}"
        repository, what, name = self.split(path)
        if what == "manifests":
            return self.manifest(method, repository, name, body)
        if what == "blobs" and name.startswith("uploads"):
            return self.upload(method, repository, parse_qs(query), body)
        if what == "blobs":
            return self.content(self.blobs.get((repository, name)), name, "application/octet-stream")
        if what == "referrers":
            return 200, {"Content-Type": "application/vnd.oci.image.index.v1+json"}, INDEX
        if what == "tags":
            tags = [tag for of, tag in self.tags if of == repository]
            return 200, {}, json.dumps({"name": repository, "tags": tags}).encode()
        return 404, {}, b"{}"

    @staticmethod
    def split(path):
        for what in ("manifests", "blobs", "referrers", "tags"):
            repository, found, name = path[4:].partition(f"/{what}/")
            if found:
                return repository, what, name
        return path, "", ""

    @staticmethod
    def content(content, digest, media_type):
        if content is None:
            return 404, {}, b'{"errors":[{"code":"NOT_FOUND"}]}'
        return 200, {"Docker-Content-Digest": digest, "Content-Type": media_type}, content

    def manifest(self, method, repository, name, body):
        if method == "PUT":
            digest = digest_of(body)
            parts = json.loads(body)
            for part in [parts["config"], *parts["layers"]]:
                if (repository, part["digest"]) not in self.blobs:
                    return 404, {}, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}'
            self.manifests[repository, digest] = body
            if not name.startswith("sha256:"):
                self.tags[repository, name] = digest
            location = f"/v2/{repository}/manifests/{digest}"
            return 201, {"Docker-Content-Digest": digest, "Location": location}, b""
        digest = self.tags.get((repository, name), name)
        return self.content(self.manifests.get((repository, digest)), digest, MANIFEST)

    def upload(self, method, repository, query, body):
        if method == "POST" and "mount" in query:
            digest = query["mount"][0]
            content = self.blobs.get((query.get("from", [""])[0], digest))
            if content is not None:
                self.blobs[repository, digest] = content
                return 201, {"Location": f"/v2/{repository}/blobs/{digest}"}, b""
        if method == "PUT":
            digest = query["digest"][0]
            if digest_of(body) != digest:
                return 400, {}, b'{"errors":[{"code":"DIGEST_INVALID"}]}'
            self.blobs[repository, digest] = body
            return 201, {"Location": f"/v2/{repository}/blobs/{digest}"}, b""
        return 202, {"Location": f"/v2/{repository}/blobs/uploads/1", "Range": "0-0"}, b""


class Connection(asyncio.Protocol):
    """One request after the other."""

    delay = 0.0

    def __init__(self, registry):
        self.registry, self.buffer = registry, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        while True:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", 0))
            if "100-continue" in headers.get("expect", "") and not rest:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            method, target, _ = first.split(" ")
            status, answered, content = self.registry.answer(method, target, rest[:length])
            lines = [f"HTTP/1.1 {status} {REASONS[status]}", f"Content-Length: {len(content)}"]
            lines += [f"{name}: {value}" for name, value in answered.items()]
            whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else content)
            asyncio.get_running_loop().call_later(self.delay, self.give, whole)

    def give(self, whole):
        if not self.transport.is_closing():
            self.transport.write(whole)


class World:
    """The registries, and what is wanted of them: [repository, tag, [[host, repository], ..]]."""

    def __init__(self, count, wanted):
        self.registries = [Registry() for _ in range(count)]
        self.wanted = wanted
        self.generation = 0

    def do(self, order):
        what = order["do"]
        if what == "delay":
            Connection.delay = order["seconds"]
        elif what == "reset":
            for registry in self.registries:
                registry.__init__()
            for repository, tag, places in self.wanted:
                image = Image(repository, tag)
                for host, to in [(0, repository), *places]:
                    self.registries[host].hold(to, tag, image)
        elif what == "move":
            self.generation += 1
            for repository, tag in order["images"]:
                self.registries[order["host"]].hold(repository, tag, Image(repository, tag, self.generation))
        elif what == "counts":
            return [dict(registry.counts) for registry in self.registries]
        elif what == "tags":
            return [[host, *name, digest] for host, registry in enumerate(self.registries)
                    for name, digest in registry.tags.items()]
        return None


async def serve():
    loop = asyncio.get_running_loop()
    begin = json.loads(sys.stdin.readline())
    world = World(begin["count"], begin["wanted"])
    world.do({"do": "reset"})
    hosts = []
    for registry in world.registries:
        server = await loop.create_server(lambda of=registry: Connection(of), "127.0.0.1", 0, backlog=512)
        hosts.append("127.0.0.1:%d" % server.sockets[0].getsockname()[1])
    print(json.dumps(hosts), flush=True)
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        print(json.dumps(world.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
