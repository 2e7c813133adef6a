"""`chatapi mail list | answered`: what waits for the officer. `chatapi mail receive FILE.eml`: hand a mail to the
intake as SES does, on the local stack or on AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from email.utils import getaddresses
from pathlib import Path
from typing import Annotated, Any

import typer

from chatapi.errors import NotFound
from chatapi.ids import random62
from chatapi.store.cases import Case, NotAllowed
from chatapi_cli.say import Request, Stack, fail
from chatapi_cli.target import Target, TargetError, find
from privacy.intake.service import ANSWERED, INTAKE
from privacy.waiting import waits

MAX_BYTES = 40 * 1024 * 1024
"""What SES receives at most (Amazon SES Developer Guide, "Service quotas")."""

mail_app = typer.Typer(no_args_is_help=True, help="Mail to the data protection officer.")
Verdict = Annotated[str, typer.Option(help="What SES would find: PASS, FAIL, GRAY or PROCESSING_FAILED.")]


@mail_app.command("receive")
def receive(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A mail (RFC 5322).")],
    spf: Verdict = "PASS",
    dkim: Verdict = "PASS",
    dmarc: Verdict = "PASS",
    spam: Verdict = "PASS",
    virus: Verdict = "PASS",
    stack: Stack = None,
) -> None:
    """Put a mail into the intake's bucket and run its function on it. Prints {"request", "outcome"}."""
    if file.stat().st_size > MAX_BYTES:
        raise TargetError("a mail has at most 40 MB")
    target, body, name = find(stack), file.read_bytes(), random62(40)
    _s3(target).put_object(Bucket=target.output("MailBucket"), Key=f"inbound/{name}", Body=body)
    words = {"spf": spf, "dkim": dkim, "dmarc": dmarc, "spam": spam, "virus": virus}
    receipt = {f"{check}Verdict": {"status": word} for check, word in words.items()}
    mail = {"messageId": name, "source": _envelope(body), "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ")}
    event = {"Records": [{"eventSource": "aws:ses", "ses": {"mail": mail, "receipt": receipt}}]}
    path = f"/2015-03-31/functions/{target.output('MailFunction')}/invocations"
    headers = {"content-type": "application/json"}
    # A cold function takes its time, and what was sent and not answered is not repeated.
    status, answered, response = target.client("lambda").open(
        "POST", path, json.dumps(event).encode(), headers, timeout=40
    )
    result = response.read()
    if status != 200 or answered.get("x-amz-function-error"):
        raise TargetError("the intake failed; its log names the error's type and place")
    typer.echo(json.dumps(json.loads(result)))


@mail_app.command("list")
def listed(stack: Stack = None) -> None:
    """Requests by mail, or of agents, that wait until it is known who asks; one JSON object a line. `mails` are objects
    of the stack's MailBucket, which keeps them for seven days."""
    target = find(stack)
    for case in _open(target):
        mails = [f"s3://{target.output('MailBucket')}/{name}" for name in case.get("mails", ())]
        typer.echo(json.dumps({"request": case.id, "asks": case.get("asks"), "at": case.created, "mails": mails}))


def _open(target: Target) -> Iterator[Case]:
    after, more = None, True
    while more:
        page, more = target.cases().list(INTAKE, after, 100)
        yield from filter(waits, page)
        after = page[-1].id if page else None


@mail_app.command("answered")
def answered(
    request: Request,
    stack: Stack = None,
) -> None:
    """End a request that came by mail: the officer has answered it. `requests deny intake` refuses one."""
    cases = find(stack).cases()
    try:
        case = cases.act(cases.get(INTAKE, request), ANSWERED, completed=int(time.time()))
    except (NotFound, NotAllowed):
        fail("no such request, or it has ended")
    typer.echo(json.dumps({"request": case.id, "status": case.status}))


def _envelope(body: bytes) -> str:
    message: Any = BytesHeaderParser().parsebytes(body)
    named = getaddresses([str(message.get("return-path") or message.get("from") or "")])
    return named[0][1] if named else ""


def _s3(target: Target) -> Any:
    import boto3

    keys = target.credentials
    return boto3.client(
        "s3",
        endpoint_url=target.endpoint,
        region_name=target.region,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
    )
