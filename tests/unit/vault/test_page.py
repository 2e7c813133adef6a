"""Story: the specification page shows a vector that is among the tested ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parents[2] / "docs" / "vault.md").read_text()


def test_the_vector_on_the_page_is_a_tested_one() -> None:
    block = PAGE.split("## Vectors")[1].split("```")[1]
    fields = dict(re.findall(r"^(\S+(?: \S+)?) {2,}(.+(?:\n {5,}.+)*)", block, re.M))
    shown = {name: re.sub(r"\s", "", value) for name, value in fields.items()}
    vectors = {
        vector["salt"]: vector for vector in json.loads((HERE.parents[1] / "vectors" / "vault.json").read_text())
    }
    vector = vectors[shown["salt"]]
    assert shown["subject key"] == vector["subject_key"]
    assert shown["keyver"] == str(vector["keyver"])
    assert json.loads(f"[{shown['context']}]") == vector["context"]
    assert shown["encoded"].encode().hex() == vector["encoded_context"]
    assert shown["plain text"] == vector["plaintext"]
    assert shown["sealed"] == vector["sealed"]
