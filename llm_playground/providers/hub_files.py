"""Which file of a repository is the model to take, and how far taking it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PREFERRED = (
    "Q4_K_M", "Q4_K_S", "Q4_K_L", "Q4_K_XL", "Q4_K", "IQ4_XS", "IQ4_NL", "MXFP4", "Q4_1", "Q4_0",
    "Q5_K_M", "Q5_K_S", "Q5_K_L", "Q5_K", "Q5_1", "Q5_0", "Q6_K", "Q6_K_L", "Q8_0",
    "Q3_K_M", "Q3_K_L", "Q3_K_S", "IQ3_M", "IQ3_S", "IQ3_XS", "IQ3_XXS",
    "Q2_K", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S", "F16", "BF16", "F32",
)  # fmt: skip
"""Quantisations, the one to take first where a file is not named. Four bits lose little; then
rather more bits than fewer; unquantised weights last."""

_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_NO_MODEL = re.compile(r"mmproj|imatrix", re.IGNORECASE)


@dataclass(slots=True)
class Progress:
    """What is being done, told to the parent a few times a second."""

    doing: str
    so_far: int = 0
    in_all: int = 0

    def line(self) -> dict[str, object]:
        """As JSON: the message, and the fraction that is done.

        >>> Progress("Fetching", 500_000, 2_000_000).line()
        {'message': 'Fetching: 0 of 2 MB', 'fraction': 0.25}
        """
        if not self.in_all:
            return {"message": self.doing, "fraction": None}
        amount = f"{self.so_far / 1e6:,.0f} of {self.in_all / 1e6:,.0f} MB"
        done = min(1.0, self.so_far / self.in_all)
        return {"message": f"{self.doing}: {amount}", "fraction": done}


class Refused(Exception):  # noqa: N818 - it is an answer
    """The file cannot be had; the message is one line that says what to do."""


def choose(sizes: Mapping[str, int], wanted: str | None = None) -> str | None:
    """The one file to take of a repository, None when there is none.

    Parts of a split model, image parts and importance matrices are none. Of several files with
    the same quantisation the smallest is taken, of several as small the first by name.

    Args:
        sizes: Every file's length in bytes.
        wanted: A quantisation; None is the first of :data:`PREFERRED` that is there.

    >>> choose({"a.Q8_0.gguf": 8, "a.Q4_K_M.gguf": 4, "mmproj-Q4_K_M.gguf": 1, "README.md": 1})
    'a.Q4_K_M.gguf'
    >>> choose({"a.Q8_0.gguf": 8, "a.Q4_K_M.gguf": 4}, "q8_0")
    'a.Q8_0.gguf'
    """
    whole = [name for name in sizes if _is_model(name) and not _PART.search(name)]
    order = PREFERRED if wanted is None else (wanted.upper(),)
    fitting = [name for name in whole if wanted is None or _rank(name, order) < len(order)]
    return min(fitting, key=lambda name: (_rank(name, order), sizes[name], name), default=None)


def _is_model(name: str) -> bool:
    return name.lower().endswith(".gguf") and not _NO_MODEL.search(name)


def _rank(name: str, order: tuple[str, ...]) -> int:
    """The place of the file's quantisation in ``order``; its length when it is not in there."""
    words = name.upper().rpartition("/")[2]
    for place, quantisation in enumerate(order):
        if re.search(rf"(?<![A-Z0-9]){re.escape(quantisation)}(?![A-Z0-9_])", words):
            return place
    return len(order)


def whole(file: str) -> str:
    """The file's name, when it is of a kind that can be read here.

    Raises:
        Refused: It is not.
    """
    if any(part in ("", ".", "..") for part in file.split("/")) or "\\" in file:
        raise Refused(f"{file!r} is no path of a file in a repository.")
    if _PART.search(file):
        raise Refused(
            f"{file} is one part of a split model, and only whole files are read here. Take a "
            "smaller quantisation in one file, or join the parts with llama-gguf-split."
        )
    if _NO_MODEL.search(file):
        raise Refused(f"{file} is not a model that answers. Name another file of the repository.")
    return file


def nothing_fits(repo: str, sizes: Mapping[str, int], wanted: str | None) -> str:
    """Why :func:`choose` finds nothing, in one line."""
    models = sorted(name for name in sizes if _is_model(name))
    whole = [name for name in models if not _PART.search(name)]
    if wanted is not None and whole:
        return f"{repo} has no GGUF file of {wanted}. It has {_some(whole)}."
    if models:
        return (
            f"{repo} has its GGUF files in parts only, which are not read here. Take a "
            "repository with a smaller model, or join them with llama-gguf-split."
        )
    return (
        f"{repo} has no GGUF file that answers. Repositories with such files often have "
        "GGUF in their name."
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
