"""Identity over fakes: one deployment, one project with an owner who can be reached, and a messenger that runs."""

from __future__ import annotations

import re

from chatapi.catalogue import Catalogued
from chatapi.mail import MemoryMail
from chatapi.store.contacts import Contacts
from privacy.identity.challenges import Challenges
from privacy.identity.sender import Ports, send
from privacy.identity.service import Hashes, Identity
from privacy.identity.tokens import Tokens
from tests.unit.privacy.world import PROJECT, World

PEPPER, SECRET = b"p" * 86, b"s" * 86
OWNER = "owner@example.com"
BASE = "http://127.0.0.1/portal"


class Queue:
    """What the API started and the sender has not done yet."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, challenge: str) -> None:
        self.started.append(challenge)


class People:
    """The identity service, its sender, and what a mailbox sees."""

    def __init__(self, world: World | None = None, secret: bytes = SECRET) -> None:
        self.world = world or World()
        self.queue = Queue()
        self.mail = MemoryMail()
        self.contacts = Contacts(self.world.kept, lambda: PEPPER)
        self.challenges = Challenges(Catalogued(self.world.requests, "requests"), self.world.clock)
        self.hashes = Hashes(lambda: secret)
        self.tokens = Tokens(lambda: secret, self.world.clock)
        self.identity = Identity(
            self.challenges, self.queue, self.hashes, self.tokens, self.world.clock, lambda: PEPPER
        )
        self.sender = Ports(self.challenges, self.contacts, self.hashes, self.mail)

    def deliver(self) -> None:
        """What Lambda does with the events."""
        while self.queue.started:
            send(self.sender, self.queue.started.pop(0))

    def begin(self, address: str = OWNER, project: str = PROJECT, language: str = "en") -> str:
        name = self.identity.begin(project, address, BASE, language)
        self.deliver()
        return name

    def code(self) -> str:
        """The code of the last mail."""
        found = re.search(r"[0-9]{4} [0-9]{4}", self.mail.sent[-1].text)
        assert found
        return found[0]
