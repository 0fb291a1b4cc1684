"""Values that programs, crashes and attackers could leave in files."""

from llm_playground.widget.drafts import MOST_BYTES

HOSTILE = (
    *(b"", b"\x00\xff\xfe", b"{", b"[]", b"null", b"[" * 100_000, b'"x"', b"1e999", b"9" * 10_000),
    *(b'{"format": "llm_playground.draft"}', b"x" * (MOST_BYTES + 1)),
)


def any_json(random_, depth=3):
    """A random JSON value."""
    kinds = ["none", "bool", "int", "float", "text", "list", "dict"][: 7 if depth else 5]
    match random_.choice(kinds):
        case "bool":
            return random_.random() < 0.5
        case "int":
            return random_.choice([0, -1, 10**30])
        case "float":
            return random_.choice([0.5, -1e300])
        case "text":
            return random_.choice(["", "a", "\ud800", "<img src=x>", "2026-01-01"])
        case "list":
            return [any_json(random_, depth - 1) for _ in range(3)]
        case "dict":
            return {str(n): any_json(random_, depth - 1) for n in range(2)}
    return None
