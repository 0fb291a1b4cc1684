"""The administrator's policy: which models and endpoints it allows, however they are written."""

from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground import _runtime, config
from llm_playground.calls import CallOptions, resolve_model
from llm_playground.catalog import models
from llm_playground.config.policy import Policy
from llm_playground.providers import endpoint_of
from tests.providers.server import WireServer, json_reply

KEY = "sk-" + "planted" * 4
LIST = json_reply(200, {"data": [{"id": "gpt-4o", "created": 1_715_367_049}]})


@pytest.fixture
def rules(home, tmp_path, monkeypatch):
    """Writes the policy."""
    path = tmp_path / "policy.toml"
    monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(path))

    def write(text):
        path.write_text(text)

    return write


ALLOWED = "https://llm.example.org/v1"


@pytest.mark.parametrize(
    "url",
    [
        *(ALLOWED, f"{ALLOWED}/", f"{ALLOWED}/team", "https://LLM.Example.ORG/v1"),
        *("HTTPS://llm.example.org/v1", "https://llm.example.org:443/v1"),
        *("https://llm.example.org./v1", "https://llm.example.org/v1/a.b/c-d"),
    ],
)
def test_a_url_below_an_allowed_one_is_allowed_in_any_spelling(url):
    assert Policy(endpoints=(ALLOWED,)).allows_endpoint("openai", url)


@pytest.mark.parametrize(
    "url",
    [
        "https://llm.example.org@evil.example/v1",
        "https://llm.example.org/v1@evil.example",
        "https://llm.example.org:443@evil.example/v1",
        "https://user@llm.example.org/v1",
        "https://evil.example/https://llm.example.org/v1",
        "https://llm.example.org.evil.example/v1",
        "https://evil.example\\@llm.example.org/v1",
        "https://evil.example\\.llm.example.org/v1",
        "https:\\\\llm.example.org/v1",
        "https:/llm.example.org/v1",
        "//llm.example.org/v1",
        "http://llm.example.org/v1",
        "https://llm.example.org:444/v1",
        "https://llm.example.org:80/v1",
        "https://llm.example.org/v10",
        "https://llm.example.org/",
        "https://llm.example.org",
        "https://llm.example.org/V1",
        "https://llm.example.org/v1/../v2",
        "https://llm.example.org/v1/./../v2",
        "https://llm.example.org/v1/...",
        "https://llm.example.org/v1/%2e%2e/v2",
        "https://llm.example.org/v1%2f..%2fv2",
        "https://llm.example.org/%76%31",
        "https://llm.example.org/v1//..",
        "https://llm.example.org//v1",
        "https://llm.example.org/v1?to=evil",
        "https://llm.example.org/v1#evil",
        "https://llm.example.org/v1;@evil.example",
        "https://llm.example.org/v1 ",
        "https://llm.example.org/v1\n",
        "https://llm\t.example.org/v1",
        "https://llm.example.org\u3002evil.example/v1",
        "https://\uff4clm.example.org/v1",
        "ftp://llm.example.org/v1",
        "",
    ],
)
def test_a_url_that_only_looks_allowed_is_not(url):
    policy = Policy(endpoints=("openai", ALLOWED))

    assert not policy.allows_endpoint("openai", url)
    with pytest.raises(lp.ConfigError, match="not allowed here") as raised:
        policy.check("openai:gpt-4o", url)
    assert "@" not in str(raised.value)


def test_addresses_are_compared_as_written():
    policy = Policy(endpoints=("http://127.0.0.1:8000/v1", "http://[::1]:8000/v1"))

    assert policy.allows_endpoint("mine", "http://[::1]:8000/v1")
    for url in ("http://127.1:8000/v1", "http://0x7f000001:8000/v1", "http://localhost:8000/v1"):
        assert not policy.allows_endpoint("mine", url)


@pytest.mark.parametrize(
    "url", ["https://user:word@example.org", "https://example.org/v1?x=1", "example.org/v1"]
)
def test_a_policy_with_an_odd_url_stops_every_call(rules, url):
    rules(f'endpoints = ["local", "{url}"]')

    with pytest.raises(lp.ConfigError, match=r"policy.*cannot be used.*write a URL as"):
        lp.ask("hi", "local")


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        (
            "openai:gpt-4o-mini",
            ("openai:gpt-4o-mini", " openai : gpt-4o-mini ", "gpt-4o-mini"),
            ("openai:gpt-4o", "openai:GPT-4O-MINI", "openai:gpt-4o-mini-x", "openai:x gpt-4o-mini"),
        ),
        (
            "*:gpt-4o-mini",
            ("openai:gpt-4o-mini", "openrouter:gpt-4o-mini"),
            ("openai:o1-pro:gpt-4o-mini", "openrouter:x:gpt-4o-mini"),
        ),
        ("gpt-4o*", ("openai:gpt-4o", "openrouter:gpt-4o"), ("openai:o1", "openai:openai:gpt-4o")),
        (
            "gemini:gemini-2.5-flash",
            ("gemini:gemini-2.5-flash", "gemini:models/gemini-2.5-flash"),
            ("gemini:models/gemini-2.5-pro", "gemini:models/models/gemini-2.5-pro"),
        ),
        ("local", ("local", "local:smollm2-135m-instruct"), ("ollama:local", "openai:local:x")),
        ("anthropic:*", ("anthropic:claude-x",), ("openai:anthropic:claude-x", "openai:claude-x")),
    ],
)
def test_a_pattern_is_compared_with_what_is_sent(pattern, allowed, refused):
    policy = Policy(models=(pattern,))

    for name in allowed:
        policy.check(resolve_model(name), None)
    for name in refused:
        with pytest.raises(lp.ConfigError, match="not allowed here"):
            policy.check(resolve_model(name), None)


@pytest.mark.parametrize("name", ["openai:gpt\n4o", "openai:gpt-4o\x00", "openai:\u202eo4-tpg"])
def test_a_name_with_invisible_characters_is_refused(name):
    with pytest.raises(lp.InvalidParameterError, match="model is"):
        resolve_model(name)


@pytest.mark.parametrize(
    "name", ["a/../b", "a/%2e%2e/b", "a%2f..", "a?b", "a#b", "a\\b", "a:b", "a."]
)
@pytest.mark.parametrize("provider", ["gemini", "gemini-legacy"])
def test_a_name_that_could_change_the_path_is_refused_before_it_is_sent(provider, name):
    with pytest.raises(lp.InvalidParameterError, match="No model of Gemini"):
        CallOptions("hi", [f"{provider}:gemini-2.5-flash/{name}"]).plan()


class TestLists:
    @pytest.fixture
    def server(self, monkeypatch):
        lp.configure(
            endpoints=dict.fromkeys(["ollama", "lmstudio", "llama.cpp", "vllm"], "http://[::1]:9")
        )
        with WireServer(LIST) as server:
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
            yield server

    @pytest.mark.parametrize(
        "policy",
        [
            'endpoints = ["local"]',
            'endpoints = ["openai", "local"]',  # at its default URL only
            'endpoints = ["https://127.0.0.1/v1"]',
            'models = ["local"]',
            'models = ["anthropic:*", "local"]',
            "models = []",
            "models = 5",
        ],
    )
    def test_nothing_is_asked_where_nothing_may_be_sent(self, server, rules, policy):
        rules(policy)

        _runtime.run(models.refresh(5))
        assert not [each for each in models.choices() if each.provider == "openai"]
        assert not [name for name in lp.models().model if name.startswith("openai:")]
        is_broken = policy == "models = 5"
        with pytest.raises(lp.ConfigError if is_broken else lp.UnknownModelError):
            resolve_model("gtp-4o")
        with pytest.raises(lp.ConfigError, match="not allowed here"):
            endpoint_of("openai")
        assert server.connections == 0

    @pytest.mark.parametrize("models_rule", ["", 'models = ["gpt-4o*"]', 'models = ["open*:*"]'])
    def test_an_allowed_endpoint_is_asked(self, server, rules, models_rule):
        rules(f'endpoints = ["{server.url}/"]\n{models_rule}')

        _runtime.run(models.refresh(60))

        assert [each.model for each in models.choices()] == ["openai:gpt-4o"]
        assert [request.path for request in server.requests] == ["/v1/models"]

    def test_a_server_of_this_machine_is_not_even_connected_to(self, server, rules):
        lp.configure(endpoints={"ollama": f"{server.url}/v1"})
        rules('endpoints = ["local", "openai"]')

        _runtime.run(models.refresh(5))

        assert server.connections == 0
        assert not config.may_ask("ollama")


@pytest.mark.parametrize("mode", [0o646, 0o666, 0o777, 0o602])
def test_a_policy_that_everybody_can_write_stops_calls(rules, tmp_path, mode):
    rules('models = ["local"]')
    assert config.policy().models == ("local",)
    (tmp_path / "policy.toml").chmod(mode)
    with pytest.raises(lp.ConfigError, match=r"every user .* can write it; run chmod o-w"):
        config.check_allowed("openai:gpt-4o")
    (tmp_path / "policy.toml").chmod(mode & ~0o002)
    assert config.policy().models == ("local",)


@pytest.mark.parametrize("value", ['"http://10.0.0.5:8000/v1"', "7", "true", "{}", "[7]", "[[]]"])
@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("endpoints", 'endpoints takes a list of base URLs, such as ["http://10.0.0.5:8000/v1"]'),
        ("models", 'models takes a list of models, such as ["local", "openai:gpt-*"]'),
    ],
)
def test_a_wrong_type_says_what_the_rule_takes(rules, rule, message, value):
    rules(f"{rule} = {value}")
    with pytest.raises(lp.ConfigError) as error:
        config.policy()
    assert message in str(error.value)


@pytest.mark.parametrize("model", ["mine:tiny", "other:x", "tiny", "mine:a:b", "nowhere"])
def test_a_policy_that_cannot_be_used_is_named_before_an_unknown_model(rules, model):
    rules("endpoints = 7")
    with pytest.raises(lp.ConfigError, match="administrator's policy"):
        lp.configure(endpoints={"mine": "http://127.0.0.1:9/v1"}, privacy="metrics")
    with pytest.raises(lp.ConfigError, match="administrator's policy"):
        lp.ask("Hello", model)


def test_the_policy_of_the_readme_is_valid(rules):
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rules(text.partition("```toml\n")[2].partition("```")[0])
    policy = config.policy()
    assert policy.allows_endpoint("mine", "http://10.0.0.5:8000/v1")
    assert [rule.limit_usd for rule in policy.budgets] == [50]
