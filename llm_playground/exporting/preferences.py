"""Pairs of a better and a worse answer to the same prompt, from ratings and from votes.

Two prompts are the same if their messages (with the system prompt and attachments), their tools and
their schema are; the model and its parameters may differ. A vote between two answers makes a pair
of them. From ratings, the best answer to a prompt is paired with the worst one, the second best
with the second worst, and so on, so that each answer is in one such pair at most. Ties and equal
answers make no pair.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from llm_playground.exporting.chat_messages import ChatRuns, Json, LeftOut
from llm_playground.exporting.rows import Row

_ALONE = "without a differently rated answer to the same prompt"
_EQUAL = "equal to the answer they were compared with"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one prompt, as chat messages."""

    prompt: list[Json]
    tools: list[Json]
    chosen: Json
    rejected: Json


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A rated run."""

    run_id: str
    key: str  # equal for equal prompts
    prompt: list[Json]
    tools: list[Json]
    answer: Json
    rating: float | None


def pairs_of(chat: ChatRuns) -> tuple[list[Pair], list[str]]:
    """The pairs, and for each run that is in none the reason."""
    votes = _votes(chat.exported.records.get("ratings", ()))
    compared = {run_id for pair in votes for run_id in pair}
    reasons: dict[str, str] = {}
    candidates: dict[str, _Candidate] = {}
    for row in chat.exported.rows:
        run_id = row["run_id"]
        try:
            if row["rating"] is None and run_id not in compared:
                raise LeftOut("not rated")  # noqa: TRY301 - one place gathers all reasons
            candidates[run_id] = _candidate(chat, row)
        except LeftOut as reason:
            reasons[run_id] = str(reason)
    found = _of_votes(votes, candidates, reasons)
    for better, worse in _of_ratings(candidates.values(), reasons):
        if (worse, better) not in found:  # a vote is more exact than two ratings
            found[better, worse] = None
    paired = {run_id for ids in found for run_id in ids}
    pairs = [_pair(candidates[chosen], candidates[rejected]) for chosen, rejected in found]
    return pairs, [reason for run_id, reason in reasons.items() if run_id not in paired]


def _candidate(chat: ChatRuns, row: Row) -> _Candidate:
    answer, prompt, tools = chat.answer(row), chat.prompt(row), chat.tools(row)
    same = json.dumps([prompt, tools, chat.schema_hash(row)], sort_keys=True)
    key = hashlib.sha256(same.encode("utf-8", "surrogatepass")).hexdigest()
    return _Candidate(row["run_id"], key, prompt, tools, answer, row["rating"])


def _pair(chosen: _Candidate, rejected: _Candidate) -> Pair:
    return Pair(chosen.prompt, chosen.tools, chosen.answer, rejected.answer)


def _votes(ratings: Iterable[Row]) -> dict[tuple[str, str], float]:
    """For two runs, ordered by id, by how much the first is preferred; 0 is a tie.

    Of each rater the latest vote counts. A positive score prefers ``result_id``, a negative one
    ``against_result_id``.
    """
    newest: dict[tuple[str, str, str], float] = {}
    for row in sorted(ratings, key=lambda row: (row["created_at"] or "", row["id"])):
        one, other = row["result_id"], row["against_result_id"]
        if other is None or row["score"] is None or one == other:
            continue
        first, second = sorted((one, other))
        rater = row["username"] or row["id"]
        newest[first, second, rater] = row["score"] if first == one else -row["score"]
    sums: dict[tuple[str, str], float] = {}
    for (first, second, _), score in newest.items():
        sums[first, second] = sums.get((first, second), 0.0) + (score > 0) - (score < 0)
    return sums


def _of_votes(
    votes: Mapping[tuple[str, str], float],
    candidates: Mapping[str, _Candidate],
    reasons: dict[str, str],
) -> dict[tuple[str, str], None]:
    """The ids of the preferred and the other run of each vote that decides."""
    found: dict[tuple[str, str], None] = {}
    for pair, score in votes.items():
        known = [candidates[run_id] for run_id in pair if run_id in candidates]
        problem = _problem(known, score)
        if problem is None:
            found[pair if score > 0 else pair[::-1]] = None
        for one in known:
            if problem is not None and one.rating is None:
                reasons.setdefault(one.run_id, problem)
    return found


def _problem(known: Sequence[_Candidate], score: float) -> str | None:
    """Why a vote makes no pair; None if it does."""
    if len(known) < 2:
        return "compared with a run that is not exported"
    if known[0].key != known[1].key:
        return "compared with an answer to another prompt"
    if known[0].answer == known[1].answer:
        return _EQUAL
    return "tied" if score == 0 else None


def _of_ratings(
    candidates: Iterable[_Candidate], reasons: dict[str, str]
) -> Iterable[tuple[str, str]]:
    """The ids of a better and a worse run, the best with the worst first."""
    groups: dict[str, list[_Candidate]] = {}
    for one in candidates:
        if one.rating is not None:
            groups.setdefault(one.key, []).append(one)
    for group in groups.values():
        ranked = sorted(group, key=attrgetter("rating"), reverse=True)
        half = len(ranked) // 2
        for better, worse in zip(ranked[:half], ranked[: -half - 1 : -1], strict=True):
            if better.rating == worse.rating:
                continue
            if better.answer == worse.answer:
                reasons |= dict.fromkeys((better.run_id, worse.run_id), _EQUAL)
            else:
                yield better.run_id, worse.run_id
        for one in group:
            reasons.setdefault(one.run_id, _ALONE)
