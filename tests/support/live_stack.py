"""A whole ChatAPI behind a port, with a scripted model: the code and the processes that ship.

`on_moto` is what `make test` runs: the functions and layers, built by their own Makefiles into one directory each as
`sam build` does, behind the real edge; moto, in a process of its own, is their AWS. `on_the_local_stack` is what
`make e2e` runs: `python -m local`, that is SAM CLI and MiniStack, with the scripted model in place of the built-in one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import boto3
import httpx

from chatapi.aws.client import AwsClient
from chatapi.aws.credentials import Credentials
from chatapi.catalogue import Catalogued
from chatapi.clock import SystemClock
from chatapi.keys import SCOPES
from chatapi.limits.admission import project_key
from chatapi.secrets import Secrets
from chatapi.store.dynamo import DynamoTable
from chatapi.store.items import Item
from chatapi.store.keys import locator_pk
from chatapi.store.projects import Limits, Projects
from chatapi.vault.dynamo import DynamoWraps
from local.aws import Deployed
from local.edge_config import edge_config
from local.ports import answers, free_port
from local.settings import (
    ACCESS_KEY_ID,
    REGION,
    ROOT,
    SECRET_ACCESS_KEY,
    STACK_NAME,
    TOOLS,
    Settings,
    build_parameters,
    template_parameters,
)
from local.template import BuiltTemplate
from tests.support.edge_stack import start_edge
from tests.support.moto_stack import create_stack
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.transformed import source

T = TypeVar("T")
MODEL = "smollm2-135m"
AMPLE = Limits(rpm=100_000, tpm=100_000_000, rpd=1_000_000, conc=20)


class Caller(NamedTuple):
    """A project and a key of it."""

    project: str
    api_key: str


@dataclass(frozen=True)
class Live:
    """A running stack: where it answers, the model behind it, and the operators' side of it."""

    base_url: str
    upstream: ScriptedUpstream
    log_dir: Path
    outputs: dict[str, str]
    client: Callable[[str], AwsClient]

    @cached_property
    def projects(self) -> Projects:
        """The operators' side of the Projects table."""
        secrets = Secrets(self.client("secretsmanager"))
        return Projects(
            Catalogued(self._projects_table(), "projects"),
            mint=secrets.get(self.outputs["MintSecret"]),
            pepper=secrets.get(self.outputs["KeyPepperSecret"]),
            clock=SystemClock(),
        )

    def project(
        self,
        limits: Limits = AMPLE,
        *,
        retention: str = "history",
        redact: str = "",
        scopes: Sequence[str] = SCOPES[:3],
    ) -> Caller:
        """A new project and its first key."""
        given = {"retention": retention, "redact": redact, "region": REGION}
        return Caller(*self.projects.create("contract", limits, **given, scopes=scopes))

    def item(self, project: str) -> Item:
        """The project's item as it is now."""
        item = self._projects_table().get(project_key(project))
        assert item is not None
        return item

    def settled(self, project: str) -> int:
        """Wait until no chat holds a slot of the project; the tokens that are debited to it by then."""
        item = until(lambda: self.item(project), lambda item: not item.get("inf"))
        return sum(item["tpmo"] - left for name, left in item.items() if name.startswith("m_"))

    def erase_key(self, project: str, completion: str) -> None:
        """Destroy the data key of a stored completion's subject and leave its rows, as an erasure has it half-way."""
        records = DynamoTable(self.client("dynamodb"), self.outputs["RecordsTable"])
        locator = records.get(locator_pk(project), completion)
        assert locator is not None
        subject = (project, locator["subject"], locator["generation"])
        wraps = DynamoWraps(self.client("dynamodb"), self.outputs["VaultTable"])
        wraps.freeze(*subject, "case")
        wraps.destroy(*subject, time.time(), "case")

    def arrived(self) -> list[dict[str, Any]]:
        """The edge's access log: a line for each request answered so far, in order."""
        # A line is written after its answer: a request of our own, without a route, comes behind those that count.
        marker = httpx.get(self.base_url, trust_env=False).headers["x-request-id"]

        def lines() -> list[dict[str, Any]]:
            log = (self.log_dir / "edge.log").read_text().splitlines()
            return [json.loads(line) for line in log if line.startswith("{")]  # the edge also says when it is ready

        found = until(lines, lambda lines: any(line["request_id"] == marker for line in lines))
        return [line for line in found if line["route"] is not None]

    def _projects_table(self) -> DynamoTable:
        return DynamoTable(self.client("dynamodb"), self.outputs["ProjectsTable"], sort=None)


def until(read: Callable[[], T], good: Callable[[T], bool], seconds: float = 20) -> T:
    """What `read` gives, once it is `good`."""
    deadline = time.monotonic() + seconds
    while not good(value := read()):
        assert time.monotonic() < deadline, value
        time.sleep(0.02)
    return value


@contextmanager
def on_moto(home: Path) -> Iterator[Live]:
    """The stack of this tree on moto, everything below `home`."""
    settings = Settings(port=free_port(), aws_port=free_port(), home=home)
    settings.logs.mkdir(parents=True)
    with ScriptedUpstream() as upstream, _moto(settings):
        parameters = template_parameters(settings, upstream.base_url)
        builds = _start_builds(settings)
        assert [build.args for build in builds if build.wait() != 0] == []
        until(lambda: answers(settings.aws_port, "/moto-api/"), bool, 60)
        _deploy(settings, parameters)
        deployed = Deployed(settings)
        config = home / "edge.json"
        template = BuiltTemplate(settings.template, parameters)
        config.write_text(json.dumps(edge_config(settings, template, parameters, deployed)))
        with start_edge(config) as edge:
            assert edge.stdout
            assert edge.stdout.readline().startswith("edge ready ")
            try:
                yield Live(
                    settings.base_url, upstream, settings.logs, deployed.outputs(), _client(settings.aws_endpoint)
                )
            finally:
                edge.terminate()
                _, errors = edge.communicate(timeout=20)
    assert errors == "", errors


@contextmanager
def on_the_local_stack(home: Path) -> Iterator[Live]:
    """`python -m local` in `home`, on free ports."""
    from tests.e2e.local_stack import LocalStack, assert_nothing_left

    with ScriptedUpstream() as upstream:
        os.environ["MODEL_URL"] = upstream.base_url
        try:
            starting = LocalStack(home).start()
        finally:
            del os.environ["MODEL_URL"]
        with starting as running:
            info = running.info
            yield Live(info.base_url, upstream, Path(info.log_dir), info.outputs, _client(info.aws_endpoint_url))
            groups = running.place.recorded()
            assert running.stop(signal.SIGINT) == 0, running.errors
        assert running.printed[-1].endswith("stopped\n")
        assert_nothing_left(running.place, groups)


def _client(endpoint: str) -> Callable[[str], AwsClient]:
    nobody = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None)

    def client(service: str) -> AwsClient:
        return AwsClient(service, region=REGION, endpoint=endpoint, credentials=lambda: nobody, timeout=10)

    return client


@contextmanager
def _moto(settings: Settings) -> Iterator[None]:
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(settings.aws_port)]
    with (settings.logs / "moto.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield
        finally:
            process.terminate()


def _start_builds(settings: Settings) -> list[subprocess.Popen[bytes]]:
    """What `sam build` does for a Makefile: `make build-ID` in the resource's directory; then the template names what
    was built. The third-party layer, which would take pip its time, is what local/setup.py keeps of the same lock."""
    assert (TOOLS / "layer").is_dir(), "the layer's packages are missing: python3 local/setup.py layer"
    template, builds = source(), []
    for name, resource in template["Resources"].items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind not in ("AWS::Serverless::Function", "AWS::Serverless::LayerVersion"):
            continue
        uri = "CodeUri" if kind.endswith("Function") else "ContentUri"
        place = ROOT / properties.get(uri, template["Globals"]["Function"]["CodeUri"])
        properties[uri] = name
        built = settings.build / name
        built.mkdir(parents=True)
        if name == "DepsLayer":
            (built / "python").symlink_to(TOOLS / "layer")
        else:
            version = f"RUNTIME={build_parameters()['PythonRuntime']}"
            command = ["make", "-s", f"build-{name}", f"ARTIFACTS_DIR={built}", f"PYTHON={sys.executable}", version]
            builds.append(subprocess.Popen(command, cwd=place))
    settings.template.write_text(json.dumps(template))  # JSON is YAML
    return builds


def _deploy(settings: Settings, parameters: dict[str, str]) -> None:
    session = boto3.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name=REGION)

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=settings.aws_endpoint)  # type: ignore[call-overload]

    create_stack(client, STACK_NAME, parameters)


__all__ = ["AMPLE", "MODEL", "Caller", "Live", "on_moto", "on_the_local_stack", "until"]
