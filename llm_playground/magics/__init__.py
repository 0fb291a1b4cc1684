"""``%llm`` and ``%%llm``: ask from a cell, and run commands.

An option is a row of ``OPTIONS`` (:mod:`llm_playground.magics.options`), a command a row of
``COMMANDS`` (:mod:`llm_playground.magics.command_lines`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from llm_playground import redaction, rendering
from llm_playground.magics import chat, commands, completion, failures, input_lines
from llm_playground.magics.command_lines import asking, command, help_text
from llm_playground.magics.options import (
    Line,
    naming_options,
    read_cell_line,
    read_line,
    usage_error,
)
from llm_playground.magics.question import Question, answered
from llm_playground.types import Run

if TYPE_CHECKING:
    from llm_playground.magics.question import Result
    from llm_playground.request.messages import Turn

_WARM_UP_S = 1.0
_ASKS_HELP = ("", "?", "??")


@magics_class
class LLMMagics(Magics):
    """The ``%llm`` line magic and the ``%%llm`` cell magic."""

    @no_var_expand  # IPython would evaluate what stands in single braces
    @needs_local_scope  # for {{name}} in a function
    @line_cell_magic
    def llm(
        self,
        line: str,
        cell: str | None = None,
        local_ns: Mapping[str, object] | None = None,
    ) -> object:
        if cell is not None:
            self._ask_in_cell(line, cell, local_ns)
            return None
        is_value = line.startswith(input_lines.AS_VALUE)
        line = line.removeprefix(input_lines.AS_VALUE)
        if line.strip() in _ASKS_HELP:
            print(help_text())
            return None
        name, rest = asking(line)
        if name is None and not line.lstrip().startswith("-"):
            run_command = command(line, self._variables(local_ns))
            if run_command is not None:
                return run_command()
        if name is not None and rest.strip() in ("", *chat.ACTS) and name == "chat":
            chat.show() if not rest else chat.act(rest.strip())
            return None
        result = self._ask(name, read_line(rest), local_ns)
        return result if is_value else None

    llm.__doc__ = help_text()

    def _ask_in_cell(self, line: str, cell: str, local_ns: Mapping[str, object] | None) -> None:
        if line.strip() in ("?", "??", "help"):
            print(help_text())
            return
        name, rest = asking(line)
        found = read_cell_line(rest)
        self._ask(name, replace(found, prompt=cell), local_ns)

    def _ask(
        self, command_name: str | None, found: Line, local_ns: Mapping[str, object] | None
    ) -> Result | None:
        """Ask what a line or cell asks, as a prompt or by a command; None if it asks for help."""
        if found.wants_help:
            print(help_text(command_name))
            return None
        shell, options, text = self._shell(), found.options, found.prompt
        variables = self._variables(local_ns)
        earlier: Sequence[Turn] = ()
        if command_name == "chat":
            options = chat.options_of_turn(options)
            earlier = chat.current().earlier(raw=options.raw)
        elif command_name == "fix":
            failure = failures.newest(shell)
            text, options = failure.prompt(text.strip()), replace(options, raw=True)
        with naming_options():
            calls = Question(text, options, variables, earlier).plan()
            if command_name == "fix":
                print(f"{failure.cell}: {failure.error}")
            result = answered(calls, options, shell)
        if command_name == "chat" and isinstance(result, Run):
            chat.add(calls[0], result, options)
        if options.output:
            shell.user_ns[options.output] = result
        return result

    def _variables(self, local_ns: Mapping[str, object] | None) -> Mapping[str, object]:
        """The variables of the notebook, and of the function with the magic."""
        names: dict[str, object] = self._shell().user_ns
        return names if local_ns is None or local_ns is names else {**names, **local_ns}

    def _shell(self) -> InteractiveShell:
        if self.shell is None:  # IPython always registers magics on a shell
            raise usage_error("There is no IPython shell here.")
        return self.shell


def load(shell: InteractiveShell) -> None:
    """Register the magics; in a kernel, import in the background what the first call needs."""
    shell.register_magics(LLMMagics)
    input_lines.install(shell.input_transformer_manager)
    completion.install(shell)
    failures.install(shell)
    if shell.display_formatter is not None:
        shell.display_formatter.formatters["text/html"].for_type(Run, rendering.run_to_html)
    if hasattr(shell, "kernel"):
        timer = threading.Timer(_WARM_UP_S, _warm_up)
        timer.daemon = True
        timer.start()


def unload(shell: InteractiveShell) -> None:
    """Remove what :func:`load` has registered, and stop what ``%llm record`` has started."""
    commands.stop_recording()
    input_lines.remove(shell.input_transformer_manager)
    completion.remove(shell)
    failures.remove(shell)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("llm", None)
    if shell.display_formatter is not None:
        shell.display_formatter.formatters["text/html"].type_printers.pop(Run, None)


def _warm_up() -> None:
    from llm_playground import providers, rendering
    from llm_playground.catalog import models

    providers.provider_class("openai", "openai")  # its SDK: 0.6 s
    models.choices()  # the price list: 0.3 s
    rendering.to_html("$x$\n\n```python\nx\n```")  # Markdown, formulas, code
    redaction.redact("Bearer ")  # the patterns of keys
