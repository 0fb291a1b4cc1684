"""Schemas in each vendor's dialect, rewritten only where they stay as strict."""

import pytest

from llm_playground import errors
from llm_playground.parts import TextPart
from llm_playground.providers import anthropic, gemini, openai
from llm_playground.providers.strict_schema import ANTHROPIC as CLAUDES
from llm_playground.providers.strict_schema import OPENAI as OPENAIS
from llm_playground.providers.strict_schema import strict
from llm_playground.types import Message, Parameters, Request, Schema, Tool
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import ANTHROPIC, GEMINI, OPENAI

BODY = {"openai": openai.body, "anthropic": anthropic.body, "gemini": gemini.body}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
CLOSED = PERSON | {"additionalProperties": False}
TOOL = Tool("now", "The time.", {"type": "object", "properties": {}})


def request_for(vendor, schema=PERSON, *, name="Person", model=None, tools=(), **parameters):
    messages = (Message("user", (TextPart("Hi"),)),)
    wanted = Schema(name, schema, parse=str)
    return Request(model or vendor.model, messages, Parameters(**parameters), tools, wanted)


FORM = {
    "openai": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "Person", "schema": CLOSED, "strict": True},
        }
    },
    "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
    "gemini": {
        "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": PERSON}
    },
}


async def test_a_schema_leaves_in_the_vendors_form(vendor):
    request = request_for(vendor)
    with WireServer(Reply(vendor.stream(["{}"]))) as wire:
        provider = vendor.provider(wire.url)
        async for _ in provider.stream(request):
            pass
        await provider.aclose()
    body = wire.requests[0].json
    assert body == BODY[vendor.name](request)
    assert {name: body[name] for name in FORM[vendor.name]} == FORM[vendor.name]


def test_effort_and_schema_are_both_sent_to_anthropic():
    config = anthropic.body(request_for(ANTHROPIC, reasoning_effort="low"))["output_config"]
    assert config == {"effort": "low"} | FORM["anthropic"]["output_config"]


def test_a_schemas_name_is_one_openai_takes():
    def name(given):
        body = openai.body(request_for(OPENAI, name=given))
        return body["response_format"]["json_schema"]["name"]

    assert (name("Page[Ünit]"), name("x" * 99), name("")) == ("Page__nit_", "x" * 64, "answer")


def test_tools_and_a_schema_go_together(vendor):
    model = "gemini:gemini-3-pro-preview" if vendor is GEMINI else None
    body = BODY[vendor.name](request_for(vendor, tools=(TOOL,), model=model))
    assert body["tools"]
    assert {name: body[name] for name in FORM[vendor.name]} == FORM[vendor.name]


def test_old_gemini_refuses_tools_with_schema():
    with pytest.raises(errors.InvalidParameterError, match="tools or a schema, not both"):
        gemini.body(request_for(GEMINI, tools=(TOOL,)))


def of(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


def closed(**properties):
    return of(**properties) | {"additionalProperties": False}


NULLABLE = {"anyOf": [{"type": "string"}, {"type": "null"}]}
# What both vendors can be asked to hold a model to.
MET = {
    "closed already": (CLOSED, CLOSED),
    "closed by default": (PERSON, CLOSED),
    "a limit moves into the description": (
        of(a={"type": "string", "minLength": 2, "description": "A name."}),
        closed(a={"type": "string", "description": "A name.\n\n{minLength: 2}"}),
    ),
    "a format that is known stays": (
        of(a={"type": "string", "format": "date"}, b={"type": "string", "format": "binary"}),
        closed(
            a={"type": "string", "format": "date"},
            b={"type": "string", "description": '{format: "binary"}'},
        ),
    ),
    "objects within": (
        of(a={"type": "array", "items": of(b={"type": "number"})}),
        closed(a={"type": "array", "items": closed(b={"type": "number"})}),
    ),
    "one of several": (
        of(
            a={
                "oneOf": [{"type": "string"}, of(b={"const": 1})],
                "discriminator": {"propertyName": "b"},
            }
        ),
        closed(a={"anyOf": [{"type": "string"}, closed(b={"const": 1})]}),
    ),
    "definitions": (
        of(a={"$ref": "#/$defs/B", "description": "The b."}) | {"$defs": {"B": PERSON}},
        closed(a={"anyOf": [{"$ref": "#/$defs/B"}], "description": "The b."})
        | {"$defs": {"B": CLOSED}},
    ),
    "a definition as the root": (
        {"$ref": "#/$defs/Node", "$defs": {"Node": of(next={"$ref": "#/$defs/Node"})}},
        closed(next={"$ref": "#/$defs/Node"})
        | {"$defs": {"Node": closed(next={"$ref": "#/$defs/Node"})}},
    ),
    "all of one": (
        of(a={"allOf": [{"$ref": "#/$defs/B"}]}) | {"$defs": {"B": PERSON}},
        closed(a={"$ref": "#/$defs/B"}) | {"$defs": {"B": CLOSED}},
    ),
    "values": (
        of(a={"enum": ["x", "y"], "type": "string", "title": "A"}),
        closed(a={"type": "string", "enum": ["x", "y"], "title": "A"}),
    ),
    "what only says which standard": (
        PERSON | {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        CLOSED,
    ),
}


@pytest.mark.parametrize("dialect", [OPENAIS, CLAUDES], ids=["openai", "anthropic"])
@pytest.mark.parametrize("kind", MET)
def test_a_schema_that_can_be_met_is_rewritten(kind, dialect):
    given, wanted = MET[kind]
    assert strict(given, dialect) == wanted


UNMET = {
    "open by its own word": PERSON | {"additionalProperties": True},
    "any key": of(a={"type": "object", "additionalProperties": {"type": "integer"}}),
    "no properties": of(a={"type": "object"}),
    "anything": of(a={}),
    "anything in a list": of(a={"type": "array"}),
    "true": of(a=True),
    "all of two": of(a={"allOf": [{"type": "string"}, {"minLength": 1}]}),
    "not an object": {"type": "array", "items": {"type": "string"}},
    "a union as the root": {"anyOf": [PERSON, PERSON]},
}


@pytest.mark.parametrize("dialect", [OPENAIS, CLAUDES], ids=["openai", "anthropic"])
@pytest.mark.parametrize("kind", UNMET)
def test_a_schema_that_cannot_be_met_is_not_rewritten(kind, dialect):
    assert strict(UNMET[kind], dialect) is None


def test_schema_without_strict_form_is_sent_unchanged():
    given = UNMET["any key"]
    sent = openai.body(request_for(OPENAI, given))["response_format"]["json_schema"]
    assert (sent["schema"], sent["strict"]) == (given, False)
    assert (
        anthropic.body(request_for(ANTHROPIC, given))["output_config"]["format"]["schema"] == given
    )


OPTIONAL = {
    "may be null": (NULLABLE, True),
    "may be null, by its type": ({"type": ["string", "null"]}, True),
    "has a default": ({"type": "string", "default": "x"}, True),
    "must be made up": ({"type": "string"}, False),
}


@pytest.mark.parametrize("kind", OPTIONAL)
def test_openai_requires_optional_properties_with_default_or_null(kind):
    schema, met = OPTIONAL[kind]
    rewritten = strict({"type": "object", "properties": {"a": schema}}, OPENAIS)
    assert (rewritten is not None) is met
    if rewritten is not None:
        assert rewritten["required"] == ["a"]


def test_anthropic_allows_optional_properties():
    rewritten = strict({"type": "object", "properties": {"a": {"type": "string"}}}, CLAUDES)
    assert rewritten["required"] == []


def test_what_was_given_is_not_changed():
    given = of(a={"$ref": "#/$defs/B", "description": "The b."}) | {"$defs": {"B": dict(PERSON)}}
    before = repr(given)
    strict(given, OPENAIS)
    strict(given, CLAUDES)
    assert repr(given) == before
