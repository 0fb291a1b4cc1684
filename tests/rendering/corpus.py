"""Pieces of Markdown that, put together in any order, meet each rule of where blocks end."""

LINES = (
    *("# Head\n", "## \n", "#\n", "#nothead\n", "---\n", "===\n", "***\n", "- - -\n", "-\n"),
    *(
        "para one\n",
        "para *two* `x`\n",
        "lazy\n",
        "line  \n",
        "\\\n",
        "   indented\n",
        "word",
        "tail ",
    ),
    *(
        "\n",
        "\n",
        "\n",
        "\n\n",
        "   \n",
        "       \n",
        "\r\n",
        "a\rb\n",
        "\x0b\n",
        "\f\n",
        "\u2028x\n",
    ),
    *(
        "- item\n",
        "- item\n\n",
        "  cont\n",
        "* star\n",
        "+ plus\n",
        " - s\n",
        "   - t\n",
        "    - u\n",
    ),
    *(
        "1. one\n",
        "2. two\n",
        "1) x\n",
        "10) ten\n",
        "1.\n",
        "-\tx\n",
        "- [ ] t\n",
        "- a\n\n\n- b\n",
    ),
    *("> quote\n", "> - in\n", ">\n", "> ```\n", "> $$\n", "> a\n\n> b\n", "- ```\n", "- $$\n"),
    *("```\n", "```python\nx = 1\n", "~~~\n", "````\n", "```\n\ncode\n", "    code\n", "\tcode\n"),
    *(
        "| a | b |\n|---|---|\n",
        "| 1 | 2 |\n",
        "a | b\n",
        "--- | ---\n",
        "-|-\n",
        "|-\n",
        "|\n",
        "| |\n",
    ),
    *("$$\n", "$$ \n", "$$ x $$\n", "y $$\n", "x = $y$\n", "\\[\n", "\\]\n", "text $5 and $6\n"),
    *("`a\n", "**b\n", "b**\n", "&amp;\n", "<b>raw</b>\n", "<!-- c\n", "\x00\n", ":-:\n"),
    *('{"a": 1}\n', '{"a":\n', "[1, 2\n", "]}\n", "{\n", "}\n", "www.a.b\n", "a<br>\n"),
    *("\\begin{align}\n", "\\end{align}\n", "\\begin{cases}1\\end{cases}\n", "<b>x\n", "שלום\n"),
    *("[x](http://e.com)\n", "![i](http://e.com/i.png)\n", "[not defined]\n", "😀\n"),
)
DEFINITIONS = (
    *(
        "[x]: /u\n",
        "[foo]: http://a.com 'title\n",
        "more'\n",
        "[foo]\n",
        "[x]:\n",
        "http://b.com\n",
    ),
    *('"t"\n', "[x]: <\n", "[x] [foo]\n"),
)
ANSWER = """## Third quarter

Sales rose **4 %**, driven by exports. See [the report](https://example.com/report) and `total()`.

- First, with some `code`
- Second, for $5 or $10

  and another paragraph
- Third, with $x^2 + y^2 = z^2$

```python
def total(rows):
    return sum(row["amount"] * 1.5 for row in rows)  # scaled
```

| model | cost |
|---|---|
| a | 1 |

$$
\\bar{x} = \\frac{1}{n}\\sum_{i=1}^{n} x_i
$$

> A quote
> of two lines

1. One
2. Two

---
The end.
"""
