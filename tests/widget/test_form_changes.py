"""In what the values of the notebook differ from those that were sent."""

import pytest

from llm_playground.request.templates import hashes_of
from llm_playground.widget.form import Form
from llm_playground.widget.form_changes import changed_values

ROWS = [{"city": "Oslo"}, {"city": "Bergen"}]


@pytest.mark.parametrize(
    ("asked", "form", "notebook", "expected"),
    [
        ([{"n": "3"}], Form("{{n}}"), {"n": 3}, []),
        ([{"n": "3"}], Form("{{n}}"), {"n": 4}, ["{{n}}"]),
        ([{"n": "3"}], Form("Hi", system="{{n}}"), {"n": 4}, ["{{n}}"]),
        ([{"n": "3"}], Form("{{n}}", values={"n": "4"}), {}, []),  # typed: part of the form
        ([{"n": "3"}], Form("{{m}}"), {"m": 4}, []),
        ([{"n": "3"}], Form("{{n}}"), {}, []),  # not defined: unknown
        ([{}], Form("{{n}}"), {"n": 3}, []),
        (ROWS, Form("{{city}}", cases=ROWS), {}, []),
        (ROWS[:1], Form("{{city}}", cases=ROWS), {}, []),  # the first was tried alone
        (ROWS, Form("{{city}}", cases=[*ROWS, {"city": "Bodø"}]), {}, ["cases"]),
        (ROWS, Form("{{city}}", cases=ROWS[:1]), {}, ["cases"]),
        (ROWS, Form("Hi", cases=[{"city": "Bodø"}]), {}, []),
        (
            [row | {"n": "3"} for row in ROWS],
            Form("{{n}} {{city}}", cases=[{"city": "Bodø"}]),
            {"n": 4},
            ["{{n}}", "cases"],
        ),
    ],
)
def test_names_values_that_are_others_now(asked, form, notebook, expected):
    assert changed_values(map(hashes_of, asked), form, notebook) == expected
