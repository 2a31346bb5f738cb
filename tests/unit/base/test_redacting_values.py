"""Secrets inside a JSON value are taken out string by string."""

from __future__ import annotations

import json

from pressplay.base import redaction

TOKEN = "ghp_" + "a" * 36


def test_every_string_and_key_is_redacted_and_the_rest_is_kept() -> None:
    value = {"a": [TOKEN, 1, None, {"b": f"x {TOKEN} y"}], TOKEN: True}
    cleaned = redaction.redact_value(value)
    assert cleaned == {"a": ["***", 1, None, {"b": "x *** y"}], "***": True}


def test_two_harmless_values_that_look_like_a_secret_together_stay() -> None:
    value = {"u": "http://h", "m": "a@b"}
    assert redaction.redact_value(value) == value
    compact = json.dumps(value, separators=(",", ":"))
    assert redaction.redact(compact) != compact


def test_values_that_a_process_holds_itself_are_redacted_too() -> None:
    assert redaction.redact_value(["my-own-secret"], secrets=["my-own-secret"]) == ["***"]


def test_user_and_password_of_a_url_are_redacted_and_the_rest_of_it_is_kept() -> None:
    text = f"clone http://me:pw@host/a and https://{TOKEN}:x@host/b"
    assert redaction.has_secret("http://me:pw@host")
    assert redaction.redact(text) == "clone http://***@host/a and https://***@host/b"
    assert redaction.redact(redaction.redact(text)) == redaction.redact(text)
