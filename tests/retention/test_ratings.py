"""Ratings: the mean of the latest rating of each user."""

import pytest

import llm_playground as lp
from llm_playground.errors import InvalidParameterError
from tests.reports.shelf import add

KEY = "sk" + "-" + "planted" * 4


@pytest.fixture
def person(monkeypatch):
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    return lambda name: monkeypatch.setenv("LLM_PLAYGROUND_USER", name)


def rating():
    return lp.runs().rating.tolist()


def test_rating_is_shown_in_runs(log):
    lp.rate(add(log), 4)
    assert rating() == [4.0]
    assert lp.sql("SELECT rating FROM runs").rating.tolist() == [4.0]


def test_mean_of_latest_ratings(log, person):
    run = add(log)
    person("ada")
    lp.rate(run, 1)
    lp.rate(run.id, 5, note="on second thought")
    person("bob")
    lp.rate(run, 2)
    assert rating() == [3.5]
    assert lp.sql("SELECT rating FROM runs").rating.tolist() == [3.5]
    kept = log.frame("SELECT username, score, note FROM ratings ORDER BY created_at")
    assert kept.username.tolist() == ["ada", "ada", "bob"]
    assert kept.score.tolist() == [1.0, 5.0, 2.0]
    assert kept.note[1] == "on second thought"


def test_votes_are_not_ratings(log):
    one, two = add(log), add(log)
    vote = "INSERT INTO ratings (id, result_id, against_result_id, score) VALUES ('v', $a, $b, 1)"
    log.change(lambda session: session.execute(vote, {"a": one.id, "b": two.id}))
    lp.rate(one, 3)
    assert sorted(lp.runs().rating.fillna(-1)) == [-1, 3]


def test_ratings_without_a_user_count_separately(log):
    run = add(log)
    insert = "INSERT INTO ratings (id, result_id, score) VALUES ($id, $run, $score)"
    for name, score in (("a", 2.0), ("b", 4.0)):
        values = {"id": name, "run": run.id, "score": score}
        log.change(lambda session, values=values: session.execute(insert, values))
    assert rating() == [3.0]


def test_keys_in_notes_are_redacted(log):
    lp.rate(add(log), 1, note=f"the key is {KEY}")
    assert KEY not in log.frame("SELECT note FROM ratings").note[0]


@pytest.mark.parametrize("score", ["5", None, float("nan"), True, float("inf")])
def test_invalid_scores(log, score):
    run = add(log)
    with pytest.raises(InvalidParameterError, match="score"):
        lp.rate(run, score)


def test_unknown_runs_cannot_be_rated(log):
    with pytest.raises(InvalidParameterError, match="no-such-run"):
        lp.rate("no-such-run", 1)
    with pytest.raises(InvalidParameterError, match="a run or its id"):
        lp.rate(3, 1)
    with pytest.raises(InvalidParameterError, match="note"):
        lp.rate(add(log), 1, note=3)
