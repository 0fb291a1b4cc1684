"""Names, paths and references after ``local:``, and messages about other files."""

from contextlib import aclosing
from pathlib import Path

import httpx2
import pytest

from llm_playground.catalog.capabilities import resolve_model
from llm_playground.errors import ConfigError
from llm_playground.events import Preparing
from llm_playground.providers import Endpoint, local
from tests.local_provider.tiny_weights import gguf_file, gguf_string


@pytest.fixture(autouse=True)
def no_hub(monkeypatch, home, servers):
    """No network, and a folder of the test's own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(home / "hf"))


async def events(model_name: str) -> list[Preparing | Endpoint]:
    async with aclosing(local.start(model_name)) as stream:
        return [event async for event in stream]


async def model_of(model_name: str) -> str:
    """What a model of that name says it is."""
    endpoint = (await events(model_name))[-1]
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    async with httpx2.AsyncClient(trust_env=False, headers=headers) as client:
        return (await client.get(f"{endpoint.base_url}/models")).json()["data"][0]["id"]


async def refused(model_name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        await events(model_name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("written", ["{home}/own.gguf", "~/own.gguf", "./own.gguf", "own.gguf"])
async def test_a_path_means_that_file(monkeypatch, tmp_path, real_weights, written):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.gguf").symlink_to(real_weights)

    assert await model_of(written.format(home=tmp_path)) == "own"


async def test_a_path_wins_over_the_variable_and_another_name_does_not(
    monkeypatch, tmp_path, real_weights
):
    for name in ("named", "given"):
        (tmp_path / f"{name}.gguf").symlink_to(real_weights)
    monkeypatch.setenv("LLM_PLAYGROUND_LOCAL_MODEL", str(tmp_path / "named.gguf"))

    assert await model_of(str(tmp_path / "given.gguf")) == "given"
    assert await model_of("smollm2-135m-instruct") == "named"
    assert await model_of("any-name") == "named"


@pytest.mark.parametrize(
    "name", ["missing.gguf", "./models/missing.gguf", "org/missing.gguf", "/nowhere/x.GGUF"]
)
async def test_a_path_to_nothing_is_named(name):
    assert f"There is no model file at {name.removeprefix('./')}" in await refused(name)


async def test_a_drives_letter_is_part_of_the_path():
    model = resolve_model(r"local:C:\models\x.gguf")

    assert r"no model file at C:\models\x.gguf" in await refused(model.partition(":")[2])


@pytest.mark.parametrize("name", ["org/repo", "org/repo:file.gguf", "org/repo:Q8_0"])
async def test_a_reference_means_hugging_face_even_where_the_variable_is_set(name):
    assert f"HF_HUB_OFFLINE is set, and {name} is not in" in await refused(
        resolve_model(f"local:{name}")[6:]
    )


async def test_a_broken_file_is_named_with_what_helps(tmp_path):
    (tmp_path / "own.gguf").write_bytes(gguf_file()[:-1])

    said = await refused(str(tmp_path / "own.gguf"))
    assert "is truncated" in said
    assert said.endswith("Use another GGUF file.")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gguf_file("bert"), "an embedding model (bert)"),
        (gguf_file("nomic-bert-moe"), "an embedding model"),
        (gguf_file("qwen3", qwen3__pooling_type=3), "an embedding model (qwen3)"),
        (gguf_file("clip"), "mmproj"),
        (gguf_file("llama", general__type="adapter"), "LoRA"),
        (gguf_file("llama", general__type="imatrix"), "importance matrix"),
    ],
)
async def test_a_file_that_cannot_answer_says_what_it_is(tmp_path, content, said):
    (tmp_path / "own.gguf").write_bytes(content)

    line = await refused(str(tmp_path / "own.gguf"))
    assert line.startswith("own.gguf is ")
    assert said in line
    assert "it cannot answer" in line


async def test_a_file_without_a_chat_template_answers_and_the_start_says_how(
    tmp_path, real_weights
):
    path = tmp_path / "own.gguf"
    path.write_bytes(without_template(real_weights))

    *preparing, endpoint = await events(str(path))

    assert any("no chat template" in event.message for event in preparing)
    assert "ChatML" in preparing[-1].message
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    async with httpx2.AsyncClient(trust_env=False, headers=headers, timeout=60) as client:
        body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
        body["temperature"] = 0
        answer = await client.post(f"{endpoint.base_url}/chat/completions", json=body)
    assert answer.json()["choices"][0]["message"]["content"]


def without_template(path: Path) -> bytes:
    """The same model, its template under an unknown name; tensors keep their offsets."""
    data, name = path.read_bytes(), gguf_string("tokenizer.chat_template")
    assert data.count(name) == 1
    return data.replace(name, gguf_string("tokenizer.chat_unknown_"))
