"""Texts that no database can hold."""

import pytest

from llm_playground.errors import RunLogError

NO_UNICODE = "\ud800"


def test_a_text_that_is_no_unicode_is_refused_in_one_line(log):
    with pytest.raises(RunLogError) as error:
        log.frame("SELECT run_id FROM runs WHERE run_id = ?", [NO_UNICODE])
    assert "\n" not in str(error.value)
    with pytest.raises(RunLogError):
        log.change(lambda session: session.rows("SELECT $text", {"text": NO_UNICODE}))
