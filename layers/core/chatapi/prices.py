"""What a chat costs, in whole micro-USD: the prices of policy/models.toml, reckoned in integers and rounded up.

A price of 0.035 USD per million tokens is 0.035 micro-USD per token, kept as 35,000 pico-USD: no floating point takes
part in a sum of money.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

_PICO = 10**6  # pico-USD in a micro-USD


class Price(NamedTuple):
    """Pico-USD a token: of input, of input that the provider had cached, of output; `surcharge` is what input costs
    beyond `input` where the provider writes it into its cache."""

    input: int
    cached: int
    output: int
    surcharge: int = 0

    def cost(self, tokens_in: int, cached: int, tokens_out: int, written: int = 0) -> int:
        """Micro-USD, rounded up. Of the `tokens_in`, `cached` were cached and `written` were put there; together no
        more than all of them, none below zero."""
        cached = min(max(cached, 0), tokens_in)
        written = min(max(written, 0), tokens_in - cached)
        pico = (tokens_in - cached) * self.input + cached * self.cached + tokens_out * self.output
        pico += written * self.surcharge
        return -(-pico // _PICO)


@cache
def price_of(model: str) -> Price:
    """The price of a model of policy/models.toml. KeyError for any other."""
    from chatapi.catalogue import read_policy  # the authorizer takes Price alone and parses no TOML

    price = read_policy("models")["models"][model]["price"]
    each, cached, output = (round(price[name] * _PICO) for name in ("input", "cached", "output"))
    return Price(each, cached, output, round(price["written"] * _PICO) - each if "written" in price else 0)


def cost(model: str, tokens_in: int, cached: int, tokens_out: int, written: int = 0) -> int:
    """What a chat with `model` costs in micro-USD, rounded up, see Price.cost."""
    return price_of(model).cost(tokens_in, cached, tokens_out, written)


def dearest(stage: str) -> Price:
    """The most that any model of a stage asks for each kind of token: what is reserved before the model is known."""
    from chatapi.catalogue import read_policy

    prices = [price_of(name) for name, model in read_policy("models")["models"].items() if stage in model["stages"]]
    each, cached, output, _ = map(max, zip(*(p._replace(input=p.input + p.surcharge) for p in prices), strict=True))
    return Price(each, cached, output)
