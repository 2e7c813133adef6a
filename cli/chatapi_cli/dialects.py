"""`chatapi dialects csr`: what an operator needs before other people's tools trust this stack's signatures."""

from __future__ import annotations

from typing import Annotated

import typer

from chatapi.kms_signer import KmsSigner
from chatapi_cli.say import Stack
from chatapi_cli.target import find

dialects_app = typer.Typer(no_args_is_help=True, help="OpenDSR and the Data Rights Protocol.")


@dialects_app.command("csr")
def csr(
    domain: Annotated[str, typer.Option(help="The domain of the API, as its clients call it.")],
    stack: Stack = None,
) -> None:
    """Print a certificate signing request of the key that signs OpenDSR answers. The certificate that an authority
    makes of it is the template's parameter OpenDsrCertificate."""
    from privacy.dialects.certificate import signing_request

    target = find(stack)
    typer.echo(signing_request(KmsSigner(target.client("kms"), target.output("DialectKey")), domain), nl=False)
