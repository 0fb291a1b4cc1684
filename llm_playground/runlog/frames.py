"""Columns of a database as pandas knows them, alike from both engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def frame(columns: Mapping[str, Any], kinds: Sequence[str]) -> pd.DataFrame:
    """UTC times with their zone, ids as str, unknown as NA.

    Not DuckDB's ``.df()``: for times with a zone it warns under pandas 3.1, and rows need ``pytz``.

    Args:
        columns: Masked numpy arrays by name.
        kinds: DuckDB's type of each column, in order.
    """
    import pandas as pd

    typed = zip(columns.items(), kinds, strict=True)  # by place: equal names were told apart
    return pd.DataFrame({name: _series(values, kind) for (name, values), kind in typed})


def _series(values: Any, kind: str) -> pd.Series[Any]:  # noqa: ANN401 - any numpy array
    import numpy as np
    import pandas as pd

    mask = np.ma.getmaskarray(values)
    plain = np.ma.getdata(values)
    if plain.dtype.kind in "iu":
        wide = plain if plain.dtype == "uint64" else plain.astype("int64")
        return pd.Series(pd.arrays.IntegerArray(wide, mask))
    if plain.dtype.kind == "b":
        return pd.Series(pd.arrays.BooleanArray(plain, mask))
    if plain.dtype.kind == "f":
        return pd.Series(np.where(mask, np.nan, plain))
    if plain.dtype.kind in "mM":
        times = pd.Index(np.where(mask, np.array("NaT", plain.dtype), plain))
        if isinstance(times, pd.DatetimeIndex) and kind == "TIMESTAMP WITH TIME ZONE":
            times = times.tz_localize("UTC")
        return pd.Series(times)
    text = kind in ("VARCHAR", "JSON", "UUID") or kind.startswith("ENUM")
    objects = [
        None if hidden else (str(value) if kind == "UUID" else value)
        for value, hidden in zip(plain, mask, strict=True)
    ]
    return pd.Series(objects, dtype="str" if text else "object")
