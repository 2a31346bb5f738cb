"""Mutants of Rust: small, of the wanted lines only, never of what is no behaviour."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.toolchains import rust_lexing, rust_mutants
from pressplay.stages.toolchains.rust_lexing import Kind, NotRust

SOURCE = r"""#!/usr/bin/env run
//! A crate: 1 == 2 && true.
use std::fmt; // 1 + 1
#[derive(Debug)]
#[cfg_attr(feature = "x", allow(dead_code))]
pub struct Pair<'a, T: Clone + 'a>(pub Vec<&'a T>, [u8; 4]);
const LIMIT: u32 = 3;
/* outer /* inner 1 < 2 */ still */
macro_rules! twice { ($e:expr) => { $e + $e }; }

/// Doc: `if a == b { 1 }`.
pub fn price<'a>(n: u32, rates: &'a [f64], text: &'static str) -> Option<u32> {
    if n > LIMIT && !text.is_empty() {
        return None;
    }
    let total = n + 1;
    let c = '"'; let d = '\''; let e = b'x'; let raw = r#"a == "b" && true"#;
    if let Some(rate) = rates.first() {
        log(*rate, -1, 2.5, 0xff_u8);
    }
    while total <= 10 { step(); }
    let mut sum = total as u64 * 2;
    sum += rates.len() as u64 % 7;
    let flag = true;
    let same = total == 2 || flag;
    if same { return Some(9); }
    Some(total - 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a() { assert!(1 + 1 == 2); }
}

#[tokio::test(flavor = "x")]
async fn b() { assert_eq!(1 + 1, 2); }

#[cfg(not(test))]
fn after() -> bool { true }
"""
EVERY = frozenset(range(1, 200))


def found(source: str, lines: frozenset[int] = EVERY) -> list[tuple[int, str, str]]:
    """Line, what, and the line as it became."""
    return [
        (each.line, each.what, each.text.split("\n")[each.line - 1].strip())
        for each in rust_mutants.mutants("a.rs", source, lines=lines)
    ]


def test_every_operator_is_at_work() -> None:
    made = found(SOURCE)
    for expected in [
        (7, "alter the constant", "const LIMIT: u32 = 4;"),
        (13, "negate the condition", "if !(n > LIMIT && !text.is_empty()) {"),
        (13, "negate the comparison", "if n <= LIMIT && !text.is_empty() {"),
        (13, "swap and with or", "if n > LIMIT || !text.is_empty() {"),
        (14, "return the default", "return Default::default();"),
        (16, "swap the operator", "let total = n - 1;"),
        (16, "alter the constant", "let total = n + 2;"),
        (19, "drop the statement", "{}"),
        (19, "alter the constant", "log(*rate, -2, 2.5, 0xff_u8);"),
        (19, "alter the constant", "log(*rate, -1, 3.5, 0xff_u8);"),
        (19, "alter the constant", "log(*rate, -1, 2.5, 0x100u8);"),
        (21, "negate the comparison", "while total > 10 { step(); }"),
        (22, "swap the operator", "let mut sum = total as u64 / 2;"),
        (23, "swap the operator", "sum -= rates.len() as u64 % 7;"),
        (23, "swap the operator", "sum += rates.len() as u64 * 7;"),
        (24, "alter the constant", "let flag = false;"),
        (25, "negate the comparison", "let same = total != 2 || flag;"),
        (25, "swap and with or", "let same = total == 2 && flag;"),
        (26, "negate the condition", "if !(same) { return Some(9); }"),
        (26, "return None", "if same { return None; }"),
        (27, "return None", "None"),
        (40, "alter the constant", "fn after() -> bool { false }"),
    ]:
        assert expected in made


def test_what_is_no_behaviour_is_left_alone() -> None:
    changed = {line for line, _, _ in found(SOURCE)}
    assert not changed & {1, 2, 3, 4, 5, 8, 9, 11, 12, *range(29, 39)}
    # Of line 17 and 18 nothing: quotes are no code, and a pattern is no value.
    assert not changed & {17, 18}


def test_a_field_and_a_sign_are_no_operands() -> None:
    assert found("fn f(x: (u8, u8)) -> i8 { g(x.0, -x.1) }\n") == []
    assert found("fn f() -> Vec<Box<dyn Fn() -> u8 + 'static>> { || h() }\n") == []


def test_only_the_given_lines_are_touched() -> None:
    assert {line for line, _, _ in found(SOURCE, frozenset({16, 17}))} == {16}


def test_what_spans_lines_is_not_mutated_as_a_whole() -> None:
    source = "fn f() {\n    if a\n        == b\n    {\n    }\n}\n"
    assert found(source) == [(3, "negate the comparison", "!= b")]


@pytest.mark.parametrize("source", ["/* no end", 'r#"no end"', '"no end', "fn f() { \x00 }"])
def test_what_is_no_rust_has_no_mutant(source: str) -> None:
    with pytest.raises(NotRust):
        rust_lexing.tokens(source)
    assert found(source) == []


@pytest.mark.parametrize(
    ("source", "kinds"),
    [
        ("'a'", [Kind.CHARACTER]),
        ("'a", [Kind.LIFETIME]),
        ("'\\u{1F600}'", [Kind.CHARACTER]),
        ("b'\\x7f'", [Kind.CHARACTER]),
        ("&'static str", [Kind.SIGN, Kind.LIFETIME, Kind.SPACE, Kind.WORD]),
        ("r#type", [Kind.WORD]),
        ('r##"a"# b"##', [Kind.STRING]),
        ('c"a\\"b"', [Kind.STRING]),
        ("1..2", [Kind.NUMBER, Kind.SIGN, Kind.NUMBER]),
        ("1.max(2)", [Kind.NUMBER, Kind.SIGN, Kind.WORD, Kind.SIGN, Kind.NUMBER, Kind.SIGN]),
        ("1.5e-3f64", [Kind.NUMBER]),
        ("x.0.1", [Kind.WORD, Kind.SIGN, Kind.NUMBER]),
        ("a>>=b", [Kind.WORD, Kind.SIGN, Kind.WORD]),
    ],
)
def test_tokens_are_told_apart(source: str, kinds: list[Kind]) -> None:
    assert [token.kind for token in rust_lexing.tokens(source)] == kinds


_PIECES = st.lists(
    st.sampled_from(
        [
            *(f"{line}\n" for line in SOURCE.splitlines()[5:]),
            *("if a < b && c {", "}\n", "return x + 1;\n", "'a ", "'b'", '"é == 1"', "// +\n"),
            *("#[test]", "#[cfg(test)]\n", "mod m {", "Some(1)", " == ", "(", ")", "1_000u64", " "),
            *("foo.bar(2);\n", "/* a\nb */", 'r"\\"', "true", "while x {", "use a::{b, c};\n"),
        ]
    ),
    max_size=25,
)


@given(_PIECES, st.frozensets(st.integers(1, 20)))
def test_a_mutant_still_lexes_and_changes_its_line_alone(
    pieces: list[str], lines: frozenset[int]
) -> None:
    source = "".join(pieces)
    try:
        rust_lexing.tokens(source)
    except NotRust:
        assert list(rust_mutants.mutants("a.rs", source, lines=lines)) == []
        return
    before = source.split("\n")
    made = list(rust_mutants.mutants("a.rs", source, lines=lines))
    assert made == list(rust_mutants.mutants("a.rs", source, lines=lines))
    for mutant in made:
        assert mutant.line in lines
        assert "".join(token.text for token in rust_lexing.tokens(mutant.text)) == mutant.text
        after = mutant.text.split("\n")
        assert len(after) == len(before)
        changed = [
            n for n, pair in enumerate(zip(before, after, strict=True), 1) if len(set(pair)) > 1
        ]
        assert changed == [mutant.line]


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_tokens_lose_nothing(source: str) -> None:
    try:
        made = rust_lexing.tokens(source)
    except NotRust:
        return
    assert "".join(token.text for token in made) == source


def test_most_mutants_of_real_code_compile(tmp_path: Path) -> None:
    rustc = shutil.which("rustc")
    if rustc is None:
        pytest.skip("no rustc on this machine")
    source = (
        "pub fn f(n: u32, on: bool) -> Option<u32> {\n"
        "    if n > 3 && on {\n        return None;\n    }\n"
        "    let total = n + 1;\n    Some(total * 2)\n}\n"
    )
    made = list(rust_mutants.mutants("a.rs", source, lines=EVERY))
    compiled = 0
    for index, mutant in enumerate(made[:6]):
        path = tmp_path / f"m{index}.rs"
        path.write_text(mutant.text)
        done = subprocess.run(
            [rustc, "--crate-type=lib", "--emit=metadata", "--out-dir", tmp_path, path],
            capture_output=True,
            check=False,
        )
        compiled += done.returncode == 0
    assert compiled >= 5
