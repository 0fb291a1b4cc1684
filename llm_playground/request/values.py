r"""The text of a value in a prompt: the whole value, in a form that models read well.

Tables are CSV: it has every value once, quotes line breaks, costs the fewest tokens, and every
model has read much of it. A column of row labels is added where they are not just 0, 1, 2, ....
Floating-point numbers have all their digits, missing values are ``NaN``, dates are in ISO 8601.
Arrays are lists, one row of a matrix on a line. Lists and dicts look as Python writes them.

The types of pandas, numpy, polars, pyarrow, scipy, torch and xarray are recognised by the names of
their classes: no library is imported here.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from llm_playground import config
from llm_playground.errors import TemplateError
from llm_playground.formatting import count

_TIMES = " \N{MULTIPLICATION SIGN} "
_FEWEST_CHARS = 2  # of one cell, with the comma after it
_ADDRESS = re.compile(r"<.{1,300} at 0x[0-9A-Fa-f]+>", re.DOTALL)
_WRITTEN_AS_STR = ("datetime", "decimal", "fractions", "uuid", "pathlib", "pandas", "numpy")
_TEXT_TYPES = ("str", "string")
_DICTS = (dict, OrderedDict, defaultdict, Counter)
_BRACKETS: dict[type, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}", deque: "[]"}

Write: TypeAlias = Callable[[Any], str]


def text_of(name: str, value: object) -> str:
    """The text of the value that ``{{name}}`` stands for.

    Raises:
        TemplateError: It has no text, or more than ``configure(max_value_chars=...)`` allows. Text
            itself may have any length.

    >>> text_of("n", 3), text_of("words", ["a", "b"])
    ('3', "['a', 'b']")
    """
    if isinstance(value, str):
        return str(value)
    most = config.settings().max_value_chars
    at_least = fewest_characters(value)
    if most is not None and at_least > most:  # not converted, which could take minutes
        raise TemplateError(_too_large(name, value, f"at least {at_least:,}", most))
    try:
        text = as_text(value)
    except TemplateError as error:
        raise TemplateError(f"{{{{{name}}}}} {error}") from None
    except Exception as error:  # RecursionError, an integer too long, a class of the user
        raise TemplateError(
            f"{{{{{name}}}}} is of type {type(value).__name__} and cannot be written as text "
            f"({type(error).__name__}). Make its text in a cell and name that."
        ) from None
    if most is not None and len(text) > most:
        raise TemplateError(_too_large(name, value, f"{len(text):,}", most))
    return text


def as_text(value: object) -> str:
    """The text of a value, whole.

    Raises:
        TemplateError: It has none; the message lacks its subject.
    """
    writer = _writer_of(value)
    if writer is not None:
        return writer.write(value)
    text = str(value)
    if _ADDRESS.fullmatch(text):
        kind = type(value).__name__
        raise TemplateError(
            f"({kind}) has no text. Put its text in a variable; pictures go in images=."
        )
    return text


def sent_as(value: object) -> str:
    """How a value is sent, in words; empty where it is as it looks."""
    writer = _writer_of(value)
    return "" if writer is None else writer.form


def fewest_characters(value: object) -> int:
    """A lower bound of the length of a value's text, from its size alone."""
    return _FEWEST_CHARS * items_in(value)


def items_in(value: object) -> int:
    """The number of values in a table, an array or a container; 0 if unknown."""
    writer = _writer_of(value)
    if writer is None or not writer.form:
        return len(value) if type(value) in (*_BRACKETS, *_DICTS) else 0  # type: ignore[arg-type] # these have a length
    shape = getattr(value, "shape", ())
    total = 1
    for size in shape if isinstance(shape, tuple) else ():
        total *= size if isinstance(size, int) else 1
    stored = getattr(value, "nnz", None)  # of a sparse matrix
    return stored if isinstance(stored, int) else total


def shape_in_words(value: object) -> str:
    """The type and size of a table or array.

    >>> shape_in_words([1, 2])
    'list, 2 items'
    """
    kind, shape = type(value).__name__, getattr(value, "shape", None)
    if not isinstance(shape, tuple) or not shape:
        return f"{kind}, {count(items_in(value), 'item')}" if items_in(value) else kind
    if len(shape) == 2 and sent_as(value) == _CSV:
        return f"{kind}, {count(shape[0], 'row')}{_TIMES}{count(shape[1], 'column')}"
    return f"{kind}, {_TIMES.join(f'{size:,}' for size in shape)}"


def _too_large(name: str, value: object, size: str, most: int) -> str:
    form = sent_as(value)
    return (
        f"{{{{{name}}}}} ({shape_in_words(value)}) has {size} characters{form and f' as {form}'}, "
        f"and {most:,} are allowed. Nothing was sent. Name a part of it, such as "
        f"part = {name}[:100], or send all of it: lp.configure(max_value_chars=None)."
    )


def _csv_of_pandas(frame: Any) -> str:  # noqa: ANN401 - a DataFrame
    nested = [
        at
        for at, dtype in enumerate(frame.dtypes)
        if getattr(dtype, "kind", "O") == "O" and str(dtype) not in _TEXT_TYPES
    ]
    if nested:
        frame = frame.copy(deep=False)
        for at in nested:
            frame.isetitem(at, frame.iloc[:, at].map(_cell))
    index = frame.index
    is_range = type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)
    has_labels = not is_range or index.name is not None
    return str(frame.to_csv(index=has_labels, na_rep="NaN", lineterminator="\n")).rstrip("\n")


def _csv_of_series(series: Any) -> str:  # noqa: ANN401 - a Series
    return _csv_of_pandas(series.to_frame("value" if series.name is None else series.name))


def _csv_of_columns(names: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_plain_cell(cell) for cell in row] for row in rows)
    return written.getvalue().rstrip("\n")


def _cell(value: object) -> object:
    """A cell of a column of objects: an array or container in it is written whole."""
    return value if _writer_of(value) is None else as_text(value)


def _plain_cell(value: object) -> object:
    return "NaN" if value is None or str(value) == "nan" else _cell(value)


def _csv_of_polars(frame: Any) -> str:  # noqa: ANN401 - a polars DataFrame
    if any(dtype.is_nested() or dtype.is_object() for dtype in frame.dtypes):
        return _csv_of_columns(frame.columns, frame.iter_rows())
    return str(frame.write_csv(null_value="NaN")).rstrip("\n")


def _csv_of_arrow(table: Any) -> str:  # noqa: ANN401 - a pyarrow Table or RecordBatch
    columns = [column.to_pylist() for column in table.columns]
    return _csv_of_columns(table.schema.names, zip(*columns, strict=True))


def _list_of_array(array: Any) -> str:  # noqa: ANN401 - a numpy array
    if array.dtype.names:  # a table of records
        return _csv_of_columns(array.dtype.names, array.reshape(-1).tolist())
    if not array.shape:
        return _item(array.item())
    if len(array.shape) > 1:
        return "[" + ",\n ".join(map(_list_of_array, array)) + "]"
    if array.dtype.kind in "OUSVT" or hasattr(array, "mask"):
        return _sequence(array.tolist(), "[]")
    # By numpy: Python's own numbers would show digits that a float32 does not have.
    return f"[{', '.join(array.astype(str).tolist())}]"


def _list_of_tensor(tensor: Any) -> str:  # noqa: ANN401 - a torch tensor
    try:
        return _list_of_array(tensor.detach().cpu().numpy())
    except TypeError:  # bfloat16, which numpy lacks
        return _item(tensor.detach().tolist())


def _csv_of_sparse(matrix: Any) -> str:  # noqa: ANN401 - a scipy matrix or array
    coordinates = matrix.tocoo()
    triples = zip(coordinates.row.tolist(), coordinates.col.tolist(), coordinates.data, strict=True)
    sizes = _TIMES.join(map(str, matrix.shape))
    cells = _csv_of_columns(("row", "column", "value"), triples)
    return f"sparse {sizes}, all other values are 0\n{cells}"


def _csv_of_labelled_array(array: Any) -> str:  # noqa: ANN401 - an xarray DataArray
    return str(as_text(array.item())) if not array.dims else _csv_of_series(array.to_series())


def _refused_lazy(_frame: object) -> str:
    raise TemplateError("(LazyFrame) is not computed yet. Put its .collect() in a variable.")


def _sequence(items: Iterable[object], brackets: str) -> str:
    written = list(map(_item, items))
    opening, closing = brackets[0], brackets[1]
    last = "," if brackets == "()" and len(written) == 1 else ""
    return f"{opening}{', '.join(written)}{last}{closing}"


def _item(value: object) -> str:
    """A value inside a container: as ``repr``, but dates and numbers as a person writes them."""
    if value is None or isinstance(value, (str, bytes, bool)):
        return repr(value)
    writer = _writer_of(value)
    if writer is not None:
        return writer.write(value)
    module = type(value).__module__.partition(".")[0]
    return str(value) if module in _WRITTEN_AS_STR else repr(value)


def _list(value: Any) -> str:  # noqa: ANN401 - a list, tuple, set or deque
    if any(sent_as(item) == _CSV for item in value):
        return "\n\n".join(map(_item, value))
    if not value and type(value) in (set, frozenset):
        return "set()"
    return _sequence(value, _BRACKETS[type(value)])


def _dict(value: Mapping[Any, Any]) -> str:
    if any(sent_as(item) == _CSV for item in value.values()):
        return "\n\n".join(f"{name}:\n{_item(item)}" for name, item in value.items())
    return "{" + ", ".join(f"{_item(name)}: {_item(item)}" for name, item in value.items()) + "}"


def _dataclass(value: Any) -> str:  # noqa: ANN401 - an instance of a dataclass
    fields = [f for f in dataclasses.fields(value) if f.repr]
    items = ", ".join(f"{f.name}={_item(getattr(value, f.name))}" for f in fields)
    return f"{type(value).__qualname__}({items})"


@dataclasses.dataclass(frozen=True, slots=True)
class _Writer:
    write: Write
    form: str = ""


_CSV, _LIST = "CSV", "a list"
# By the library and the name of the class, or of a class that it inherits from.
_WRITERS: dict[tuple[str, str], _Writer] = {
    ("pandas", "DataFrame"): _Writer(_csv_of_pandas, _CSV),
    ("pandas", "Series"): _Writer(_csv_of_series, _CSV),
    ("pandas", "Styler"): _Writer(lambda styler: _csv_of_pandas(styler.data), _CSV),
    ("pandas", "Index"): _Writer(lambda index: _sequence(index.tolist(), "[]"), _LIST),
    ("pandas", "ExtensionArray"): _Writer(lambda array: _sequence(array.tolist(), "[]"), _LIST),
    ("numpy", "ndarray"): _Writer(_list_of_array, _LIST),
    ("numpy", "generic"): _Writer(str),
    ("polars", "DataFrame"): _Writer(_csv_of_polars, _CSV),
    ("polars", "Series"): _Writer(lambda series: _csv_of_polars(series.to_frame()), _CSV),
    ("polars", "LazyFrame"): _Writer(_refused_lazy),
    ("pyarrow", "Table"): _Writer(_csv_of_arrow, _CSV),
    ("pyarrow", "RecordBatch"): _Writer(_csv_of_arrow, _CSV),
    ("pyarrow", "Array"): _Writer(lambda array: _sequence(array.to_pylist(), "[]"), _LIST),
    ("pyarrow", "ChunkedArray"): _Writer(lambda array: _sequence(array.to_pylist(), "[]"), _LIST),
    ("scipy", "_spbase"): _Writer(_csv_of_sparse, _CSV),
    ("torch", "Tensor"): _Writer(_list_of_tensor, _LIST),
    ("xarray", "DataArray"): _Writer(_csv_of_labelled_array, _CSV),
    ("xarray", "Dataset"): _Writer(lambda data: _csv_of_pandas(data.to_dataframe()), _CSV),
}


def _writer_of(value: object) -> _Writer | None:
    """How a value is written where ``str`` would not write it whole, None if it does."""
    kind = type(value)
    if kind in _BRACKETS:
        return _Writer(_list)
    if kind in _DICTS:
        return _Writer(_dict)
    if kind.__module__ == "builtins":
        return None
    for base in kind.__mro__[:-1]:
        writer = _WRITERS.get((base.__module__.partition(".")[0], base.__name__))
        if writer is not None:
            return writer
    generated = getattr(getattr(kind, "__repr__", None), "__wrapped__", None)
    if dataclasses.is_dataclass(kind) and generated is not None and kind.__str__ is object.__str__:
        return _Writer(_dataclass)
    return _as_array(value)


def _as_array(value: Any) -> _Writer | None:  # noqa: ANN401 - an array of any other library
    """Arrays of other libraries (JAX, TensorFlow, CuPy), which numpy can read."""
    if callable(getattr(type(value), "__array__", None)) and isinstance(
        getattr(value, "shape", None), tuple
    ):
        return _Writer(lambda array: _list_of_array(array.__array__()), _LIST)
    return None
