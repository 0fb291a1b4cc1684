"""Texts that were compressed: zlib bytes in ``texts_gz``, each row's for itself.

For itself, so that any one can be taken away for good. In a view they are NULL; what reads texts
unpacks them here.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_LEVEL = 9
# How a frame that is to be unpacked names the bytes of the answer and of the prompt.
PACKED = {"_result_gz": "r.texts_gz", "_prompt_gz": "p.texts_gz"}


def pack(texts: Mapping[str, str | None]) -> bytes:
    """Texts by column, as the bytes of ``texts_gz``; those that are None are not in it.

    >>> unpack(pack({"response_text": "hello", "reasoning_text": None}))
    {'response_text': 'hello'}
    """
    known = {name: text for name, text in texts.items() if text is not None}
    return zlib.compress(json.dumps(known, ensure_ascii=False).encode(), _LEVEL)


def unpack(packed: bytes) -> dict[str, str]:
    """The texts by column.

    Raises:
        ValueError: It is not what :func:`pack` gives.
    """
    try:
        texts = json.loads(zlib.decompress(packed))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    return dict(texts)


def unpacked(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its texts back where they were, without the columns of :data:`PACKED`."""
    for column in PACKED:
        known = frame[column].notna()
        for index, packed in frame.loc[known, column].items():
            for name, text in unpack(bytes(packed)).items():
                if name in frame.columns:
                    frame.loc[index, name] = text
    return frame.drop(columns=list(PACKED))
