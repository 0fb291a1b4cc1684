"""Formulas: what is one, what it becomes, and what is left as it was written."""

import subprocess
import sys

import math_core
import pytest

from llm_playground.rendering import math, to_html
from tests.rendering.safety import faults


def shown(markdown):
    return to_html(markdown).strip()


class TestWhatIsAFormula:
    @pytest.mark.parametrize("text", ["$x$", r"\(x\)"])
    def test_within_a_line(self, text):
        assert shown(f"so {text}, then") == "<p>so <math><mi>x</mi></math>, then</p>"

    @pytest.mark.parametrize(
        "text", ["$$x$$", r"\[x\]", "$$\nx\n$$", "\\[\nx\n\\]", "$$ x\n$$", "  $$\n  x $$  "]
    )
    def test_on_lines_of_its_own(self, text):
        assert shown(text) == '<p><math display="block"><mi>x</mi></math></p>'

    @pytest.mark.parametrize(
        "latex",
        [
            *(
                r"\begin{align} a &= b \\ c &= d \end{align}",
                "\\begin{align*}\na &= b\n\\end{align*}",
            ),
            *(r"\begin{gather}a\\b\end{gather}", r"\begin{equation}a=b\end{equation}"),
            *(r"\begin{aligned}a&=b\end{aligned}", r"\begin{eqnarray}a&=&b\end{eqnarray}"),
            r"\begin{pmatrix}\begin{pmatrix}1\end{pmatrix}\\2\end{pmatrix}",
            "\\begin{cases}\n1 & x\n2 & y\n\\end{cases}",
            r"\begin{subequations}\begin{align}a&=b\end{align}\end{subequations}",
        ],
    )
    def test_an_environment_needs_no_delimiters(self, latex):
        assert shown(latex).startswith('<p><math display="block">')
        assert shown(f"So\n{latex}\n\n- and").startswith('<p>So</p>\n<p><math display="block">')
        assert "<math" in shown(f"1. So\n   {latex}".replace("\n", "\n   "))
        assert shown(f"so {latex}, then").count("<math") == 1
        assert shown(f"`{latex}`").count("<math") == 0

    @pytest.mark.parametrize(
        "latex", [r"\begin{tabular}{l}a \\ b\end{tabular}", r"\begin{align} \foo \\ b \end{align}"]
    )
    def test_an_environment_that_is_no_formula_keeps_its_backslashes(self, latex):
        assert shown(latex) == f'<pre><code class="language-latex">{latex}</code></pre>'

    @pytest.mark.parametrize("text", [r"\begin{align} a", r"\end{align}", r"\begin{a}b\end{c}"])
    def test_half_an_environment_is_text(self, text):
        assert shown(text) == f"<p>{text}</p>"

    def test_in_every_place_that_has_text(self):
        html = shown("# $a$\n\n- $b$\n\n> **$c$**\n\n| $d$ |\n|---|\n| $e$ |\n\n[$f$](http://g.h)")

        assert html.count("<math>") == 6
        assert "$" not in html

    def test_on_lines_of_its_own_within_other_blocks(self):
        html = shown("1. So\n   $$\n   x\n   - y\n   $$\n\n> So\n> \\[\n> x\n> \\]\n")

        assert html.count('<math display="block">') == 2
        assert "<ul>" not in html, "a minus at the start of a line is a minus"

    @pytest.mark.parametrize(
        "text",
        [
            "It costs $5 and $10.",
            "from $5 to $10, or US$20",
            "$ 5 and 6$ are no formula",
            "a $x $ b",
            "one $ alone",
            r"\$x\$",
            r"escaped \$5 and 6\$",
            "$$",
            "$$$$",
            "$$ $$",
            r"\( \)",
            r"\(x",
            "$a\n\nb$",
            "$$\na\n\nb\n$$",
        ],
    )
    def test_an_amount_of_dollars_or_half_a_formula_is_none(self, text):
        assert "<math" not in shown(text)
        assert "<code" not in shown(text)

    @pytest.mark.parametrize("text", ["`$x$`", "```\n$x$ $$y$$\n```", "    $x$", "a\n\n    $$x$$"])
    def test_code_stays_code(self, text):
        assert "<math" not in shown(text)


class TestWhatItBecomes:
    @pytest.mark.parametrize(
        ("latex", "part"),
        [
            (r"\frac{a}{b}", "<mfrac><mi>a</mi><mi>b</mi></mfrac>"),
            (r"\sqrt[3]{x}", "<mroot><mi>x</mi><mn>3</mn></mroot>"),
            (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "<mtr><mtd><mn>1</mn></mtd>"),
            (r"\begin{align}a&=b\\c&=d\end{align}", '<mtd class="math-right"><mi>a</mi></mtd>'),
            (r"\begin{split}a&=b\end{split}", '<mtd class="math-left"><mo>=</mo>'),
            (r"\begin{equation}a\end{equation}", '<math display="block"><mi>a</mi></math>'),
            (r"\begin{array}{c|c}a&b\end{array}", '<mtd class="math-after"><mi>a</mi></mtd>'),
            (r"\begin{gather*}a\\b\end{gather*}", "<mtd><mi>b</mi></mtd>"),
            (r"x \tag{7}", "<mtext>(7)</mtext>"),
            (r"x \label{eq:one}", '<math display="block"><mi>x</mi></math>'),
            (r"\color{red}x", '<mrow mathcolor="#FF0000"><mi>x</mi></mrow>'),
            (r"\text{if } x<1", "<mtext>if\u00a0</mtext><mi>x</mi><mo>&lt;</mo>"),
            (r"\textbf{bold}", "<mtext>bold</mtext>"),
            (r"\mathbb{R}", "<mi>\N{DOUBLE-STRUCK CAPITAL R}</mi>"),
            (r"\hat{y}, \widetilde{z}", '<mover accent="true">'),
            (r"\,", '<mspace width="0.16666667em"></mspace>'),
        ],
    )
    def test_latex_becomes_presentation_mathml(self, latex, part):
        html = shown(f"$$\n{latex}\n$$")

        assert part in html.replace("if ", "if\u00a0")
        assert faults(html) == []

    @pytest.mark.parametrize(
        "latex",
        [
            *(r"\frac{1", r"\unknown{x}", "a & b", r"\left( x", "}", "^", r"\begin{matrix} x"),
            *(r"\href{http://a.b}{x}", r"\style{color:red}{x}", r"\html{x}", r"\class{a}{x}"),
            *(r"\newcommand{\a}{x}\a", r"\def\a{x}\a", r"\let\a=\alpha \a", r"\gdef\a{x}\a"),
        ],
    )
    def test_what_is_broken_or_more_than_a_formula_is_shown_as_it_was_written(self, latex):
        source = f"${latex}$".replace("&", "&amp;")

        assert shown(f"${latex}$") == f"<p><code>{source}</code></p>"
        assert source in shown(f"$${latex}$$")
        assert "<math" not in shown(f"$${latex}$$")


class TestLimits:
    @pytest.mark.parametrize(
        "latex",
        [
            "x+" * 50_000 + "x",
            "{" * 31 + "x" + "}" * 31,
            r"\left(" * 31 + r"\right)" * 31,
            r"\begin{matrix}" * 31 + r"\end{matrix}" * 31,
            r"\hat" * 501 + " x",
            "x" + "'" * 3_990,
        ],
        ids=lambda latex: f"{latex[:6]} x {len(latex)}",
    )
    def test_one_that_is_too_much_is_shown_as_it_was_written(self, latex):
        assert "<math" not in to_html(f"${latex}$")
        assert latex[-5:] in to_html(f"${latex}$").replace("&#x27;", "'").replace("&#39;", "'")

    def test_lines_that_open_formulas_without_an_end_are_read_a_few_times(self, monkeypatch):
        read, line = [], math._line
        monkeypatch.setattr(math, "_line", lambda *place: read.append(place) or line(*place))

        assert "<math" not in to_html("\\[ x\n" * 300)
        assert len(read) <= 4 * 300

    def test_what_the_limits_allow_needs_little_stack(self):
        """The converter is native code: too deep would end the process, not raise."""
        code = (
            "import threading\n"
            "from llm_playground.rendering import to_html\n"
            "deep = ['{' * 30 + 'x' + '}' * 30, r'\\hat ' * 500 + 'x', r'\\frac1' * 500 + 'x',\n"
            "  r'\\sqrt[' * 500 + 'x' + ']1' * 500, r'\\overset1' * 400 + 'x',\n"
            "  r'\\hat{' * 30 + r'\\hat ' * 470 + 'x' + '}' * 30,\n"
            "  r'\\begin{cases}' * 30 + r'\\sqrt ' * 400 + 'x' + r'\\end{cases}' * 30]\n"
            "threading.stack_size(1024 * 1024)\n"
            "work = threading.Thread(target=lambda: [to_html(f'${f}$') for f in deep])\n"
            "work.start(); work.join(); print('alive')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
        )

        assert done.stdout == "alive\n", done.stderr

    def test_a_converter_that_panics_spoils_one_formula_and_not_the_answer(self, monkeypatch):
        class Panic(BaseException):
            """As native code raises it: no Exception."""

        class Panicking:
            def __init__(self, **settings):
                pass

            def convert_with_local_state(self, latex, *, displaystyle):
                raise Panic(latex)

        math._converter.cache_clear()
        with monkeypatch.context() as patched:
            patched.setattr(math_core, "LatexToMathML", Panicking)
            assert shown("so $x$") == "<p>so <code>$x$</code></p>"

        assert shown("so $x$") == "<p>so <math><mi>x</mi></math></p>"
