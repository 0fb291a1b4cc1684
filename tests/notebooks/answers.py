"""The answers of the vendors to the prompts of the notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """An answer that asks for tools: their names and arguments."""

    calls: Sequence[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Cited:
    """An answer with citations of a document, as Anthropic sends them."""

    text: str
    citations: Sequence[Mapping[str, Any]]


Answer = str | Call | Cited
# By the beginning of the prompt: an answer, answers in turn, or these by that of the model.
ANSWERS: dict[str, Answer | list[Answer] | dict[str, Answer | list[Answer]]] = {
    # 04_parameters_and_presets
    "Suggest a name for a bakery.": {
        "gpt": "Morning Crumb",
        "claude": "I suggest **The Warm Loaf**: short, easy to remember, and it smells of bread.",
    },
    "List five words about bread.": "crust, dough, yeast, oven, flour",
    "Write a slogan for a bakery.": "Rise with us: fresh bread before the day begins.",
    "Name a color for the sign.": ["Warm yellow", "Honey gold", "Toasted apricot at sunrise"],
    # 02_panel
    "What is sourdough?": {
        "gpt": (
            "Sourdough is bread that rises with wild yeast and bacteria from a fermented starter. "
            "The slow fermentation gives it a tangy taste and a chewy crumb."
        ),
        "claude": (
            "Sourdough is bread leavened by a **starter**, a mixture of flour and water in which "
            "wild yeast and lactic acid bacteria live. They raise the dough and make it sour."
        ),
    },
    "Name a bakery for sourdough.": ["The Sour Crust", "Wild & Risen"],
    "Name a bakery for rye.": "The Dark Loaf",
    "Name a bakery for spelt.": "Old Grain Bakery",
    # 03_magics
    "Why is the sky blue?": (
        "Air scatters blue light more than red light, so blue reaches us from every direction."
    ),
    "Which day follows Monday?": "Tuesday",
    "Which city sold the most?": {  # also in 05, of a picture
        "gpt": "Oslo sold the most: 120 loaves.",
        "gemini": "Oslo sold the most, with 120 loaves. Bergen follows with 95.",
    },
    "Explain yeast to a child": {
        "gpt": "Yeast is a tiny living thing that eats sugar and blows the bubbles in bread.",
        "claude": (
            "Yeast are teeny living things that munch on sugar and burp out bubbles, which make "
            "the dough grow big and fluffy!"
        ),
    },
    "Name a bread from France.": "Baguette: a long loaf with a crisp crust.",
    "And one from Italy?": "Ciabatta, which is flat and full of holes.",
    "This cell of a Jupyter notebook failed.": (
        "`loaves` is text, and Python does not add a number to text. Make it a number:\n\n"
        "```python\nloaves = 12\nloaves + 1\n```"
    ),
    # 05_data_tools_images_documents
    "Give two recipes for bread.": (
        '{"value": [{"name": "Ciabatta", "flour_g": 500, "water_g": 400}, '
        '{"name": "Sandwich loaf", "flour_g": 500, "water_g": 310}]}'
    ),
    "How many rye loaves are left?": Call([("stock", {"product": "rye"})]),
    "tool: 3": "Three rye loaves are left.",
    "When is the oven serviced?": Cited(
        "The oven is serviced on Friday.",
        [
            {
                "type": "char_location",
                "cited_text": "The oven is serviced on Friday.",
                "document_index": 0,
                "document_title": "minutes.txt",
                "start_char_index": 9,
                "end_char_index": 40,
            }
        ],
    ),
}
