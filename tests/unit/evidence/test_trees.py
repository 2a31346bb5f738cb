"""A folder that others filled is read without being led astray, and cleaned of secrets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base import redaction
from pressplay.base.errors import Refused
from pressplay.evidence import trees

TOKEN = "ghp_" + "a" * 36


def test_plain_files_are_read_and_everything_else_is_left_out(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file.txt").write_bytes(b"1")
    (root / "top.json").write_bytes(b"2")
    (tmp_path / "secret").write_text("out of bounds")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    (root / "new\nline").write_bytes(b"3")
    (root / b"\xff".decode(errors="surrogateescape")).write_bytes(b"4")
    assert trees.read_tree(root) == {"a/b/file.txt": b"1", "top.json": b"2"}
    assert len(trees.survey(root)[1]) == 5


def test_a_folder_that_is_not_there_is_an_empty_tree(tmp_path: Path) -> None:
    assert trees.read_tree(tmp_path / "nothing") == {}


def test_a_very_deep_tree_is_read_as_far_as_names_go(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(200):
        deep = deep / "dddd"
        deep.mkdir()
    (tmp_path / "top").write_bytes(b"x")
    assert trees.read_tree(tmp_path) == {"top": b"x"}


def test_a_tree_beyond_the_limits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"12345")
    monkeypatch.setattr(trees, "FILE_LIMIT", 4)
    with pytest.raises(Refused, match="a is larger than"):
        trees.read_tree(tmp_path)
    monkeypatch.setattr(trees, "FILE_LIMIT", 5)
    monkeypatch.setattr(trees, "TREE_LIMIT", 14)
    with pytest.raises(Refused, match="keep fewer proof files"):
        trees.read_tree(tmp_path)
    monkeypatch.setattr(trees, "TREE_LIMIT", 15)
    monkeypatch.setattr(trees, "FILES_LIMIT", 2)
    with pytest.raises(Refused, match="more than 2 files"):
        trees.read_tree(tmp_path)


def test_secrets_are_taken_out_of_text_json_and_binary() -> None:
    escaped = TOKEN.replace("g", "\\u0067", 1)
    cleaned = trees.clean(
        {
            "logs.txt": f"token {TOKEN}\n".encode(),
            "report.json": f'{{"t": ["{escaped}", 1.50]}}'.encode(),
            "samples.jsonl": f'{{"a": 1}}\n{{"b": "{TOKEN}"}}\n'.encode(),
            "broken.json": f'{{"t": "{TOKEN}"'.encode(),
            "page.bin": b"\xff\xfe" + TOKEN.encode() + b"\x00",
            "own.txt": b"my-own-secret",
            "clean.txt": b"nothing",
        },
        secrets=["my-own-secret"],
    )
    assert cleaned.files["logs.txt"] == b"token ***\n"
    assert json.loads(cleaned.files["report.json"]) == {"t": ["***", 1.5]}
    assert cleaned.files["samples.jsonl"] == b'{"a": 1}\n{"b": "***"}\n'
    assert cleaned.files["broken.json"] == b'{"t": "***"'
    assert cleaned.files["page.bin"] == b"\xff\xfe***\x00"
    assert cleaned.files["own.txt"] == b"***"
    assert cleaned.redacted == set(cleaned.files) - {"clean.txt"}


def test_json_stays_json_though_two_values_look_like_a_secret_together() -> None:
    data = json.dumps({"u": "http://h", "m": "a@b"}, separators=(",", ":")).encode()
    assert trees.clean({"x.json": data}).files["x.json"] == data


def test_a_secret_behind_a_key_that_is_given_twice_is_taken_out() -> None:
    data = f'{{"t": "{TOKEN}", "t": "harmless"}}'.encode()
    assert TOKEN.encode() not in trees.clean({"x.json": data}).files["x.json"]


def test_a_secret_that_cannot_be_taken_out_refuses_the_seal() -> None:
    # Taking out the second secret spells the first one.
    with pytest.raises(Refused, match="could not be taken out"):
        trees.clean({"a.txt": b"xabcdefyz"}, secrets=["x***yz", "abcdef"])


@given(st.dictionaries(st.sampled_from(["a.json", "b.jsonl", "c.txt"]), st.binary(max_size=80)))
def test_a_tree_without_secrets_is_not_touched(files: dict[str, bytes]) -> None:
    cleaned = trees.clean(files)
    for path in set(files) - cleaned.redacted:
        assert cleaned.files[path] == files[path]
    assert trees.clean(cleaned.files).redacted == frozenset()


_TEXTS = st.sampled_from([TOKEN, f"x {TOKEN}", "http://u:p@h/", "http://h", "a@b", "my-own-secret"])
_VALUES = st.recursive(
    st.none() | st.integers() | _TEXTS | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(_VALUES)
def test_json_is_cleaned_as_each_of_its_strings_is(value: object) -> None:
    data = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    cleaned = trees.clean({"x.json": data}, secrets=["my-own-secret"]).files["x.json"]
    wanted = redaction.redact_value(json.loads(data), secrets=["my-own-secret"])
    assert json.loads(cleaned) == wanted
