"""A recording double of the W&B server: the real client talks to it, tests read what arrived.

It speaks the part of the protocol that a run needs: GraphQL, file streams and uploads, with
resume, artifacts and their use. `python tests/logger/wandb_server.py PORT` serves one by hand.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

ENTITY = "weaver"
KEY = "a" * 40
HISTORY, EVENTS = "wandb-history.jsonl", "wandb-events.jsonl"
SUMMARY, OUTPUT = "wandb-summary.json", "output.log"


@dataclass
class Artifact:
    """A version of a collection: who logged it, who used it, and what is in it."""

    id: str
    collection: str
    type: str
    digest: str
    metadata: dict[str, Any]
    aliases: list[str]
    logged_by: str
    used_by: list[str] = field(default_factory=list)
    state: str = "PENDING"
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def manifest(self) -> dict[str, Any]:
        """Entries by path, as the client has written them."""
        return json.loads(self.files["wandb_manifest.json"])["contents"]


@dataclass
class Recorded:
    """A run as the server knows it."""

    id: str
    project: str
    fields: dict[str, Any] = field(default_factory=dict)  # group, job type, tags ...
    configs: list[dict[str, Any]] = field(default_factory=list)  # each as it was sent
    streams: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    starts: int = 0
    exit_codes: list[int] = field(default_factory=list)

    @property
    def config(self) -> dict[str, Any]:
        """The newest config, without what the client adds of its own."""
        newest = {k: v["value"] for k, v in self.configs[-1].items()} if self.configs else {}
        return {k: v for k, v in newest.items() if k != "_wandb"}

    @property
    def stored_config(self) -> str:
        """The newest config as the server gives it back."""
        return json.dumps(self.configs[-1] if self.configs else {})

    @property
    def history(self) -> list[dict[str, Any]]:
        """Rows of numbers, in the order of their arrival."""
        return [json.loads(line) for line in self.streams.get(HISTORY, [])]

    @property
    def summary(self) -> dict[str, Any]:
        """The newest summary."""
        return json.loads((self.streams.get(SUMMARY) or ["{}"])[-1])

    def media(self, kind: str) -> dict[str, bytes]:
        """Files below media/KIND."""
        return {k: v for k, v in self.files.items() if k.startswith(f"media/{kind}/")}


class WandbServer:
    """The server and its records; `stop` and `start` make an outage."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.runs: dict[str, Recorded] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.calls: list[str] = []
        self.lock = threading.RLock()
        self.start()

    @property
    def url(self) -> str:
        """What WANDB_BASE_URL is set to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead a client here."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY, "WANDB_MODE": "online"}

    def start(self) -> None:
        """Serve, at the port of before if there was one."""
        handler = type("Handler", (_Handler,), {"double": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Go away: connections are refused from here on."""
        self.server.shutdown()
        self.server.server_close()

    def run(self) -> Recorded:
        """The only run."""
        (run,) = self.runs.values()
        return run

    def committed(self, kind: str) -> list[Artifact]:
        """Whole artifacts of a type."""
        return [a for a in self.artifacts.values() if a.type == kind and a.state == "COMMITTED"]

    # -- GraphQL: one method per operation; what is not known is answered with nothing

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of one operation."""
        found = re.search(r"\b(?:query|mutation)\s+(\w+)", query)
        name = found[1] if found else ""
        with self.lock:
            self.calls.append(name)
            operation = getattr(self, f"_{name}", None)
            return operation(**variables) if operation else {}

    def _Viewer(self, **_: Any) -> dict[str, Any]:
        return {"viewer": {"id": "v", "entity": ENTITY, "username": ENTITY, "flags": "{}",
                           "email": "w@example.org", "teams": {"edges": []}}}  # fmt: skip

    def _ServerFeaturesQuery(self, **_: Any) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _RunResumeStatus(self, name: str, project: str, **_: Any) -> dict[str, Any]:
        run = self.runs.get(name)
        model = {"id": project, "name": project, "entity": {"id": ENTITY, "name": ENTITY}}
        if run is None:
            return {"model": {**model, "bucket": None}}
        lines = {key: run.streams.get(key, []) for key in (HISTORY, EVENTS, OUTPUT)}
        return {"model": {**model, "bucket": {
            "id": name, "name": name, "displayName": run.fields.get("displayName"),
            "summaryMetrics": json.dumps(run.summary), "logLineCount": len(lines[OUTPUT]),
            "historyLineCount": len(lines[HISTORY]), "eventsLineCount": len(lines[EVENTS]),
            "historyTail": json.dumps(lines[HISTORY][-1:]), "tags": run.fields.get("tags") or [],
            "eventsTail": json.dumps(lines[EVENTS][-1:]), "notes": None,
            "config": run.stored_config,
            "wandbConfig": json.dumps({"t": {}}),
        }}}  # fmt: skip

    def _UpsertBucket(self, name: str, project: str, **given: Any) -> dict[str, Any]:
        inserted = name not in self.runs
        run = self.runs.setdefault(name, Recorded(name, project))
        run.fields |= {k: v for k, v in given.items() if v is not None and k != "config"}
        if given.get("config"):
            run.configs.append(json.loads(given["config"]))
        of = {"id": project, "name": project, "entity": {"id": ENTITY, "name": ENTITY}}
        bucket = {"id": name, "name": name, "displayName": run.fields.get("displayName"),
                  "description": None, "config": run.stored_config,
                  "sweepName": None, "project": of,
                  "historyLineCount": len(run.streams.get(HISTORY, []))}  # fmt: skip
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def _CreateRunFiles(self, project: str, run: str, files: list[str], **_: Any) -> dict:
        urls = [{"name": f, "uploadUrl": f"{self.url}/upload/run/{run}/{f}"} for f in files]
        return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": urls}}

    def _CreateArtifact(self, input: dict[str, Any]) -> dict[str, Any]:
        collection, digest = input["artifactCollectionName"], input["digest"]
        of_it = [a for a in self.artifacts.values() if a.collection == collection]
        same = [a for a in of_it if a.digest == digest]
        whole = [a for a in of_it if a.state == "COMMITTED"]
        aliases = [alias["alias"] for alias in input.get("aliases") or []]
        artifact = same[0] if same else Artifact(
            f"artifact{len(self.artifacts)}", collection, input["artifactTypeName"], digest,
            json.loads(input.get("metadata") or "{}"), aliases, input["runName"],
        )  # fmt: skip
        artifact.aliases = sorted({*artifact.aliases, *aliases})
        self.artifacts[artifact.id] = artifact
        latest = {"latestArtifact": {"id": whole[-1].id} if whole else None}
        made = {"id": artifact.id, "state": artifact.state, "artifactSequence": latest}
        return {"createArtifact": {"artifact": made}}

    def _ArtifactType(self, name: str, **_: Any) -> dict[str, Any]:
        named = [a for a in self.artifacts.values() if a.collection == name.partition(":")[0]]
        found = {"artifactType": {"name": named[-1].type}} if named else None
        return {"project": {"artifact": found}}

    def _CreateArtifactManifest(self, artifactID: str, **_: Any) -> dict[str, Any]:
        return {"createArtifactManifest": {"artifactManifest": self._manifest(artifactID)}}

    def _UpdateArtifactManifest(self, artifactManifestID: str, **_: Any) -> dict[str, Any]:
        return {"updateArtifactManifest": {"artifactManifest": self._manifest(artifactManifestID)}}

    def _manifest(self, artifact: str) -> dict[str, Any]:
        url = f"{self.url}/upload/artifact/{artifact}/wandb_manifest.json"
        return {"id": artifact, "file": {"id": "f", "uploadUrl": url, "uploadHeaders": []}}

    def _CreateArtifactFiles(self, input: dict[str, Any]) -> dict[str, Any]:
        nodes = [{
            "storagePath": None, "uploadHeaders": [], "uploadMultipartUrls": None,
            "artifact": {"id": wanted["artifactID"]},
            "uploadUrl": f"{self.url}/upload/artifact/{wanted['artifactID']}/{wanted['name']}",
        } for wanted in input["artifactFiles"]]  # fmt: skip
        return {"createArtifactFiles": {"files": {"edges": [{"node": n} for n in nodes]}}}

    def _CommitArtifact(self, artifactID: str) -> dict[str, Any]:
        artifact = self.artifacts[artifactID]
        artifact.state = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": artifactID, "digest": artifact.digest}}}

    def _UseArtifact(self, input: dict[str, Any]) -> dict[str, Any]:
        self.artifacts[input["artifactID"]].used_by.append(input["runName"])
        return {"useArtifact": {"artifact": {"id": input["artifactID"]}}}

    # -- streams and uploads

    def stream(self, run_id: str, body: dict[str, Any]) -> None:
        """Lines of a run's streams; each part says at which line it begins."""
        with self.lock:
            run = self.runs[run_id]
            for name, part in (body.get("files") or {}).items():
                begin = 0 if name == SUMMARY else part["offset"]
                run.streams.setdefault(name, [])[begin:] = part["content"]
            if body.get("complete"):
                run.exit_codes.append(body["exitcode"])

    def upload(self, kind: str, owner: str, name: str, content: bytes) -> None:
        """A file of a run or of an artifact."""
        with self.lock:
            holder = self.runs[owner] if kind == "run" else self.artifacts[owner]
            holder.files[name] = content


class _Handler(BaseHTTPRequestHandler):
    double: WandbServer

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, answer: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """GraphQL and file streams; whatever else the client tells is not for this double."""
        body, path = self._body(), unquote(self.path).split("/")
        if path[1] not in ("graphql", "files"):
            self._reply({}, 404)
        elif not self.headers.get("Authorization", "").strip():
            self._reply({"error": "no key"}, 401)
        elif path[1] == "graphql":
            asked = json.loads(body)
            self._reply({"data": self.double.answer(asked["query"], asked.get("variables") or {})})
        else:
            self.double.stream(path[-2], json.loads(body))
            self._reply({"exitcode": None, "limits": {}})

    def do_PUT(self) -> None:
        """A file, at an address given out before."""
        _, _, kind, owner, name = unquote(self.path).split("/", 4)
        self.double.upload(kind, owner, name, self._body())
        self._reply({})

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


if __name__ == "__main__":
    served = WandbServer(int(sys.argv[1]) if sys.argv[1:] else 0)
    print(*(f"export {k}={v}" for k, v in served.environment.items()), sep="\n", flush=True)
    threading.Event().wait()
