"""What asking would use and cost, without asking: the verb ``estimate``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from llm_playground import estimates
from llm_playground.budgeting import history_of
from llm_playground.calls import plan
from llm_playground.conversation import Turn
from llm_playground.estimates import Estimate
from llm_playground.parameters import check_names, iterations_from


def estimate(  # noqa: D417 - the others are as for ask
    prompt: str | None = None,
    model: str | None = None,
    *,
    n: int = 1,
    system: str | None = None,
    messages: Iterable[Turn] | None = None,
    images: Any = None,  # noqa: ANN401 - as in ask
    tools: Any = None,  # noqa: ANN401 - as in ask
    schema: Any = None,  # noqa: ANN401 - as in ask
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    **parameters: Any,  # noqa: ANN401 - checked by name and range in capabilities
) -> Estimate:
    """What a prompt would use and cost; nothing is sent.

    Tokens are counted here, not by the provider. Where the run log has 20 runs of the model, its
    answers' length and how its texts count are taken from them.

    Args:
        prompt: As for :func:`llm_playground.ask`, and so are all the others.
        model: Whom to ask; None is the default model.
        n: How many times; figures are sums over all.
        **parameters: ``max_tokens``, ...

    Returns:
        ``input_tokens``, ``expected_usd``, ``worst_case_usd``, ...: US dollars as Decimal, None
        where nobody knows the price. ``print`` shows a line.

    Raises:
        ConfigError: It could not be sent as it stands.
        RunLogError: The log cannot be read.

    Example:
        >>> import llm_playground as lp
        >>> print(lp.estimate("Say hello.", "local"))
        free
    """
    n = iterations_from(n, parameters)
    check_names(parameters, estimate)
    calls = plan(
        prompt,
        [model],
        system=system,
        messages=messages,
        images=images,
        tools=tools,
        schema=schema,
        preset=preset,
        parameters=parameters,
        iterations=n,
        variables=variables,
    )
    request = calls[0].request
    known = history_of(request.model)
    one = estimates.of(request, datetime.now(UTC), known)
    return replace(estimates.together([one] * len(calls)), model=request.model)
