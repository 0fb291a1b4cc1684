"""Every entry of the fault matrix holds for every provider."""

import pytest

from tests.providers.fault_matrix import FAULTS, complaint, outcome_of, table
from tests.providers.vendors import KEY, PROVIDERS


@pytest.mark.parametrize("vendor", PROVIDERS, ids=str)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_fault_has_its_error_attempts_and_message(fault, vendor):
    outcome = await outcome_of(fault, vendor)

    assert not complaint(fault, outcome)
    assert "\n" not in outcome.said
    assert KEY not in f"{outcome.said} {outcome.error and outcome.error.detail}"
    assert outcome.error is None or outcome.error.run is not None


async def test_malformed_key_is_reported_and_nothing_sent():
    async for fault, _, outcome in table():
        if fault.attempts:
            break
        assert not complaint(fault, outcome)
