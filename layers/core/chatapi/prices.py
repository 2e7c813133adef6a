"""What a chat costs, in whole micro-USD: the prices of policy/models.toml, reckoned in integers and rounded up.

A price of 0.035 USD per million tokens is 0.035 micro-USD per token, kept as 35,000 pico-USD: no floating point takes
part in a sum of money.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

_PICO = 10**6  # pico-USD in a micro-USD


class Price(NamedTuple):
    """Pico-USD a token: of input, of input that the provider had cached, of output."""

    input: int
    cached: int
    output: int

    def cost(self, tokens_in: int, cached: int, tokens_out: int) -> int:
        """Micro-USD, rounded up. `cached` of the `tokens_in` were cached; no more than all of them, none below zero."""
        cached = min(max(cached, 0), tokens_in)
        pico = (tokens_in - cached) * self.input + cached * self.cached + tokens_out * self.output
        return -(-pico // _PICO)


@cache
def price_of(model: str) -> Price:
    """The price of a model of policy/models.toml. KeyError for any other."""
    from chatapi.catalogue import read_policy  # the authorizer takes Price alone and parses no TOML

    price = read_policy("models")["models"][model]["price"]
    return Price(*(round(price[name] * _PICO) for name in Price._fields))


def cost(model: str, tokens_in: int, cached: int, tokens_out: int) -> int:
    """What a chat with `model` costs in micro-USD, rounded up. `cached` is the part of `tokens_in` that was cached."""
    return price_of(model).cost(tokens_in, cached, tokens_out)


def dearest(stage: str) -> Price:
    """The most that any model of a stage asks for each kind of token: what is reserved before the model is known."""
    from chatapi.catalogue import read_policy

    prices = [price_of(name) for name, model in read_policy("models")["models"].items() if stage in model["stages"]]
    return Price(*map(max, zip(*prices, strict=True)))
