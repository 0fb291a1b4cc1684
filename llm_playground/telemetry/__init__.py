"""Runs as OpenTelemetry spans: made from the log or as calls end, written to a file or exported.

The spans follow the semantic conventions for generative AI, at the revision that
:data:`llm_playground.telemetry.spans.CONVENTIONS` names.
"""
