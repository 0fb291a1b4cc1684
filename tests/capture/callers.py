"""The calls that each library makes in the tests: one prompt, one answer, in every way it has.

A library is a function that takes the server's address and a loop, and returns its calls by name;
each returns the text of the answer.
"""

import asyncio

from tests.capture.wire import KEY

PROMPT = "Say hello."
OPENAI, ANTHROPIC, GEMINI = "gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"


def _chat(**more):
    return {"model": OPENAI, "messages": [{"role": "user", "content": PROMPT}], **more}


def openai(url, loop):
    import openai

    sync = openai.OpenAI(api_key=KEY, base_url=f"{url}/v1")
    own = openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1")
    asked = {"model": OPENAI, "input": PROMPT}

    def text(events):
        return "".join(one.choices[0].delta.content or "" for one in events if one.choices)

    def written(events):
        return "".join(one.delta for one in events if one.type == "response.output_text.delta")

    async def every(sending):
        return [event async for event in await sending]

    return {
        "openai": lambda: sync.chat.completions.create(**_chat()).choices[0].message.content,
        "openai-stream": lambda: text(sync.chat.completions.create(**_chat(stream=True))),
        "openai-async": lambda: (
            loop.run(own.chat.completions.create(**_chat())).choices[0].message.content
        ),
        "openai-async-stream": lambda: text(
            loop.run(every(own.chat.completions.create(**_chat(stream=True))))
        ),
        "responses": lambda: sync.responses.create(**asked).output_text,
        "responses-stream": lambda: written(sync.responses.create(**asked, stream=True)),
        "responses-async": lambda: loop.run(own.responses.create(**asked)).output_text,
        "responses-async-stream": lambda: written(
            loop.run(every(own.responses.create(**asked, stream=True)))
        ),
    }


def anthropic(url, loop):
    import anthropic

    sync = anthropic.Anthropic(api_key=KEY, base_url=url)
    own = anthropic.AsyncAnthropic(api_key=KEY, base_url=url)
    asked = {
        "model": ANTHROPIC,
        "max_tokens": 99,
        "messages": [{"role": "user", "content": PROMPT}],
    }

    def streamed():
        with sync.messages.stream(**asked) as stream:
            return "".join(stream.text_stream)

    async def streamed_async():
        async with own.messages.stream(**asked) as stream:
            return "".join([text async for text in stream.text_stream])

    return {
        "anthropic": lambda: sync.messages.create(**asked).content[0].text,
        "anthropic-stream": streamed,
        "anthropic-async": lambda: loop.run(own.messages.create(**asked)).content[0].text,
        "anthropic-async-stream": lambda: loop.run(streamed_async()),
    }


def google_genai(url, loop):
    from google import genai

    client = genai.Client(api_key=KEY, vertexai=False, http_options={"base_url": url})
    asked = {"model": GEMINI, "contents": PROMPT}

    async def streamed():
        events = await client.aio.models.generate_content_stream(**asked)
        return "".join([event.text or "" async for event in events])

    return {
        "google-genai": lambda: client.models.generate_content(**asked).text,
        "google-genai-stream": lambda: "".join(
            event.text or "" for event in client.models.generate_content_stream(**asked)
        ),
        "google-genai-async": lambda: loop.run(client.aio.models.generate_content(**asked)).text,
        "google-genai-async-stream": lambda: loop.run(streamed()),
    }


def litellm(url, loop):
    import litellm

    litellm.telemetry = False
    turns = [{"role": "user", "content": PROMPT}]
    asked = {
        "openai": {"model": f"openai/{OPENAI}", "api_base": f"{url}/v1"},
        "anthropic": {"model": f"anthropic/{ANTHROPIC}", "api_base": url},
        "gemini": {"model": f"gemini/{GEMINI}", "api_base": f"{url}/v1beta/models/{GEMINI}"},
    }

    def said(answer):
        return answer.choices[0].message.content

    def joined(events):
        return "".join(event.choices[0].delta.content or "" for event in events)

    async def every(**options):
        events = await litellm.acompletion(**options, stream=True)
        return [event async for event in events]

    calls = {}
    for name, where in asked.items():
        options = {"messages": turns, "api_key": KEY, "max_tokens": 99, **where}
        calls |= {
            f"litellm-{name}": lambda o=options: said(litellm.completion(**o)),
            f"litellm-{name}-stream": lambda o=options: joined(
                litellm.completion(**o, stream=True)
            ),
            f"litellm-{name}-async": lambda o=options: said(loop.run(litellm.acompletion(**o))),
            f"litellm-{name}-async-stream": lambda o=options: joined(loop.run(every(**o))),
        }
    return calls


def langchain(url, loop):
    from langchain_anthropic import ChatAnthropic
    from langchain_google_genai import ChatGoogleGenerativeAI
    from langchain_openai import ChatOpenAI

    models = {
        "openai": ChatOpenAI(model=OPENAI, api_key=KEY, base_url=f"{url}/v1"),
        "anthropic": ChatAnthropic(
            model=ANTHROPIC, api_key=KEY, base_url=url, max_tokens=99, max_retries=0
        ),
        "gemini": ChatGoogleGenerativeAI(
            model=GEMINI, google_api_key=KEY, base_url=url, max_retries=0
        ),
    }

    async def every(model):
        return "".join([event.text async for event in model.astream(PROMPT)])

    calls = {}
    for name, model in models.items():
        calls |= {
            f"langchain-{name}": lambda m=model: m.invoke(PROMPT).text,
            f"langchain-{name}-stream": lambda m=model: "".join(
                event.text for event in m.stream(PROMPT)
            ),
            f"langchain-{name}-async": lambda m=model: loop.run(m.ainvoke(PROMPT)).text,
            f"langchain-{name}-async-stream": lambda m=model: loop.run(every(m)),
        }
    return calls


def pydantic_ai(url, loop):
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.google import GoogleProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    agents = {
        "openai": Agent(
            OpenAIChatModel(OPENAI, provider=OpenAIProvider(base_url=f"{url}/v1", api_key=KEY))
        ),
        "anthropic": Agent(
            AnthropicModel(ANTHROPIC, provider=AnthropicProvider(base_url=url, api_key=KEY))
        ),
        "gemini": Agent(GoogleModel(GEMINI, provider=GoogleProvider(base_url=url, api_key=KEY))),
    }

    async def asked(agent):
        return (await agent.run(PROMPT)).output

    async def streamed(agent):
        async with agent.run_stream(PROMPT) as result:
            return "".join([text async for text in result.stream_text(delta=True)])

    calls = {}
    for name, agent in agents.items():  # what is synchronous here runs a loop, too
        calls |= {
            f"pydantic-ai-{name}-async": lambda a=agent: loop.run(asked(a)),
            f"pydantic-ai-{name}-async-stream": lambda a=agent: loop.run(streamed(a)),
        }
    return calls


LIBRARIES = {
    "openai": openai,
    "anthropic": anthropic,
    "google-genai": google_genai,
    "litellm": litellm,
    "langchain": langchain,
    "pydantic-ai": pydantic_ai,
}


class Loop:
    """One loop for all calls, as in a kernel."""

    def __init__(self):
        self._runner = asyncio.Runner()

    def run(self, work):
        async def awaited():
            return await work

        return self._runner.run(awaited())

    def close(self):
        self._runner.close()
