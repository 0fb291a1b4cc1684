"""The table of faults holds, for every fault at every provider."""

import pytest

from tests.wire.fault_matrix import FAULTS, complaint, outcome_of, table
from tests.wire.vendors import KEY, PROVIDERS


@pytest.mark.parametrize("vendor", PROVIDERS, ids=str)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_has_its_error_its_attempts_and_its_words(fault, vendor):
    outcome = await outcome_of(fault, vendor)

    assert not complaint(fault, outcome)
    assert "\n" not in outcome.said
    assert KEY not in f"{outcome.said} {outcome.error and outcome.error.detail}"
    assert outcome.error is None or outcome.error.run is not None


async def test_a_key_that_is_none_is_said_and_nothing_is_sent():
    async for fault, _, outcome in table():
        if fault.attempts:
            break
        assert not complaint(fault, outcome)
