from __future__ import annotations
from openai import OpenAI
from tests.support.live_stack import MODEL, Caller, Live

def test_x(client: OpenAI, live: Live, caller: Caller) -> None:
    r = client.chat.completions.with_raw_response.create(model=MODEL, messages=[{"role":"user","content":"hi"}], store=True)
    print(r.headers, r.parse())
    print(live.settled(caller.project), live.item(caller.project))
    print(live.arrived())
