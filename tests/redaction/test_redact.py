"""Keys are removed: known ones wherever they stand, others by their shape, whole or in pieces."""

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_playground import _lifecycle, redaction, rendering
from llm_playground.redaction import MASK, StreamRedactor, mask, redact, remember
from llm_playground.redaction.pii import SEARCHES, masked
from tests.runlog.actors import completed, execution_of, prompt, run_of

KNOWN = "-".join(["planted", "key", "4e1b", "90d2", "77aa"])
remember(KNOWN)


def drawn(length, alphabet="aB3dE6gH9jK2mN5pQ8sT"):
    return (alphabet * length)[:length]


PEM = "\n".join(
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        drawn(64),
        drawn(64),
        drawn(21) + "==",
        "-----END RSA " + "PRIVATE KEY-----",
    ]
)
SHAPED = {
    "openai": "sk-" + "proj-" + drawn(40),
    "anthropic": "sk-" + "ant-api03-" + drawn(60),
    "openrouter": "sk-" + "or-v1-" + drawn(64, "0123456789abcdef"),
    "google": "AI" + "za" + drawn(35),
    "google, bound": "AQ" + "." + drawn(50),
    "groq": "gsk" + "_" + drawn(52),
    "xai": "xai" + "-" + drawn(80),
    "perplexity": "pplx" + "-" + drawn(48),
    "cerebras": "csk" + "-" + drawn(48),
    "nvidia": "nvapi" + "-" + drawn(64),
    "hugging face": "hf" + "_" + drawn(34),
    "fireworks": "fw" + "_" + drawn(24),
    "together": "tgp" + "_v1_" + drawn(43),
    "replicate": "r8" + "_" + drawn(37),
    "aws": "AK" + "IA" + drawn(16, "ABCD2345EFGH67"),
    "aws session": "AS" + "IA" + drawn(16, "ABCD2345EFGH67"),
    "github": "gh" + "p_" + drawn(36),
    "github app": "gh" + "s_" + drawn(36),
    "github, fine": "github" + "_pat_" + drawn(22) + "_" + drawn(59),
    "gitlab": "glpat" + "-" + drawn(20),
    "slack": "xox" + "b-" + "-".join([drawn(12, "123456789"), drawn(24)]),
    "slack app": "xapp" + "-1-" + drawn(30),
    "stripe": "sk" + "_live_" + drawn(24),
    "json web token": ".".join(["ey" + "J" + drawn(20), "ey" + "J" + drawn(40), drawn(43)]),
    "private key": PEM,
    "private key, escaped": PEM.replace("\n", "\\n"),
}
LABELS = ["Bearer {}", "bearer {}", "x-api-key: {}", '"X-Api-Key": "{}"', "X-Goog-Api-Key={}"]
LABELS += ["https://127.0.0.1/v1?key={}", "https://127.0.0.1/v1?a=b&key={}&c=d"]


class TestKnown:
    def test_a_known_key_disappears_wherever_it_stands(self):
        remember("a known word")

        assert redact("x a known word y") == f"x {MASK} y"
        assert redact("xa known wordy") == f"x{MASK}y"

    def test_a_placeholder_for_a_key_stays_an_ordinary_word(self):
        remember("EMPTY")

        assert redact("The glass is EMPTY.") == "The glass is EMPTY."

    def test_of_two_keys_that_overlap_nothing_is_left(self):
        remember("overlapping-one-1111")
        remember("1111-two-overlapping")

        assert redact("overlapping-one-1111-two-overlapping") == MASK

    def test_the_mask_shows_no_more_than_three_characters(self):
        assert mask(KNOWN) == f"…{KNOWN[-3:]}"
        assert mask("short") == "…"


class TestShapes:
    @pytest.mark.parametrize("key", SHAPED.values(), ids=SHAPED)
    @pytest.mark.parametrize(
        "around", ["{}", "key={}", "the key '{}', see?", "\\n{}\\n", "%20{}", "\\u003d{}", "漢{}字"]
    )
    def test_a_vendors_key_disappears(self, key, around):
        assert redact(around.format(key)) == around.format(MASK)

    @pytest.mark.parametrize("label", LABELS)
    def test_what_follows_a_label_disappears_and_the_label_stays(self, label):
        assert redact(label.format("abcdefgh12345")) == label.format(MASK)

    @pytest.mark.parametrize(
        "text",
        [
            # In pieces: a scanner of sources may know less than we do.
            "The risk" + "-adjusted-return-on-capital of the task" + "-force-for-everything.",
            "A desk" + "-sized-thing-of-some-length; _sk-_ and sk-learn; half_of_them_are_here.",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "keyJ, monkey=1, AKIA, Q. and A. ASIAN-PACIFIC, |---|-----|, x-api-key is a header",
            "The bearer of this is 18.",
        ],
    )
    def test_ordinary_words_stay(self, text):
        assert redact(text) == text


@pytest.mark.parametrize("key", [KNOWN, SHAPED["openai"]], ids=["known", "shaped"])
class TestOutputs:
    def test_a_key_that_an_answer_repeats_is_not_saved_with_the_notebook(self, key):
        for shown in (rendering.to_html, rendering.to_plain_html):
            assert key not in shown(f"The key is **{key}**.")
            assert MASK in shown(f"The key is **{key}**.")

    def test_nor_is_one_in_its_data_or_in_a_heading(self, key):
        assert key not in rendering.heading("local:m", f"use {key}", alone=False)
        text = f'{{"key": "{key}"}}'
        run = completed(run_of(prompt(), execution_of(prompt())), text=text, data={"key": key})
        assert MASK in rendering.run_to_html(run)
        assert key not in rendering.run_to_html(run)


CUTS = st.lists(st.integers(1, 40), min_size=1, max_size=30)
SECRETS = st.sampled_from([*SHAPED.values(), *(label.format(drawn(20)) for label in LABELS), KNOWN])
WORDS = st.one_of(
    st.sampled_from(["the", "a", "g", "gs", "sk-", "s", "x-", "Bearer", "key=", "?key", "ey", "é"]),
    st.sampled_from(["-----BEGIN", "\n", "\u003d", "eyJ", "api-key", "AI", "="]),
    st.text(max_size=12),
    st.text("sk-hf_AIza:. \n", max_size=12),
)
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from([" ", "\n", "'", "\\n", "("]), SECRETS | WORDS))


PERSONAL = st.sampled_from(
    ["ada@example.org", "@", "+49 30 901820", "(202) 555-0143", "4111 1111 1111 1111", "030", "."]
)
PERSONAL_TEXTS = st.lists(st.one_of(PERSONAL, WORDS, SECRETS)).map(" ".join) | st.lists(
    st.one_of(PERSONAL, WORDS)
).map("".join)


def in_pieces(text, cuts, kinds=()):
    """``text`` as a redacted stream writes it, piece by piece."""
    redactor, at, written = StreamRedactor(kinds), 0, []
    while at < len(text):
        size = cuts[at % len(cuts)]
        redactor.add(text[at : at + size])
        written.append(redactor.take())
        at += size
    return "".join([*written, redactor.flush()])


@given(TEXTS, CUTS)
@settings(max_examples=300)
def test_pieces_are_redacted_like_the_whole(parts, cuts):
    text = "".join("".join(part) for part in parts)

    assert in_pieces(text, cuts) == redact(text)
    assert in_pieces(text * 20, cuts) == redact(text * 20)  # longer than what is searched again


@example('"X-Api-Key": "aB3dE6gH9jK2mN5pQ8sT"', [1])  # the space is a place to cut
@given(PERSONAL_TEXTS, CUTS)
@settings(max_examples=300)
def test_personal_data_in_pieces_is_redacted_like_the_whole(text, cuts):
    assert in_pieces(text, cuts, tuple(SEARCHES)) == masked(redact(text), SEARCHES)


def test_long_held_text_is_not_searched_again_for_each_delta(monkeypatch):
    searched = []
    find = redaction.settled
    monkeypatch.setattr(redaction, "settled", lambda text: searched.append(text) or find(text))
    redactor = StreamRedactor()
    for _ in range(10_000):
        redactor.add("ab" if searched else "-----BEGIN PRIVATE KEY-----\n")
        redactor.take()

    assert len(searched) < 3_000


@given(st.text(max_size=20), st.text(max_size=20), SECRETS, CUTS)
def test_no_secret_is_ever_written_however_it_is_cut(before, after, secret, cuts):
    written = in_pieces(f"{before} {secret}{after}", cuts)

    assert secret not in written
    assert secret[-16:] not in written or secret[-16:] in after


@given(st.text(max_size=30), CUTS)
def test_a_known_key_inside_a_word_is_not_written_either(before, cuts):
    assert KNOWN[3:] not in in_pieces(before + "x" + KNOWN, cuts)


ODD = "-".join(["pä", 'ss"/w+', "or\\d'", "77 aa&=<"])
PLAIN = "-".join(["planted", "other", "4e1b"])
for each in (ODD, PLAIN):
    remember(each)
ENCODERS = {
    "clear": str,
    "JSON": lambda text: json.dumps({"a": text}),
    "JSON, as it is": lambda text: json.dumps({"a": text}, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"a": text})),
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "repr": repr,
    "ascii": ascii,
    "repr of a list": lambda text: repr([text]),
    "repr of bytes": lambda text: repr(text.encode()),
    "percent": lambda text: quote(text, safe=""),
    "percent, lower": lambda text: re.sub("%..", lambda m: m[0].lower(), quote(text, safe="")),
    "percent, path": quote,
    "percent, form": quote_plus,
    "percent, all": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "query": lambda text: urlencode({"a": text}),
    "HTML": html.escape,
    "Basic": lambda text: "Basic " + base64.b64encode(f"ada:{text}".encode()).decode(),
    **{
        f"{name}, {before} before": lambda text, encode=encode, before=before: encode(
            b"x" * before + text.encode() + b"!"
        ).decode()
        for name, encode in (("base64", base64.b64encode), ("URL", base64.urlsafe_b64encode))
        for before in range(6)
    },
}


@pytest.mark.parametrize("secret", [ODD, PLAIN, KNOWN], ids=["odd", "plain", "known"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_known_secret_is_removed_in_each_encoding_whole_and_in_pieces(encoder, secret):
    text = f"see {ENCODERS[encoder](secret)} and on"
    whole = redact(text)
    # What is left is too little to decode: less than six characters of the encoded secret.
    left = whole.removeprefix("see ").removesuffix(" and on").replace(MASK, "")

    assert MASK in whole
    assert len(left) <= len(ENCODERS[encoder]("")) + 8
    for size in (1, 2, 3, 5, 8, 13, 21):
        pieces = in_pieces(text, [size])
        assert MASK in pieces
        assert len(pieces) - len(whole) < 4  # inside a word, that much may be written before it


@given(st.text(min_size=8, max_size=40).filter(lambda t: len(t.strip()) > 7), CUTS)
@settings(max_examples=100)
def test_any_secret_is_removed_in_each_encoding(secret, cuts):
    with _lifecycle.isolated_state():
        remember(secret)
        for encode in (
            json.dumps,
            quote,
            quote_plus,
            lambda s: base64.b64encode(s.encode()).decode(),
        ):
            text = f"a {encode(secret)} b"
            assert MASK in redact(text)
            assert in_pieces(text, cuts) == redact(text)


@pytest.mark.parametrize("word", ["postgres", "Password", "EMPTY", "sk", "seven77"])
def test_a_word_is_no_secret(word):
    with _lifecycle.isolated_state():
        remember(word)

        assert redact(f"{word}ql, {word}") == f"{word}ql, {word}"
