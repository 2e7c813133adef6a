"""The keys of the rows, in one place: the writers, the readers and the erasure must agree on them.

`#` separates the parts. Ids are base62 or hexadecimal, a date is `YYYYMMDD`, a recipient is a name of
policy/processors.toml, so no part holds the separator and every key parses in one way.

    Records     s#{project}#{subject}#{generation}   {kind}#{id}                 encrypted records: their heads, and
                s#{project}#{subject}#{generation}   {kind}#{parent}#{id}        #{write}#{chunk} behind those
                s#{project}#{subject}#-              day#{date}#{recipient}      rows without a generation
                s#{project}#{subject}#-              alias#{subject}
                s#{project}#{subject}#-              idempotency#{digest}
                s#{project}#{subject}#-              allowance
                s#{project}#{subject}#hold           {case}#{record}#{chunk}     rows kept under a legal hold
                l#{project}                          {id}                        locators
                u#{project}                          {date}                      remainders
    Requests    r#{project}                          {case}
                y#datasets                           {name}                      data sets that were built
                y#{project}#{subject}                {name}                      what of a subject entered them
                n#{project}#{subject}                {purpose}                   what was chosen for a purpose
                h#{project}#{subject}                {hold}
                m#{digest}                           -                           marks of what was deleted on its own
                o#{project}#{subject}                {right}[#{target}]          the open case of a right
                o#{project}#{subject}                held#{case}                 a case that a hold keeps from its end
                a#agents                             {agent}                     authorised agents
                w#{project}                          -                           a project's webhook
                x#{project}                          {dialect}#{external}        another dialect's name for a case
                d#{digest}                           -                           a one-time link to an export
                t#{date}                             {time}#{project}#{case}#{what}       what is to be done then
                c#{project}#{subject}                {case}                      a data subject's own cases
                i#{challenge}                        -                           sign-ins that were begun
                a#{digest}                           {hour}                      how many codes were asked for
                j#{token}                            -                           portal links that were used
"""

from __future__ import annotations

UNDATED = "-"
"""Stands for the generation of rows that have none: kinds `day`, `alias` and `allowance`."""

HOLD = "hold"
"""Stands for the generation of the rows that a legal hold keeps."""

DAY = "day#"
ALIAS = "alias#"
IDEMPOTENCY = "idempotency#"
ALLOWANCE = "allowance"
"""What the sort keys of those kinds begin with; an allowance's is the whole of it."""


def subject_pk(project: str, subject: str, generation: int | str) -> str:
    """The partition of one generation of a data subject's rows; `generation` is a number, UNDATED or HOLD."""
    return f"s#{project}#{subject}#{generation}"


def record_sk(kind: str, record_id: str, parent: str = "") -> str:
    """The sort key of a record's head; of an empty id, what the keys of the kind (or of the parent's children) begin
    with."""
    return f"{kind}#{parent}#{record_id}" if parent else f"{kind}#{record_id}"


def located_id(sk: str) -> str:
    """The id that a locator leads to, from the sort key of any row of a located kind."""
    return sk.split("#", 2)[1]


def chunk_attribute(index: int, count: int) -> str:
    """The attribute of a chunk in its encryption context: chunk `index` of `count`, so that none can go missing."""
    return f"body:{index}/{count}"


def day_sk(date: str, recipient: str) -> str:
    """The sort key of what a recipient was given on a day (`YYYYMMDD`, UTC)."""
    return f"{DAY}{date}#{recipient}"


def recipient_of(sk: str) -> str:
    """The recipient of a `day_sk`."""
    return sk.rpartition("#")[2]


def date_of(sk: str) -> str:
    """The date of a `day_sk`."""
    return sk.split("#")[1]


def remainder_pk(project: str) -> str:
    """The partition of a project's remainders, by date: what erased day rows had counted."""
    return f"u#{project}"


def alias_sk(subject: str) -> str:
    """The sort key of an alias: `subject` is the same person under another selector."""
    return ALIAS + subject


def idempotency_sk(digest: str) -> str:
    """The sort key of an Idempotency-Key: `digest` is a keyed one, in hexadecimal."""
    return IDEMPOTENCY + digest


def kind_of(sk: str) -> str:
    """The kind of a row of a generation, from its sort key."""
    return sk.partition("#")[0]


def held_sk(case: str, origin: str, index: int) -> str:
    """The sort key of a chunk of what a legal hold keeps. `origin` is the sort key of the record's head."""
    return f"{case}#{origin}#{index:04d}"


def locator_pk(project: str) -> str:
    """The partition of a project's locators: completion id → the subject's partition."""
    return f"l#{project}"


def case_pk(project: str) -> str:
    """The partition of a project's data-rights cases."""
    return f"r#{project}"


def mark_pk(digest: str) -> str:
    """The partition of the mark of a deleted row."""
    return f"m#{digest}"


def hold_pk(project: str, subject: str) -> str:
    """The partition of the legal holds on a data subject."""
    return f"h#{project}#{subject}"


def consent_pk(project: str, subject: str) -> str:
    """The partition of what a data subject chose, by purpose."""
    return f"n#{project}#{subject}"


DATASETS = "y#datasets"
"""The partition of the data sets."""


def entrant_pk(project: str, subject: str) -> str:
    """The partition of the data sets that a subject's samples entered."""
    return f"y#{project}#{subject}"


def open_pk(project: str, subject: str) -> str:
    """The partition of the pointers to a data subject's open cases."""
    return f"o#{project}#{subject}"


def open_sk(case_type: str, target: str = "") -> str:
    """The sort key of the pointer to the open case of a right, where it has one on a target (a purpose, a digest)."""
    return f"{case_type}#{target}" if target else case_type


def own_pk(project: str, subject: str) -> str:
    """The partition of the pointers to all cases of a data subject."""
    return f"c#{project}#{subject}"


HELD = "held#"


def held_case_sk(case: str) -> str:
    """The sort key of the pointer to a case a part of which legal holds keep."""
    return HELD + case


def challenge_pk(challenge: str) -> str:
    """The partition of a sign-in that was begun."""
    return "i#" + challenge


def asked_pk(target: str) -> str:
    """The partition of the counts of sign-ins that were begun for a target, a keyed hash."""
    return "a#" + target


def spent_pk(token: str) -> str:
    """The partition of a portal link that was used."""
    return "j#" + token


CLOCKING_PK, CLOCKING = "t#clocking", "-"
"""The row that says up to which day timers have fired."""


def timer_pk(date: str) -> str:
    """The partition of what is to be done on a day (`YYYYMMDD`, UTC)."""
    return "t#" + date


def timer_sk(at: int, project: str, case: str, what: str) -> str:
    """The sort key of one thing to be done at `at`, POSIX seconds; sorts by time."""
    return f"{at:012d}#{project}#{case}#{what}"


def dialect_pk(project: str) -> str:
    """The partition of a project's requests by the names that another dialect gives them."""
    return f"x#{project}"


def dialect_sk(dialect: str, external: str) -> str:
    """The sort key of one: `external` is the other side's id, of its own alphabet without `#`."""
    return f"{dialect}#{external}"


def download_pk(digest: str) -> str:
    """The row of a one-time link, by the SHA-256 of its token in hex."""
    return "d#" + digest
