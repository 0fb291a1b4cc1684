"""Upper bounds of the tokens of a text or an image, without the model's tokenizer.

**Text.** A byte is at most one token in byte-level BPE and in SentencePiece with byte fallback, so
digits, punctuation, capitals and all but ASCII count one for each byte. Lower-case letters other
than ``jkqvwxyz``, a space before them and runs of spaces count less: every two of them in a row
are one token in the vocabularies of GPT-3.5 and 4 (cl100k_base), GPT-4o and later (o200k_base),
Claude 2 and Gemini. So no two tokens of one character are neighbours, and a run of ``n`` has at
most ``(2 n + 1) / 3``. The most common English words are one token in all four. Claude 2 counts
compatibility characters as their NFKC form, which may be longer.

**Images.** The vendors' published rules, for the size in the image's header; without one, the
family's maximum: https://developers.openai.com/api/docs/guides/images-vision#calculating-costs,
https://platform.claude.com/docs/en/build-with-claude/vision,
https://ai.google.dev/gemini-api/docs/tokens and ``media-resolution``.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import partial
from math import ceil, inf

from llm_playground.parts import ImagePart
from llm_playground.request import images

_COMMON_WORDS = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had
an they which one you were all her she there would their we him been has when who will no more if
out so up said what its about than into them can only other time new some could these two may first
then do any like my now over such our man me even most made after also did many off before must
through back years where much your way well down should because each just those people how too
little state good very make world still see own work long here get both between life being under
never day same another know while last might us great old year come since against go came right
used take three
"""
# Classes of bytes: a letter, a space, anything else.
_CLASSES = bytes(
    ord("a") if chr(byte) in "abcdefghilmnoprstu" else ord(" ") if byte == 32 else ord(".")
    for byte in range(256)
)


def of_text(text: str) -> int:
    """The most tokens that a text can have in any of the tokenizers above.

    >>> of_text("31415"), of_text("naïve"), of_text("because of the weather")
    (5, 6, 14)
    """
    data = text.encode("utf-8", "surrogatepass")
    if not text.isascii():
        longer = unicodedata.normalize("NFKC", text).encode("utf-8", "surrogatepass")
        data = max(data, longer, key=len)
    classes = data.translate(_CLASSES)
    others = classes.count(b".")
    # Where a run starts; GPT's vocabularies split off the last of several spaces.
    starts = classes.startswith((b"a", b" ")) + sum(
        map(classes.count, (b".a", b". ", b"a ", b"  "))
    )
    tokens = others + ceil((2 * (len(data) - others) + starts) / 3)
    words = Counter(data.split(b" ")[1:])
    return tokens - sum(count * _SAVED.get(word, 0) for word, count in words.items())


def _saved(word: bytes) -> int:
    """By how many tokens, rounded down, the bound of a common word after a space exceeds one."""
    letters = word.translate(_CLASSES)
    others = letters.count(b".")
    runs = 1 + letters.count(b".a")
    return (others * 3 + 2 * (len(word) + 1 - others) + runs) // 3 - 1


_SAVED = {word: _saved(word) for word in _COMMON_WORDS.encode().split()}


# Tokens of an image by its width and height.
Rule = Callable[[int, int], float]


def _tiles(base: int, per_tile: int, width: int, height: int) -> float:
    """Tiles of 512 pixels, after scaling to 2,048 pixels and a shorter side of 768."""
    scale = min(768 / min(width, height), 2048 / max(width, height))
    tiles = ceil(width * scale / 512) * ceil(height * scale / 512)
    return max(base + per_tile * tiles, _patches(32, 1, 1536, width, height))


def _patches(side: int, each: float, most: float, width: int, height: int) -> float:
    """Squares of ``side`` pixels; an image with more than ``most`` is made smaller."""
    return each * min(ceil(width / side) * ceil(height / side), most)


def _of_claude(most: int, width: int, height: int) -> float:
    return min(max(width * height / 750, _patches(28, 1, most, width, height)), most)


def _of_gemini(width: int, height: int) -> float:
    """The crops of Gemini 2, 258 tokens each, or the most of Gemini 3's resolutions."""
    side = min(max(min(width, height) / 1.5, 256), 768)
    return max(258 * ceil(width / side) * ceil(height / side), 2240)


def _of_any(width: int, height: int) -> float:
    return max(_patches(28, 1, inf, width, height), _MOST_ELSEWHERE)


# The most of open models: 12.8 megapixels in squares of 28 pixels (Qwen2-VL's image processor).
_MOST_ELSEWHERE = 16_384
# The first row whose pattern the model's name contains applies: its rule, and the most tokens of an
# image of unknown size.
_FAMILIES: tuple[tuple[str, Rule, int], ...] = (
    (r"gpt-4o-mini", partial(_tiles, 2833, 5667), 48_169),
    (r"gpt-(4\.1|5|5\.[1-5])-(mini|nano)|\bo4-mini", partial(_patches, 32, 2.46, 1536), 3_779),
    (r"gpt-4|chatgpt-4|\bo[13]|gpt-5(\.1|-chat|-pro|-20|$)", partial(_tiles, 85, 170), 1_536),
    # Later models have budgets of 10,000 squares, or none.
    (r"gpt-|chatgpt|\bo\d", partial(_patches, 32, 2.46, inf), 24_600),
    (
        r"claude-([123]|haiku-4|sonnet-4|opus-4(-[0156]|-20|\.[0156]|$))",
        partial(_of_claude, 1600),
        1_600,
    ),
    (r"claude", partial(_of_claude, 4784), 4_784),
    (r"gemini|gemma", _of_gemini, 7_740),
    (r"", _of_any, _MOST_ELSEWHERE),
)


def of_image(model: str, part: ImagePart) -> int:
    """The most tokens of an image for a model, given as ``provider:name``.

    >>> of_image("openai:gpt-4o-mini", ImagePart(None, url="https://example.com/cat.png"))
    48169
    """
    name = model.partition(":")[2].lower()
    _, rule, most = next(row for row in _FAMILIES if re.search(row[0], name))
    size = images.size_of(part)
    return most if size is None else ceil(rule(*size))
