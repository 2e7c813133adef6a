"""The composition roots of the dialects: of the routes, which share the data-rights service, and of the follower."""

from __future__ import annotations

import os

from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.kms_signer import KmsSigner
from chatapi.secrets import Secrets
from chatapi.store.agents import Agents
from chatapi.store.cases import Cases
from chatapi.wiring import store_of
from privacy.composition import outbound
from privacy.dialects.bindings import Bindings
from privacy.dialects.drp import Drp
from privacy.dialects.following import Followers, Ports
from privacy.dialects.opendsr import OpenDsr
from privacy.service import Rights

_TIMEOUT, _ATTEMPTS = 5.0, 4
"""For the follower, for which nobody waits: seconds for one attempt, and how many."""


def compose_opendsr(rights: Rights) -> OpenDsr:
    """OpenDSR over the data-rights service, from the environment."""
    here, clock = region(), SystemClock()
    return OpenDsr(
        rights,
        Bindings(store_of(AwsClient("dynamodb", region=here), "requests", clock)),
        KmsSigner(AwsClient("kms", region=here), setting("DIALECT_KEY")),
        clock,
        outbound(),
        Followers(AwsClient("states", region=here), setting("CALLBACKS_MACHINE")),
        certificate=os.environ.get("OPENDSR_CERTIFICATE", ""),
    )


def compose_drp() -> Drp:
    """The Data Rights Protocol, from the environment."""
    here, clock = region(), SystemClock()
    table = store_of(AwsClient("dynamodb", region=here), "requests", clock)
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    followers = Followers(AwsClient("states", region=here), setting("CALLBACKS_MACHINE"))
    return Drp(
        Agents(table),
        Cases(table),
        Bindings(table),
        clock,
        lambda: secrets.get(setting("SUBJECT_PEPPER_SECRET")),
        outbound(),
        followers.follow,
        business=setting("DRP_BUSINESS"),
    )


def compose_follower() -> Ports:
    """The follower, from the environment."""
    here, clock = region(), SystemClock()
    dynamodb = AwsClient("dynamodb", region=here, timeout=_TIMEOUT, attempts=_ATTEMPTS)
    table = store_of(dynamodb, "requests", clock)
    kms = AwsClient("kms", region=here, timeout=_TIMEOUT, attempts=_ATTEMPTS)
    return Ports(Cases(table), Bindings(table), KmsSigner(kms, setting("DIALECT_KEY")), outbound(), clock)
