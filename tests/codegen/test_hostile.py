"""Whatever stands in a prompt, the code is valid and the same text arrives."""

import ast
import subprocess
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import llm_playground as lp
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.types import Parameters, Request, Tool
from tests.codegen.requests import BASE_PATH, text
from tests.codegen.running import CALLS, NODE
from tests.providers import vendors
from tests.providers.server import Reply, WireServer

NASTY = (
    *('"', "'", '"""', "'''", "\\", "\\\\", "\\n", "\\u0041", "\n", "\r", "\r\n", "\t", "\0"),
    *("EOF", "\nEOF\n", "$HOME", "${x}", "$(id)", "`id`", "!!", "*/", "//", "#", "</script>"),
    *("{{name}}", "{{ a }}", "{0}", "%s", "<blank0>", "<blankx0>", "\u2028", "\u2029", "\x85"),
    *("\ufeff", "\u202e", "\u200d", "\x1b[31m", "\x7f", "🎉", "\U000e0041", "\ud83d", "\ude00"),
    *("\ud83d\ude00", "\ud800", "e\u0301", "-", "", "__proto__", "@file", "&"),
)
TEXTS = st.lists(
    st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=()), max_size=9), max_size=7
).map("".join)
NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
# No search for a smaller example: each try is a process.
LIMITS = settings(
    max_examples=40,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VENDORS = st.sampled_from(vendors.ALL)


@st.composite
def requests(draw):
    """A vendor, and a request with such texts wherever a person or a tool may write some."""
    vendor = draw(VENDORS)
    turns = tuple(text(role, draw(TEXTS)) for role in ("system", "user", "assistant", "user"))
    extra = {"metadata": draw(st.dictionaries(TEXTS, VALUES, max_size=3))}
    seed = draw(st.none() | st.integers(0, 2**63 - 1))
    tool = Tool("look", draw(TEXTS), {"type": "object", "description": draw(TEXTS)})
    settings = Parameters(stop=(draw(TEXTS),), seed=seed, extra=extra)
    return vendor, Request(vendor.model, turns, settings, (tool,) if draw(st.booleans()) else ())


def at(server, vendor, request):
    return replace(request, endpoint=server.url + BASE_PATH[vendor.name])


def whole(value):
    """A JSON value with ``?`` for what UTF-8 has no place for: half a character."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {whole(name): whole(item) for name, item in value.items()}
    return list(map(whole, value)) if isinstance(value, list) else value


def wanted(vendor, request):
    """What our provider sends: its body is what another test compares with the wire."""
    return whole(WIRE_FORMATS[vendor.name].body(request))


@pytest.fixture(scope="module")
def servers():
    """A server of each vendor."""
    started = {
        vendor.name: WireServer(Reply(vendor.stream(["A"]))).__enter__() for vendor in vendors.ALL
    }
    yield started
    for server in started.values():
        server.close()


@LIMITS
@given(requests())
def test_python_sends_the_same_text(servers, runs, case):
    vendor, request = case
    server = servers[vendor.name]

    code = lp.code(at(server, vendor, request))
    runs("python", code)

    assert server.requests[-1].json == wanted(vendor, request)
    assert all(line.isprintable() for line in code.split("\n"))


@LIMITS
@given(requests())
def test_javascript_sends_the_same_text(servers, runs, case):
    vendor, request = case
    server = servers[vendor.name]

    code = lp.code(at(server, vendor, request), "javascript")
    runs("javascript", code)

    assert server.requests[-1].json == wanted(vendor, request)
    assert all(line.isprintable() for line in code.split("\n"))


@LIMITS
@given(requests())
def test_curl_sends_the_same_text(servers, runs, case):
    vendor, request = case
    server = servers[vendor.name]

    code = lp.code(at(server, vendor, request), "curl")
    runs("curl", code)

    assert server.requests[-1].json == wanted(vendor, request)
    assert all(line.isprintable() for line in code.split("\n"))


# No shell takes a null byte as an argument.
ARGUMENTS = TEXTS.map(lambda said: whole(said).replace("\0", ""))


@settings(LIMITS, max_examples=25)
@given(TEXTS, ARGUMENTS, st.sampled_from(["python", "javascript", "curl"]))
def test_a_functions_arguments_arrive_as_they_are(servers, runs, around, argument, language):
    vendor = vendors.OPENAI
    server = servers[vendor.name]
    around = around.replace("{", "").replace("}", "")
    request = Request(vendor.model, (text("user", f"{around}{{{{who}}}}{around}"),))

    code = lp.code(at(server, vendor, request), language, as_function=True)
    runs(language, code + CALLS[language]([argument]))

    said = server.requests[-1].json["messages"][0]["content"]
    assert said == whole(around) + argument + whole(around)


@LIMITS
@given(requests(), st.booleans())
def test_every_language_reads_its_code(tmp_path, case, as_function):
    _, request = case

    ast.parse(lp.code(request, "python", as_function=as_function))
    ast.parse(lp.code(replace(request, model="local"), "python", as_function=as_function))
    for language, ending in (("javascript", "mjs"), ("curl", "sh")):
        path = tmp_path / f"ask.{ending}"
        path.write_text(lp.code(request, language, as_function=as_function), "utf-8", newline="\n")
        how = {"capture_output": True, "timeout": 60}
        command = [NODE, "--check"] if language == "javascript" else ["bash", "-n"]
        done = subprocess.run([*command, str(path)], check=False, **how)
        assert done.returncode == 0, done.stderr.decode()
