"""Several JavaScript modules as the one that anywidget loads.

anywidget imports ``_esm`` from a Blob URL, where a relative import leads nowhere. So the modules,
each of which Node.js can import and test alone, are joined: their imports of each other and the
word ``export`` go, what they declare stays. Top-level names are therefore unique among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_RELATIVE_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w.]+";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)


def joined(modules: Iterable[Path]) -> str:
    """The modules as one, in the order given; ``export default`` of the last one stays."""
    texts = (module.read_text("utf-8") for module in modules)
    return "\n".join(_EXPORT.sub("", _RELATIVE_IMPORT.sub("", text)) for text in texts)
