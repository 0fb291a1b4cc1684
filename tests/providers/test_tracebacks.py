"""No frame of an error's traceback, or of one behind it, shows a key in its local variables."""

import base64

import keyring
import keyring.backends.fail
import keyring.backends.null
import pytest

import llm_playground as lp
from llm_playground.config import credentials
from llm_playground.providers import Endpoint, endpoint_of
from tests.providers.server import Reply, WireServer, json_reply

WORD = "planted" * 4
VENDORS = {
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL", "sk-" + WORD),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "sk-ant-" + WORD),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "AIza" + WORD),
    "gemini-legacy": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "AIza" + WORD),
}
ENCODED = base64.b64encode(WORD.encode()).decode()[:-2]


def shown(error):
    """The local variables that a verbose traceback prints, outside this file."""
    behind, seen = [error], []
    while behind:
        each = behind.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        behind += [each.__cause__, each.__context__]
        yield repr(each)
        frame = each.__traceback__
        while frame is not None:
            if frame.tb_frame.f_code.co_filename != __file__:
                for name, value in frame.tb_frame.f_locals.items():
                    yield f"{name} = {value!r}"
            frame = frame.tb_next


def no_key_in(error):
    texts = list(shown(error))
    assert texts
    return not [text for text in texts if WORD in text or ENCODED in text]


def error_of(action):
    with pytest.raises(lp.LLMError) as raised:
        action()
    return raised.value


@pytest.fixture(params=VENDORS)
def vendor(request, home, monkeypatch):
    """A vendor's name whose key is set; a function sets its base URL."""
    key_variable, url_variable, key = VENDORS[request.param]
    monkeypatch.setenv(key_variable, key)
    lp.configure(retry={"attempts": 2, "first_wait_s": 0})
    return request.param, lambda url: monkeypatch.setenv(url_variable, url)


FAILURES = {
    "401": json_reply(401, {"error": {"message": "no"}}),
    "400": json_reply(400, {"error": {"message": "no"}}),
    "429": json_reply(429, {"error": {"message": "no"}}),
    "500": Reply(b"<html>", status=500),
    "not an answer": json_reply(200, ["no"]),
    "cut": Reply([b"data: {"], end="reset"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_call_that_fails_shows_no_key(vendor, failure):
    name, move_to = vendor
    with WireServer(FAILURES[failure]) as server:
        move_to(server.url)

        assert no_key_in(error_of(lambda: lp.ask("Hi", f"{name}:m")))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no.such.invalid", "ftp://x", "x y"])
def test_nor_does_one_that_reaches_nothing(vendor, url):
    name, move_to = vendor
    move_to(url)

    assert no_key_in(error_of(lambda: lp.ask("Hi", f"{name}:m")))


@pytest.mark.parametrize("key", [f"{WORD} with a space", f"{WORD}é", "AIza" + WORD])
def test_nor_does_a_key_that_is_refused(home, monkeypatch, key):
    assert no_key_in(error_of(lambda: lp.set_key("openai", key)))
    monkeypatch.setenv("OPENAI_API_KEY", key)
    assert no_key_in(error_of(lambda: credentials.key("openai")))
    assert no_key_in(error_of(lambda: lp.ask("Hi", "openai:m")))


def test_nor_does_a_wrong_argument_of_set_key(home):
    with pytest.raises(TypeError, match="kye") as raised:
        lp.set_key("openai", kye="sk-" + WORD)
    assert no_key_in(raised.value)


def test_nor_does_a_keyring_that_fails(home, monkeypatch):
    keyring.set_keyring(keyring.backends.fail.Keyring())
    lp.set_key("openai", "sk-" + WORD)

    assert no_key_in(error_of(lambda: credentials.save_key("openai")))
    keyring.set_keyring(keyring.backends.null.Keyring())


def test_objects_with_a_key_show_its_last_characters_only(vendor):
    name, _ = vendor
    endpoint = endpoint_of(name)

    assert endpoint.api_key == VENDORS[name][2]
    assert WORD not in repr(endpoint) + repr(endpoint.api_key) + repr([endpoint.api_key])
    assert WORD not in repr(Endpoint(name, VENDORS[name][2]).api_key)
