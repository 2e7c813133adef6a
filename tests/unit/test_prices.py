"""Sums of money: whole micro-USD, rounded up, by the prices of the policy."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.catalogue import read_policy
from chatapi.prices import Price, cost, dearest, price_of

MODELS = read_policy("models")["models"]
tokens = st.integers(0, 10**9)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_a_price_and_cached_input_is_no_dearer(model: str) -> None:
    price = price_of(model)
    assert 0 < price.cached <= price.input
    assert price.output > 0 or "embeddings" in MODELS[model]["capabilities"]
    # and no decimals got lost
    assert all(
        Fraction(getattr(price, name), 10**6) == Fraction(str(MODELS[model]["price"][name]))
        for name in ("input", "cached", "output")
    )


@pytest.mark.parametrize(
    ("model", "tokens_in", "cached", "tokens_out", "micro_usd"),
    [
        ("nova-micro", 1_000_000, 0, 0, 35_000),
        ("nova-micro", 1_000_000, 1_000_000, 0, 8_750),
        ("nova-micro", 0, 0, 1_000_000, 140_000),
        ("nova-micro", 1, 0, 0, 1),  # 0.035, rounded up
        ("nova-lite", 1000, 400, 100, 66),  # 36 + 6 + 24
        ("smollm2-135m", 0, 0, 0, 0),
    ],
)
def test_what_a_chat_costs(model: str, tokens_in: int, cached: int, tokens_out: int, micro_usd: int) -> None:
    assert cost(model, tokens_in, cached, tokens_out) == micro_usd


@given(tokens_in=tokens, cached=st.integers(-5, 2 * 10**9), tokens_out=tokens)
def test_a_cost_is_the_exact_sum_rounded_up(tokens_in: int, cached: int, tokens_out: int) -> None:
    # whatever a provider says was cached, it is between nothing and all
    real = min(max(cached, 0), tokens_in)
    exact = Fraction(35, 1000) * (tokens_in - real) + Fraction(875, 100_000) * real + Fraction(14, 100) * tokens_out
    assert 0 <= cost("nova-micro", tokens_in, cached, tokens_out) - exact < 1


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
@given(tokens_in=tokens, cached=tokens, tokens_out=tokens)
def test_no_model_of_a_stage_costs_more_than_its_dearest(
    stage: str, tokens_in: int, cached: int, tokens_out: int
) -> None:
    most = dearest(stage)
    for name in (name for name, model in MODELS.items() if stage in model["stages"]):
        assert cost(name, tokens_in, cached, tokens_out) <= most.cost(tokens_in, 0, tokens_out)


def test_what_is_written_into_a_cache_may_cost_more_and_is_reserved_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a model whose provider asks a quarter more for what it keeps
    price = {"input": 3.0, "cached": 0.3, "written": 3.75, "output": 15.0}
    monkeypatch.setitem(MODELS, "writes", {"price": price, "stages": ["local"], "capabilities": []})
    # when some of the input was cached and some kept
    assert cost("writes", 1000, 400, 10, 500) == 120 + 100 * 3 + 1875 + 150
    # then it is never more than all of it, and no more than was reserved
    assert cost("writes", 1000, 0, 0, 10**9) == cost("writes", 1000, 0, 0, 1000) == 3750
    assert cost("writes", 1000, 1000, 0, 500) == 300
    assert cost("writes", 1000, 0, 0, -5) == 3000
    assert dearest("local").cost(1000, 0, 0) == 3750


def test_a_model_nobody_priced_is_an_error() -> None:
    with pytest.raises(KeyError):
        cost("unheard-of", 1, 0, 1)
    assert Price(1, 1, 1).cost(1, 0, 0) == 1
