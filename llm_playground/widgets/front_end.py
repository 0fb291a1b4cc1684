"""The view's JavaScript modules as the one that anywidget loads, and its styles.

anywidget imports ``_esm`` from a Blob URL, where a relative import leads nowhere. So the modules,
each of which Node.js can import and test alone, are joined: their imports of each other and the
word ``export`` go, what they declare stays. Top-level names are therefore unique among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_VIEW = Path(__file__).parent / "view"
# A module comes after those that it uses when it is loaded.
_MODULES = (
    *("keys", "panes", "choices", "dom", "link", "dialog", "keysdialog", "clipboard", "menu"),
    *("refill", "modellist", "keyhelp", "picker"),
    *("values", "undo", "presets", "dial", "parameters"),
    *("textbox", "turns", "variables", "pictures", "prompts"),
    *("price", "override", "pricedialog", "runbar"),
    *("rich", "growing", "difference", "vicinity", "pane", "answers", "survival", "saved"),
    *("timeline", "wire", "code", "export", "history", "save", "tools", "playground"),
)
_STYLES = (
    *("base", "menu", "models", "form", "prompts", "parameters", "runbar", "answers", "rich"),
    *("dialogs", "saved", "tools", "drawers"),
)

_RELATIVE_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w.]+";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)


def joined(modules: Iterable[Path]) -> str:
    """The modules as one, in the order given; ``export default`` of the last one stays."""
    texts = (module.read_text("utf-8") for module in modules)
    return "\n".join(_EXPORT.sub("", _RELATIVE_IMPORT.sub("", text)) for text in texts)


def script() -> str:
    """The view's modules as one."""
    return joined(_VIEW / f"{module}.js" for module in _MODULES)


def style() -> str:
    """The view's styles as one."""
    return "\n".join((_VIEW / f"{name}.css").read_text("utf-8") for name in _STYLES)
