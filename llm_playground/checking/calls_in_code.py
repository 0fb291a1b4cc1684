"""The calls in a notebook's cells, as far as their code shows them without being executed."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from IPython.core.error import UsageError
from IPython.core.inputtransformer2 import TransformerManager

from llm_playground import config
from llm_playground.catalog import capabilities
from llm_playground.checking.notebook_file import Cell
from llm_playground.errors import LLMError
from llm_playground.magics import command_lines, input_lines
from llm_playground.magics.options import PromptOptions, read_cell_line, read_line

_PACKAGE = "llm_playground"
# The functions that send, with the names of their first two arguments.
_SENDING = {
    **dict.fromkeys(
        ("ask", "complete", "stream", "ask_with_tools", "complete_with_tools"), ("prompt", "model")
    ),
    "compare": ("prompt_or_prompts", "models"),
}
# Functions whose calls depend on what happens when the notebook runs.
_OPAQUE = frozenset({"Playground", "resume", "record"})
_NEEDS_RUNNING = frozenset({"messages", "files", "cases"})
# What a cell may execute never, or more than once.
_MAYBE = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.If, ast.IfExp),
    *(ast.BoolOp, ast.ExceptHandler, ast.Match, ast.comprehension),
)
_PYTHON_MAGICS = frozenset({"time", "timeit", "capture", "prun"})
_HARMLESS_MAGICS = frozenset({"load_ext", "reload_ext", "env", "matplotlib", "time", "timeit"})
_KNOWN_MODULES = sys.stdlib_module_names | {_PACKAGE, "numpy", "pandas", "matplotlib", "IPython"}
_CHANGES_FOLDER = frozenset({"chdir", "cd"})
_MODE_VARIABLE = re.compile(r"LLM_PLAYGROUND_MODE(?:\s*=\s*|\s+)(\w+)")
_IN_CI = "set LLM_PLAYGROUND_MODE=replay in CI"
_LIVE_COMMENT = re.compile(r"#[ \t]*llm:[ \t]*live\s*$", re.MULTILINE)
LIVE_TAG = "llm-live"
"""The tag of cells that send on purpose; in Python, the comment ``# llm: live`` is the same."""
_ON_PURPOSE = "or mark the cell # llm: live"

Answers: TypeAlias = Literal["recorded", "local", "live"]
"""Where a call gets its answer in CI: a call of the model ``local`` needs no recording, and one of
a cell that is marked as live is sent."""


@dataclass(frozen=True, slots=True)
class CallInCode:
    """A call of a cell: its prompts and models, None where only running shows them.

    ``times`` is how often each prompt is asked. A call that is not ``certain`` may be made never.
    """

    cell: int
    prompts: tuple[str, ...] | None
    models: tuple[str, ...] | None
    times: int = 1
    certain: bool = True
    answers: Answers = "recorded"


@dataclass(slots=True)
class Code:
    """What the code of a notebook shows.

    ``remarks`` are pairs of cell and sentence about what replay does not serve. ``recording`` is
    the file that a cell sets, ``""`` if only running shows it. ``is_whole`` is whether no other
    call can be made than ``calls``, ``replays`` whether a cell sets mode ``replay``.
    """

    calls: list[CallInCode] = field(default_factory=list)
    remarks: list[tuple[int, str]] = field(default_factory=list)
    recording: str | None = None
    is_whole: bool = True
    replays: bool = False


class CodeReader:
    """Reads the code cells of one notebook, in order."""

    def __init__(self) -> None:
        self.code = Code()
        self._modules: set[str] = set()  # names of the package
        self._functions: dict[str, str] = {}  # names of its functions, by local name
        self._manager = TransformerManager()
        input_lines.install(self._manager)
        self._cell = 0
        self._is_marked = False  # the cell, as live
        self._is_live = False  # the mode, set in a marked cell
        self._model: object = None  # the default one, None unless a cell sets it
        self._folder_changes = False

    def read(self, number: int, source: str, *, is_live: bool = False) -> None:
        """Read a code cell; ``is_live`` is whether it is marked so."""
        self._cell, self._is_marked = number, is_live
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about the notebook's own code
                tree = ast.parse(self._manager.transform_cell(source.replace("\r\n", "\n")))
            self._visit(tree, certain=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.code.is_whole = False

    def _visit(self, node: ast.AST, *, certain: bool) -> None:
        match node:
            case ast.Import(names) | ast.ImportFrom(names=names, module=None):
                self._imported(names, "")
            case ast.ImportFrom(names=names, module=str(module)):
                self._imported(names, module)
            case ast.Call(ast.Name(name) | ast.Attribute(attr=name)) if name in _CHANGES_FOLDER:
                self._folder_changes = True
            case ast.Call() if self._called(node, certain=certain):
                for one in (*node.args, *node.keywords):
                    self._visit(one, certain=certain)
                return
            case ast.Attribute(ast.Name(base), name) if base in self._modules:
                self.code.is_whole &= name not in (_SENDING.keys() | _OPAQUE)  # passed on
                return
            case ast.Name(name) if name in self._modules or name in self._functions:
                self.code.is_whole = False
        inner = certain and not isinstance(node, _MAYBE)
        for child in ast.iter_child_nodes(node):
            self._visit(child, certain=inner)

    def _imported(self, names: Sequence[ast.alias], module: str) -> None:
        for one in names:
            local, top = one.asname or one.name.partition(".")[0], (module or one.name)
            if module == _PACKAGE and one.name == "*":
                self._functions |= {name: name for name in (*_SENDING, *_OPAQUE, "configure")}
            elif module == _PACKAGE:
                self._functions[local] = one.name
            elif one.name.partition(".")[0] == _PACKAGE and not module:
                self._modules.add(local)
            elif top.partition(".")[0] not in _KNOWN_MODULES:
                self.code.is_whole = False  # it may make calls of its own

    def _called(self, call: ast.Call, *, certain: bool) -> bool:
        """Note a call of the package or of a magic; whether it is one."""
        match call.func:
            case ast.Attribute(ast.Name(base), name) if base in self._modules:
                self._function(name, call, certain=certain)
            case ast.Name(local) if local in self._functions:
                self._function(self._functions[local], call, certain=certain)
            case ast.Attribute(ast.Call(ast.Name("get_ipython")), str(kind)):
                self._magic(kind, [_literal(one) for one in call.args], certain=certain)
            case ast.Name("exec" | "eval"):
                self.code.is_whole = False
                return False
            case _:
                return False
        return True

    def _function(self, name: str, call: ast.Call, *, certain: bool) -> None:
        given = {one.arg: _literal(one.value) for one in call.keywords}
        if name == "configure":
            self._configured(given)
        elif name in _OPAQUE:
            chosen = given.get("models") if name == "Playground" else _UNKNOWN
            self._add(CallInCode(self._cell, None, _as_texts(chosen), certain=False), chosen)
        elif name in _SENDING:
            given |= zip(_SENDING[name], map(_literal, call.args), strict=False)
            self._remark_on_fresh(given.get("fresh"), "fresh=True")
            found = _call_of(self._cell, name, given, certain=certain)
            self._add(found, _UNKNOWN if None in given else given.get(_SENDING[name][1]))

    def _add(self, call: CallInCode, model: object) -> None:
        """Note a call; ``model`` is its argument, None for the default model."""
        if self._is_marked or self._is_live:
            call = replace(call, answers="live")
        elif model is None or call.models:
            default = config.default_model() if self._model is None else self._model
            if all(map(_is_local, call.models or (default,))):
                call = replace(call, answers="local")
        self.code.calls.append(call)

    def _configured(self, given: dict[str | None, Any]) -> None:
        mode, model = given.get("mode"), given.get("model")
        if isinstance(mode, str):
            before = f'lp.configure(mode="{mode}") comes before LLM_PLAYGROUND_MODE'
            self._mode_set(mode, before)
        if model is not None:
            self._model = model
        if "recording" in given:
            path = given["recording"]
            is_known = isinstance(path, str) and not self._folder_changes
            self.code.recording = path if is_known else ""

    def _mode_set(self, mode: str, sentence: str) -> None:
        """Note a change of the mode, which a marked cell makes on purpose."""
        self._is_live = mode != "replay" and self._is_marked
        self.code.replays |= mode == "replay"
        if mode != "replay":
            self._remark(f"{sentence}: remove it")

    def _remark_on_fresh(self, value: object, written: str) -> None:
        if value is True:
            self._remark(f"{written} sends in every mode, so replay needs a key there: remove it")

    def _remark(self, sentence: str) -> None:
        """Note what replay does not serve, unless the cell is marked."""
        if not self._is_marked:
            self.code.remarks.append((self._cell, f"{sentence}, and {_IN_CI}, {_ON_PURPOSE}"))

    def _magic(self, kind: str, arguments: list[Any], *, certain: bool) -> None:
        match kind, arguments:
            case "run_line_magic", ["llm", str(line)]:
                self._line(line.removeprefix(input_lines.AS_VALUE), certain=certain)
            case "run_cell_magic", ["llm", str(line), str(body)]:
                self._prompt_cell(line, body, certain=certain)
            case "run_cell_magic", [str(name), _, str(body)] if name in _PYTHON_MAGICS:
                is_whole = self.code.is_whole
                self.read(self._cell, body, is_live=self._is_marked)
                self.code.is_whole &= is_whole
            case "run_line_magic", ["env" | "set_env", str(line)]:
                found = _MODE_VARIABLE.search(line)
                if found:
                    self._mode_set(found[1], f"%env sets the mode {found[1]}")
            case "run_line_magic", ["cd", *_]:
                self._folder_changes = True
            case "run_line_magic", [str(name), *_] if name in _HARMLESS_MAGICS | {"pinfo", "llm"}:
                pass
            case "run_line_magic" | "run_cell_magic" | "system" | "getoutput", _:
                self.code.is_whole = False

    def _line(self, line: str, *, certain: bool) -> None:
        name, rest = command_lines.asking(line)
        with suppress(UsageError):
            if name is not None:
                self._command(rest, certain=certain)
            elif line.lstrip().startswith("-") or command_lines.command(line) is None:
                found = read_line(line)
                if found.prompt.strip() or found.options.prompt is not None:
                    self._prompt(found.prompt, found.options, certain=certain)
            else:
                self._setting(rest.split())

    def _setting(self, words: list[str]) -> None:
        match words:
            case ["replay", "on"]:
                self._mode_set("replay", "")
            case ["replay", "off" | "record" as act]:
                self._mode_set(act, f"%llm replay {act} ends mode replay")
            case ["use", model]:
                self._model = model

    def _command(self, rest: str, *, certain: bool) -> None:
        """A turn of ``%llm chat``, or ``%llm fix``."""
        models = read_line(rest).options.model or None
        self._add(CallInCode(self._cell, None, models, certain=certain), models)

    def _prompt_cell(self, line: str, body: str, *, certain: bool) -> None:
        name, rest = command_lines.asking(line)
        with suppress(UsageError):
            if name is not None:
                self._command(rest, certain=certain)
            elif not (found := read_cell_line(line)).wants_help:
                self._prompt(body, found.options, certain=certain)

    def _prompt(self, text: str, options: PromptOptions, *, certain: bool) -> None:
        self._remark_on_fresh(options.fresh, "--fresh")
        if options.dry_run:
            return
        is_known = options.prompt is None and not options.file
        is_known &= options.raw or "{{" not in text
        models = options.model or None
        times = options.iterations * len(options.model or (1,))
        prompts = (text.strip("\n"),) if is_known else None
        # A saved prompt may have a model.
        model = models or (None if options.prompt is None else _UNKNOWN)
        self._add(CallInCode(self._cell, prompts, models, times, certain), model)


def _call_of(cell: int, name: str, given: dict[str | None, Any], *, certain: bool) -> CallInCode:
    first, second = _SENDING[name]
    prompts, models = _as_texts(given.get(first)), _as_texts(given.get(second))
    fills = given.get("variables") is not None
    if prompts and (
        None in given  # **options
        or any(given.get(one) is not None for one in _NEEDS_RUNNING)
        or (fills and any("{{" in one for one in prompts))
    ):
        prompts = None
    counts = [given.get(one) for one in ("n", "iterations")]
    times = max((one for one in counts if isinstance(one, int)), default=1)
    each = len(models) if models and name == "compare" else 1
    return CallInCode(cell, prompts, models, max(times, 1) * each, certain)


class _Unknown:
    """The value of code that must be executed to be known."""


_UNKNOWN = _Unknown()


def _literal(node: ast.AST) -> Any:  # noqa: ANN401 - a literal of any type
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _UNKNOWN


def _is_local(model: object) -> bool:
    with suppress(LLMError):
        return isinstance(model, str) and capabilities.resolve_model(model).startswith("local:")
    return False


def _as_texts(value: object) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, str) for one in value):
        return tuple(value)
    return None


def calls_in(cells: Iterable[Cell]) -> Code:
    """What the code cells of a notebook show."""
    reader = CodeReader()
    for cell in cells:
        if cell.is_code:
            is_live = LIVE_TAG in cell.tags or _LIVE_COMMENT.search(cell.source) is not None
            reader.read(cell.number, cell.source, is_live=is_live)
    return reader.code
