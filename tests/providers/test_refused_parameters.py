"""Refused parameters are recognised in each vendor's error messages."""

import pytest

import llm_playground as lp
from llm_playground import errors
from tests.providers.failures import failure_from
from tests.providers.server import WireServer, json_reply
from tests.providers.vendors import ANTHROPIC, GEMINI, OPENAI

ALL_SET = {
    "temperature": 0.2,
    "top_p": 0.5,
    "top_k": 40,
    "max_tokens": 7,
    "stop": ("END",),
    "seed": 3,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.3,
    "reasoning_effort": "low",
    "logprobs": 2,
}


def openai_says(message, code=None, param=None):
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return OPENAI, 400, {"error": error}


def anthropic_says(message):
    error = {"type": "invalid_request_error", "message": message}
    return ANTHROPIC, 400, {"type": "error", "error": error, "request_id": "req_1"}


def gemini_says(message):
    return GEMINI, 400, {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}


REFUSALS = [
    (
        openai_says(
            "Unsupported value: 'temperature' does not support 0.2 with this model. "
            "Only the default (1) value is supported.",
            "unsupported_value",
            "temperature",
        ),
        "temperature",
    ),
    (
        openai_says(
            "Unsupported parameter: 'stop' is not supported with this model.",
            "unsupported_parameter",
            "stop",
        ),
        "stop",
    ),
    (
        openai_says(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "unsupported_parameter",
            "max_tokens",
        ),
        "max_tokens",
    ),
    (openai_says("Unrecognized request argument supplied: reasoning_effort"), "reasoning_effort"),
    (openai_says("Unknown parameter: 'top_k'.", "unknown_parameter", "top_k"), "top_k"),
    (openai_says("You are not allowed to request logprobs from this model"), "logprobs"),
    (openai_says("property 'top_k' is unsupported"), "top_k"),  # Groq
    (openai_says("Model x does not support parameter presencePenalty."), "presence_penalty"),
    (openai_says("Unsupported param: logprobs"), "logprobs"),  # llama.cpp
    (  # vLLM
        (
            OPENAI,
            400,
            {
                "object": "error",
                "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'top_k'), "
                "'msg': 'Extra inputs are not permitted', 'input': 40}]",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
        ),
        "top_k",
    ),
    (  # Mistral
        (OPENAI, 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"]}]}),
        "seed",
    ),
    (anthropic_says("`temperature` is deprecated for this model."), "temperature"),
    (anthropic_says("top_p: Extra inputs are not permitted"), "top_p"),
    (
        anthropic_says(
            "`temperature` and `top_p` cannot both be specified for this model. "
            "Please use only one."
        ),
        "top_p",
    ),
    (
        anthropic_says("`temperature` may only be set to 1 when thinking is enabled."),
        "temperature",
    ),
    (anthropic_says("`top_k` must be unset when thinking is enabled."), "top_k"),
    (anthropic_says("This model does not support the effort parameter."), "reasoning_effort"),
    (gemini_says("Penalty is not enabled for models/gemini-2.5-flash"), "presence_penalty"),
    (gemini_says("Logprobs is not enabled for models/gemini-2.5-pro"), "logprobs"),
    (gemini_says("Thinking level is not supported for this model."), "reasoning_effort"),
    (
        gemini_says(
            'Invalid JSON payload received. Unknown name "topK" at '
            "'generation_config': Cannot find field."
        ),
        "top_k",
    ),
]


@pytest.mark.parametrize(("refusal", "refused"), REFUSALS)
async def test_refused_parameter_is_recognised(refusal, refused):
    vendor, status, said = refusal
    error, _ = await failure_from(vendor, json_reply(status, said), **ALL_SET)
    assert type(error) is errors.RequestRejectedError
    assert error.refused_parameter == refused
    assert f"does not take {refused} with" in str(error)


async def test_only_sent_parameters_are_refused():
    vendor, status, said = gemini_says("Penalty is not enabled for this model")
    error, _ = await failure_from(vendor, json_reply(status, said), frequency_penalty=0.5)
    assert error.refused_parameter == "frequency_penalty"
    error, _ = await failure_from(vendor, json_reply(status, said), temperature=0.5)
    assert error.refused_parameter is None


NOT_ABOUT_ONE = [
    openai_says("Invalid 'temperature': decimal above maximum value.", "decimal_above_max_value"),
    openai_says("max_tokens is too large: 99999. This model supports at most 16384.", param="x"),
    openai_says("This model does not support images. Stop sending them."),
    anthropic_says("messages: at least one message is required"),
    anthropic_says("max_tokens: 9 > 8, which is the maximum allowed number of output tokens"),
    gemini_says("The temperature of 3 is above the maximum of 2."),
]


@pytest.mark.parametrize("refusal", NOT_ABOUT_ONE)
async def test_a_value_out_of_range_or_another_fault_is_no_refused_parameter(refusal):
    vendor, status, said = refusal
    error, _ = await failure_from(vendor, json_reply(status, said), **ALL_SET)
    assert type(error) is errors.RequestRejectedError
    assert error.refused_parameter is None


async def test_a_prompt_that_is_too_long_is_no_refused_parameter():
    vendor, status, said = anthropic_says(
        "input length and `max_tokens` exceed context limit: 1 + 2 > 2, max_tokens is not allowed"
    )
    error, _ = await failure_from(vendor, json_reply(status, said), **ALL_SET)
    assert type(error) is errors.ContextLengthError
    assert error.refused_parameter is None


async def test_key_in_an_error_body_is_redacted(vendor):
    said = {"error": {"message": "`top_k` is deprecated. Bearer abcdefgh1234", "code": None}}
    error, _ = await failure_from(vendor, json_reply(400, said), top_k=5)
    assert error.refused_parameter == "top_k"
    assert "abcdefgh1234" not in str(error) + error.detail


# A value that is refused is no parameter to leave out: the call fails and names what is taken.
VALUES = [
    anthropic_says(
        "This model does not support effort level 'xhigh'. "
        "Supported levels: high, low, max, medium."
    ),
    anthropic_says("output_config.effort: Input should be 'low', 'medium' or 'high'"),
    openai_says(
        "Unsupported value: 'xhigh' is not supported with the 'gpt-5.1' model. "
        "Supported values are: 'none', 'low', 'medium', and 'high'.",
        "unsupported_value",
        "reasoning_effort",
    ),
    openai_says("Unsupported value: 'reasoning_effort' does not support 'xhigh' with this model."),
    openai_says('reasoning_effort "xhigh" is not supported by this model', "invalid_value"),
    gemini_says("Thinking level XHIGH is not supported for this model."),
    gemini_says(
        "Invalid value at 'generation_config.thinking_config.thinking_level' "
        '(type.googleapis.com/google.ai.ThinkingLevel), "xhigh"'
    ),
]
PARAMETERS = [
    anthropic_says("This model does not support the effort parameter."),
    openai_says("Unrecognized request argument supplied: reasoning_effort"),
    openai_says("property 'reasoning_effort' is unsupported"),
    gemini_says("Thinking level is not supported for this model."),
]


@pytest.mark.parametrize("refusal", [*VALUES, *PARAMETERS])
async def test_a_refused_value_is_not_the_parameter(refusal):
    vendor, status, said = refusal
    reply = json_reply(status, said)
    error, _ = await failure_from(vendor, reply, reasoning_effort="xhigh", top_p=0.5)

    is_value = refusal in VALUES
    assert type(error) is errors.RequestRejectedError
    assert error.refused_value == ("reasoning_effort" if is_value else None)
    assert error.refused_parameter == (None if is_value else "reasoning_effort")
    assert ("Choose another" in str(error)) is is_value


def test_a_refused_level_fails_with_the_providers_words_and_is_not_sent_without(home, monkeypatch):
    said = "This model does not support effort level 'xhigh'. Supported levels: high, low."
    _, status, body = anthropic_says(said)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-" + "planted" * 3)
    with WireServer(json_reply(status, body)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        with pytest.raises(lp.RequestRejectedError, match="Supported levels: high, low") as caught:
            lp.ask("Hi", "anthropic:claude-opus-4-7", reasoning_effort="xhigh")

    [request] = server.requests
    assert request.json["output_config"] == {"effort": "xhigh"}
    assert "takes" not in str(caught.value)  # the table says that the model takes this level
    assert caught.value.run.dropped_parameters == ()
