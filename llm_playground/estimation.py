"""The public function ``estimate``: what a prompt may cost, before it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from llm_playground._validation import checks_arguments
from llm_playground.budgeting.ledger import histories_of
from llm_playground.calls import CallOptions
from llm_playground.catalog import estimates
from llm_playground.catalog.estimates import Estimate
from llm_playground.request.messages import Turn
from llm_playground.request.parameters import iterations_from, unknown_name


@checks_arguments("estimate", unknown_name)
def estimate(  # noqa: D417 - the others are as for ask
    prompt: str | None = None,
    model: str | None = None,
    *,
    n: int = 1,
    system: str | None = None,
    messages: Iterable[Turn] | None = None,
    images: Any = None,  # noqa: ANN401 - the accepted types are listed in images
    files: Any = None,  # noqa: ANN401 - the accepted types are listed in files
    tools: Any = None,  # noqa: ANN401 - the accepted types are listed in tools
    schema: Any = None,  # noqa: ANN401 - the accepted types are listed in schemas
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    iterations: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    max_tokens: int | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int | None = None,
    presence_penalty: float | None = None,
    frequency_penalty: float | None = None,
    reasoning_effort: str | None = None,
    logprobs: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Estimate:
    """Estimate the tokens and costs of a prompt; nothing is sent.

    Tokens are counted locally. If the run log has 20 runs of the model, the length of the answer
    and the tokens per byte are taken from them.

    Args:
        prompt: As for :func:`llm_playground.ask`, and so are all arguments not listed here.
        model: The model; None is the default model.
        n: How many times the prompt would be sent; figures are sums.
        iterations: An alias of ``n``.

    Returns:
        ``input_tokens``, ``expected_usd``, ``worst_case_usd``, ...: US dollars as Decimal, None
        if the price is unknown. ``print`` shows a line.

    Raises:
        ConfigError: The prompt cannot be sent.
        RunLogError: The log cannot be read.

    Example:
        >>> import llm_playground as lp
        >>> print(lp.estimate("Say hello.", "local"))
        free
    """
    arguments = dict(locals())  # a copy: a debugger adds this variable to the original
    arguments["iterations"] = iterations_from(arguments.pop("n"), iterations)
    calls = CallOptions.of(arguments).plan()
    request = calls[0].request
    history = histories_of([request.model])[request.model]
    one = estimates.of(request, datetime.now(UTC), history)
    return replace(estimates.together([one] * len(calls)), model=request.model)
