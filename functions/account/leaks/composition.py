"""The composition root of the reports of leaked keys: it alone knows which adapter stands behind which port."""

from __future__ import annotations

import os
from functools import cache

from account.leaks.service import Leaks
from account.leaks.signatures import PublicKeys, fetcher
from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.mail import SesMail
from chatapi.secrets import Secrets
from chatapi.store.contacts import Contacts
from chatapi.store.marks import Marks
from chatapi.store.projects import Projects
from chatapi.store.records import Records
from chatapi.wiring import store_of, vault_of


def compose() -> Leaks:
    """Wire everything from the environment. LEAK_KEYS, a key set as JSON, goes before LEAK_KEYS_URL."""
    here, clock = region(), SystemClock()
    dynamodb = AwsClient("dynamodb", region=here)
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    fixed, url = os.environ.get("LEAK_KEYS", ""), os.environ.get("LEAK_KEYS_URL", "")
    fetch = fixed.encode if fixed else fetcher(url, clock.monotonic) if url else None

    @cache
    def projects() -> Projects:
        mint, pepper = secrets.get(setting("MINT_SECRET")), secrets.get(setting("KEY_PEPPER_SECRET"))
        return Projects(store_of(dynamodb, "projects", clock), mint=mint, pepper=pepper, clock=clock)

    vault = vault_of(dynamodb, AwsClient("kms", region=here), clock, despite_restriction=True)
    records = store_of(dynamodb, "records", clock)
    requests = store_of(dynamodb, "requests", clock)
    contacts = Contacts(Records(records, vault, Marks(requests, clock), clock), lambda: b"")  # read alone
    mailer = SesMail(AwsClient("email", region=here, timeout=5.0), setting("MAIL_FROM"))
    keys = PublicKeys(fetch, clock)
    return Leaks(keys, projects, lambda: secrets.get(setting("MINT_SECRET")), contacts, mailer, clock)
