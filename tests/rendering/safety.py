"""What a browser's parser makes of HTML, and what of it may do something by itself."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

HTML = frozenset(
    {
        *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code"),
        *("ul", "ol", "li", "strong", "em", "s", "a", "span"),
        *("table", "thead", "tbody", "tr", "th", "td"),
        *("u", "sub", "sup", "kbd", "mark", "small"),
    }
)
MATHML = frozenset(
    {
        *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mpadded", "mphantom", "mstyle"),
        *("mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover"),
        *("mmultiscripts", "mprescripts", "mtable", "mtr", "mtd", "menclose"),
    }
)
OF_HTML = {
    ("a", "href"): "(https?:|mailto:).*",
    ("a", "title"): ".*",
    ("a", "rel"): "noopener noreferrer nofollow",
    ("ol", "start"): r"\d+",
    ("th", "align"): "left|center|right",
    ("td", "align"): "left|center|right",
    ("code", "class"): r"language-[\w.+#-]+",
    ("span", "class"): "tok-(atom|attribute|builtin|comment|def|deleted|header|inserted|keyword"
    "|meta|number|operator|string|tag|variable)",
}
SWITCH, LENGTH = "true|false", r"-?[\d.]+(em|ex|rem|pt)?"
OF_MATHML = {
    **dict.fromkeys(("displaystyle", "stretchy", "symmetric", "fence", "separator"), SWITCH),
    **dict.fromkeys(("largeop", "accent", "accentunder", "movablelimits"), SWITCH),
    **dict.fromkeys(("lspace", "rspace", "width", "height", "depth", "voffset"), LENGTH),
    **dict.fromkeys(("minsize", "maxsize", "linethickness"), LENGTH),
    "class": "math-[a-z]+( math-[a-z]+)*",
    "columnspan": r"\d+",
    "display": "block",
    "form": "prefix|infix|postfix",
    "mathcolor": "#[0-9A-Fa-f]{6}",
    "mathvariant": "normal",
    "notation": "[a-z ]+",
    "scriptlevel": r"[+-]?\d",
}


def faults(html: str) -> list[str]:
    """Everything in ``html`` that an answer must not bring into a page."""
    page = LexborHTMLParser(f'<!doctype html><body><div id="answer">{html}</div><i>after</i>')
    assert page.body is not None
    answer = page.body.child
    found = []
    if page.head is not None and page.head.child is not None:
        found.append("something went into the head")
    if answer is None or answer.next is None or answer.next.tag != "i":
        found.append("what follows is not where it was")
    if answer is not None:
        found += [fault for node in _inside(answer) for fault in _faults_of(node)]
    return found


def _inside(node: LexborNode) -> Iterator[LexborNode]:
    return (inner for inner in node.traverse(include_text=False) if inner != node)


def _faults_of(node: LexborNode) -> Iterator[str]:
    tag = node.tag or ""
    if tag not in (MATHML if _in_formula(node) else HTML):
        yield f"element {tag}"
    for name, value in node.attributes.items():
        if name == "dir" and value in {"auto", "ltr", "rtl"}:
            continue
        pattern = OF_MATHML.get(name) if tag in MATHML else OF_HTML.get((tag, name))
        if pattern is None or not re.fullmatch(pattern, value or "", re.DOTALL):
            yield f"attribute {name}={value!r} of {tag}"


def _in_formula(node: LexborNode) -> bool:
    above: LexborNode | None = node
    while above is not None and above.tag != "math":
        above = above.parent
    return above is not None
