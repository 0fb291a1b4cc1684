"""Before sending: keys are refused, cards warned of, and the place is named, never the value."""

import base64
import json
import re
import time
import warnings
from dataclasses import replace
from urllib.parse import quote

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import llm_playground as lp
from llm_playground import config
from llm_playground.config.options import GuardModes
from llm_playground.parts import ImagePart, TextPart, ToolCall, ToolResult
from llm_playground.redaction import redact, remember, settled
from llm_playground.request import secret_guard
from llm_playground.types import Message, Parameters, Request, Schema, Tool
from tests.kernel import kernel
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.redaction.test_redact import SHAPED
from tests.test_tool_use import calling

KEY = "sk-" + "planted" * 4
IN_USE = "-".join(["in", "use", "5f0e", "81aa", "9c33"])
CARD = "4111 1111 1111 1111"
WARNING = r"looks like a card number \(…111\)\. It is sent anyway\."


@pytest.fixture(autouse=True)
def _defaults(home):
    remember(IN_USE)


@pytest.fixture
def server(monkeypatch):
    with WireServer(Reply(openai_stream(["fine"]))) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "never" * 5)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        yield server


def request(*parts, **more):
    return Request("openai:m", (Message("user", tuple(parts)),), **more)


def text(said):
    return request(TextPart(said))


def found(what, kind, **variables):
    return [str(finding) for finding in secret_guard.findings(what, variables, [kind])]


def refusal(prompt, **more):
    with pytest.raises(lp.ConfigError) as caught:
        lp.ask(prompt, "openai:gpt-4o", **more)
    return str(caught.value)


class TestRefused:
    def test_a_value_that_looks_like_a_key_is_not_sent_and_leaves_no_row(self, server):
        said = refusal(f"What is {KEY}?")

        assert said == (
            "Not sent: the prompt contains a value that looks like an API key (…ted). "
            'Remove it, or lp.configure(secret_guard="warn").'
        )
        assert not server.requests
        assert lp.runs().empty

    def test_a_frame_is_named_with_its_column_and_counted(self, server):
        df = pd.DataFrame(
            {"name": ["a", "b", "c", "d"], "token": [f"{KEY}{n}" for n in (1, 2, 3, 3)]}
        )

        said = refusal("Describe {{df}}.", variables={"df": df, "other": KEY})

        assert said.startswith(
            "Not sent: column `token` of df contains 3 values that look like API keys. Remove them"
        )
        assert KEY not in said

    def test_a_frame_is_named_though_its_text_shows_the_starts_of_values_only(self, server):
        long = SHAPED["anthropic"] + SHAPED["openai"].removeprefix("sk-")
        df = pd.DataFrame({"n": range(100), "secret": [f"{long}{n:03}" for n in range(100)]})
        assert long not in str(df)

        said = refusal("{{df}}", variables={"df": df})

        assert "column `secret` of df contains 100 values that look like API keys." in said

    def test_a_variable_is_named(self, server):
        said = refusal("Explain: {{log}}", variables={"log": f"Traceback ... auth={KEY} ..."})

        assert said.startswith(
            "Not sent: {{log}} contains a value that looks like an API key (…ted)."
        )

    def test_a_variable_that_is_not_asked_for_is_not_blamed(self, server):
        said = refusal(f"{{{{n}}}} {KEY}", variables={"n": 1, "other": f"{KEY}"})

        assert "the prompt contains a value" in said

    def test_a_frame_of_another_library_is_named_by_its_name_at_least(self, server):
        class Odd:
            columns = ("a",)

            def __str__(self):
                return f"a={KEY}"

        assert "{{odd}} contains a value" in refusal("{{odd}}", variables={"odd": Odd()})

    def test_a_key_in_use_is_refused_whatever_the_modes_say(self, server):
        lp.configure(secret_guard="off")

        assert refusal(f"my key is {IN_USE}") == (
            "Not sent: the prompt contains a key that is in use here (…c33). Remove it."
        )
        assert not server.requests

    @pytest.mark.parametrize("place", ["environment", ".env", "this kernel"])
    def test_so_is_a_key_that_nobody_asked_for_yet(self, server, monkeypatch, tmp_path, place):
        unseen = "-".join(["unseen", place.strip("."), "7d1b", "2c9e"]).replace(" ", "-")
        lp.configure(secret_guard="off")
        if place == "environment":
            monkeypatch.setenv("MISTRAL_API_KEY", unseen)
        elif place == ".env":
            (tmp_path / ".env").write_text(f"MISTRAL_API_KEY={unseen}\n")
        else:
            lp.set_key("mistral", unseen)

        said = refusal(f"my key is {unseen}", system="Be brief.")
        lp.forget_key("mistral")

        assert "a key that is in use here" in said

    def test_a_placeholder_for_a_key_may_be_talked_of(self, server, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "lm-studio")

        assert lp.ask("How is lm-studio set up?", "openai:gpt-4o").text == "fine"

    def test_several_models_and_a_comparison_are_refused_before_the_first(self, server):
        with pytest.raises(lp.ConfigError, match="Not sent"):
            lp.compare(["fine", KEY], ["openai:gpt-4o", "openai:gpt-4.1"])

        assert not server.requests

    async def test_complete_and_stream_are_guarded_too(self, server):
        with pytest.raises(lp.ConfigError, match="Not sent"):
            await lp.complete(KEY, "openai:gpt-4o")
        with pytest.raises(lp.ConfigError, match="Not sent"):
            async for _ in lp.stream(KEY, "openai:gpt-4o"):
                pass

        assert not server.requests

    def test_a_tools_result_is_refused_before_it_is_sent(self, server, monkeypatch):
        def read_settings() -> str:
            """Read the settings."""
            return f"api_key = {KEY}"

        with WireServer(calling(("read_settings", "{}"))) as tools_server:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{tools_server.url}/v1")
            with pytest.raises(lp.ConfigError, match=r"the result of `read_settings` contains"):
                lp.ask_with_tools("Which settings?", "openai:gpt-4o", tools=[read_settings])

        assert len(tools_server.requests) == 1
        assert KEY.encode() not in tools_server.requests[0].body


class TestModes:
    def test_a_card_number_is_warned_of_once_for_all_models_and_sent(self, server):
        with pytest.warns(UserWarning, match=WARNING) as warned:
            lp.compare(f"Is {CARD} valid?", ["openai:gpt-4o", "openai:gpt-4.1"], n=2)

        assert len(warned) == 1
        assert CARD not in str(warned[0].message)
        assert len(server.requests) == 4

    def test_each_prompt_is_warned_of(self, server):
        for _ in range(2):
            with pytest.warns(UserWarning, match=WARNING):
                lp.ask(f"Is {CARD} valid?", "openai:gpt-4o")

    def test_warned_of_keys_are_sent(self, server):
        lp.configure(secret_guard={"keys": "warn"})

        with pytest.warns(UserWarning, match="The prompt contains a value that looks like"):
            lp.ask(KEY, "openai:gpt-4o")

        assert KEY in server.requests[0].body.decode()
        assert KEY not in lp.runs().to_csv()

    def test_one_word_holds_for_all_kinds(self, server):
        lp.configure(secret_guard="block")
        assert "card number" in refusal(CARD)
        assert "an e-mail address. Remove it" in refusal("write to ada@example.org")

        lp.configure(secret_guard="off")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert lp.ask(f"{KEY} {CARD} ada@example.org", "openai:gpt-4o").text == "fine"

    def test_by_default_keys_are_blocked_cards_warned_of_and_addresses_sent(self, server):
        assert config.secret_guard() == GuardModes(keys="block", cards="warn", email="off")
        assert lp.ask("write to ada@example.org", "openai:gpt-4o").text == "fine"

    @pytest.mark.parametrize(
        ("setting", "said"),
        [
            ("on", "secret_guard is 'on'; it takes off, warn, block"),
            ({"key": "warn"}, "Did you mean keys"),
            ({"phones": "warn"}, "Available: keys, cards, email"),
            ({"keys": None}, "takes off, warn, block"),
            (True, "takes off, warn, block"),
        ],
    )
    def test_a_kind_or_mode_that_is_none_is_refused(self, setting, said):
        with pytest.raises(lp.InvalidParameterError, match=said):
            lp.configure(secret_guard=setting)

    def test_what_is_blocked_comes_before_what_is_warned_of(self, server):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert "API key" in refusal(f"{CARD} {KEY}")


ENCODED = (
    json.dumps(f"{IN_USE}").strip('"'),
    quote(IN_USE, safe="").replace("-", "%2D").replace("_", "%5F"),
    "".join(f"%{byte:02x}" for byte in IN_USE.encode()),
    base64.b64encode(IN_USE.encode()).decode(),
    base64.urlsafe_b64encode(f"ada:{IN_USE}".encode()).decode(),
)


def called(made, name="f", key="1", arguments="{}", said="done"):
    """The request after a call of a tool and its result."""
    call, result = ToolCall(key, name, arguments), ToolResult(key, name, said)
    turns = (*made.messages, Message("assistant", (call,)), Message("tool", (result,)))
    return replace(made, messages=turns)


NAMED = {
    "model": lambda made, text: replace(made, model=f"{made.model}{text}"),
    "tool": lambda made, text: replace(made, tools=(Tool(text, "", {"type": "object"}),)),
    "description": lambda made, text: replace(made, tools=(Tool("f", text, {}),)),
    "argument": lambda made, text: replace(
        made, tools=(Tool("f", "", {"type": "object", "properties": {text: {}}}),)
    ),
    "schema": lambda made, text: replace(
        made, schema=Schema("s", {"type": "object", "properties": {text: {}}}, dict)
    ),
    "call": lambda made, text: called(made, name=text),
    "arguments of a call": lambda made, text: called(made, arguments=json.dumps({text: 1})),
    "result": lambda made, text: called(made, said=text),
    "extra": lambda made, text: replace(made, parameters=Parameters(extra={"user": text})),
    "name in extra": lambda made, text: replace(made, parameters=Parameters(extra={text: 1})),
    "stop": lambda made, text: replace(made, parameters=Parameters(stop=(text,))),
    "image": lambda made, text: replace(
        made,
        messages=(Message("user", (ImagePart("image/png", url=f"https://x.example/{text}"),)),),
    ),
}


class TestPlaces:
    @pytest.mark.parametrize(
        ("made", "place"),
        [
            (
                Request(
                    "openai:m",
                    (Message("system", (TextPart(KEY),)), Message("user", (TextPart("hi"),))),
                ),
                "the system prompt",
            ),
            (
                Request(
                    "openai:m",
                    (Message("user", (TextPart(KEY),)), Message("user", (TextPart("hi"),))),
                ),
                "an earlier message",
            ),
            (
                Request("openai:m", (Message("assistant", (ToolCall("1", "f", f'["{KEY}"]'),)),)),
                "a call of `f`",
            ),
            (
                Request("openai:m", (Message("tool", (ToolResult("1", "f", KEY),)),)),
                "the result of `f`",
            ),
            (
                request(tools=(Tool("f", "", {"properties": {"a": {"default": KEY}}}),)),
                "the tool `f`",
            ),
            (request(schema=Schema("s", {"const": KEY}, str)), "the schema"),
            (request(parameters=Parameters(extra={"a": [{"b": KEY}]})), "`extra`"),
            (request(parameters=Parameters(stop=(KEY,))), "`stop`"),
            (request(ImagePart(None, url=f"https://x/?a={KEY}")), "the URL of an image"),
        ],
    )
    def test_every_text_is_searched_and_its_place_named(self, made, place):
        [said] = found(made, "keys")

        assert said.startswith(f"{place} contains a value")

    @pytest.mark.parametrize("model", ["openai:m", "anthropic:m", "gemini:m", "groq:m"])
    @pytest.mark.parametrize("secret", [IN_USE, *ENCODED], ids=lambda text: text[:8])
    @pytest.mark.parametrize("place", NAMED)
    def test_a_key_in_a_name_or_an_id_is_not_sent_in_any_wire_format(self, place, secret, model):
        hi = Message("user", (TextPart("hi"),))
        made = Request(model, (hi,))
        made = NAMED[place](made, secret)

        with pytest.raises(lp.ConfigError, match="Not sent") as refused:
            secret_guard.check(made)

        assert secret not in str(refused.value)

    def test_pictures_themselves_are_not(self):
        made = request(ImagePart("image/png", KEY.encode()), ImagePart(None, url=f"data:,{KEY}"))

        assert not found(made, "keys")


class TestKinds:
    @pytest.mark.parametrize("key", SHAPED.values(), ids=SHAPED)
    def test_a_vendors_key_is_found(self, key):
        assert found(text(f"use {key}, please"), "keys")

    @pytest.mark.parametrize(
        "said",
        [
            # In pieces: a scanner of sources may know less than we do.
            "Explain sk" + "-learn-compatible-estimators and sk" + "-toolbox-for-beginners.",
            "curl -H 'Authorization: Bearer YOUR_ACCESS_TOKEN_HERE' https://127.0.0.1",
            "headers = {'x-api-key': os.environ['ANTHROPIC_API_KEY']}",
            "OPENAI_API_KEY=... and api-key: <your key>, ?key=YOUR_KEY_GOES_HERE",
        ],
    )
    def test_talking_of_keys_is_no_key(self, said):
        assert not found(text(said), "keys")

    @pytest.mark.parametrize(
        "number",
        [
            "4111111111111111",
            CARD,
            "4111-1111-1111-1111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "30569309025904",
            "6011111111111117",
            "3530111333300000",
            "6200000000000005",
        ],
    )
    @pytest.mark.parametrize(
        "around", ["{}", "12 {} 34", "card:{}.", "1234 {}, please", "({})", "a,{},b", "漢{}字"]
    )
    def test_a_card_number_is_found(self, number, around):
        assert found(text(around.format(number)), "cards")

    @pytest.mark.parametrize(
        "number",
        [
            "4111111111111112",  # the check digit is wrong
            "1234567812345670",  # not issued
            "0000000000000000",
            "41111111111111110000000",
            "0.4111111111111111",
            "4111111111111111.5",
            "a4111111111111111",
            "1,4111111111111111",
            "4111 11111 1111111",
        ],
    )
    def test_another_number_is_none(self, number):
        assert not found(text(f"see {number} there"), "cards")

    def test_card_numbers_in_a_frame_are_numbers_too(self):
        df = pd.DataFrame({"card": [4111111111111111, 5555555555554444], "n": [1, 2]})

        assert found(text(str(df)), "cards", df=df) == [
            "column `card` of df contains 2 values that look like card numbers"
        ]

    @pytest.mark.parametrize(
        ("said", "addresses"),
        [
            ("write to ada.l+x@mail.example.org, or bob@example.co.uk.", 2),
            ("@decorator and a @ b, user@localhost, x@1.2", 0),
            ("ada@example.org ada@example.org", 1),
        ],
    )
    def test_e_mail_addresses_are_found_and_counted_once(self, said, addresses):
        values = [len(f.values) for f in secret_guard.findings(text(said), {}, ["email"])]

        assert sum(values) == addresses

    def test_a_value_is_in_no_representation(self):
        [finding] = secret_guard.findings(text(KEY), {}, ["keys"])

        assert KEY not in f"{finding} {finding!r}"

    @given(st.text())
    def test_any_text_can_be_searched(self, said):
        for kind in ("known", "keys", "cards", "email"):
            assert isinstance(found(text(said), kind), list)

    @pytest.mark.parametrize(
        "piece",
        ["sk-", "sk_", "a@", "4111 ", "-----BEGIN ", "eyJ.", "api-key=", "Bearer ", "1", "a"],
    )
    def test_searching_takes_time_in_proportion_to_the_text(self, piece):
        texts = [piece * (size // len(piece)) for size in (20_000, 400_000)]
        took = [min(_seconds(said) for _ in range(3)) for said in texts]

        assert took[1] < 100 * max(took[0], 0.002)  # 20 times the text; quadratic: 400


def _seconds(said):
    started = time.thread_time()
    secret_guard.findings(text(said), {}, ["known", "keys", "cards", "email"])
    redact(said)
    settled(said)
    return time.thread_time() - started


class TestSurfaces:
    def test_magics_and_the_panel_refuse_with_the_column(self, tmp_path):
        with kernel({"LLM_PLAYGROUND_HOME": str(tmp_path)}) as nb:
            nb.run("%load_ext llm_playground\nimport llm_playground as lp, pandas as pd")
            nb.run(f"df = pd.DataFrame({{'token': ['{KEY}', '{KEY}2', '{KEY}3']}})")
            said = "Not sent: column `token` of df contains 3 values that look like API keys."

            error = nb.run("%%llm\nDescribe {{df}}").error
            assert error["evalue"].startswith(said)
            assert len(error["traceback"]) == 1
            assert KEY not in str(error)

            nb.run("pg = lp.Playground(prompt='Describe {{df}}')")
            assert nb.run("pg.run()").error["evalue"].startswith(said)
            assert said in nb.run("pg.problem").result
            assert nb.run("len(lp.runs())").result == "0"

    def test_a_warning_in_a_cell_is_one_line(self, tmp_path):
        with kernel({"LLM_PLAYGROUND_HOME": str(tmp_path)}) as nb:
            nb.run("%load_ext llm_playground")

            text = nb.run(f"%%llm --max-tokens 2\nIs {CARD} valid?").text

            [line] = [line for line in text.splitlines() if line]
            assert re.search(WARNING, line)
