"""Answers as HTML that cannot run code, loads nothing and holds no key.

Markdown becomes HTML with raw HTML escaped and images turned into links; then only the tags and
attributes named in ``sanitising`` are kept. Remote images are a leak without a click, so none
survives. Code is coloured and formulas become MathML here, in the kernel: a page needs no script
for them. Outputs are saved with the notebook, so keys that an answer repeats are redacted.
"""

from llm_playground.render.answer import to_html, to_plain_html
from llm_playground.render.blocks import Growing, Growth

__all__ = ["Growing", "Growth", "to_html", "to_plain_html"]
