"""sprig's functions for strings, digests, encodings, regular expressions and paths.

sprig puts the text last, so that a pipe can supply it. Source: sprig's documentation, the chapters
"String Functions", "String List Functions", "Encoding Functions" and "Path Functions". Unlike
sprig's, the decoders refuse what they cannot decode: an error message is no value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import posixpath
import re
import secrets
import string
import zlib
from collections.abc import Callable, Mapping

from pressplay.base import ids
from pressplay.engine.expressions import builtin_texts, encoding, printing, regex, values
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function, Run, table

_BLANKS = re.compile("[\t-\r \x85\xa0]")
_WORD_START = re.compile(r"(^|\s)(\S)")


def texts_of(value: object) -> list[str]:
    """The items of an array as texts, without the nils; any other value as the only one."""
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    return [printing.to_text(each) for each in items if each is not None]


def _bytewise(text: str) -> str:
    """Each byte as a letter of its own, which is how two of sprig's functions misread letters."""
    return text.encode(errors="replace").decode("latin-1")


def _trimmed(characters: str, text: str) -> str:
    return builtin_texts.strip(text, characters)


def _title(text: str) -> str:
    made: list[str] = []
    inside = False
    for character in text:
        made.append(character if inside else character.title())
        # Go counts every ASCII sign as the end of a word, an apostrophe too.
        inside = (
            character.isalnum()
            or character == "_"
            or not (character.isascii() or character.isspace())
        )
    return "".join(made)


def _truncated(count: int, text: str) -> str:
    data = text.encode(errors="replace")
    kept = data[:count] if count >= 0 else data[count:] if len(data) + count > 0 else data
    return kept.decode(errors="replace")


def _substring(start: int, end: int, text: str) -> str:
    data = text.encode(errors="replace")
    first = max(start, 0)
    last = end if start < 0 or 0 <= end <= len(data) else len(data)
    if not first <= last <= len(data):
        raise Fault(f"substr: {start} to {end} lies outside of the string")
    return data[first:last].decode(errors="replace")


def _indented(run: Run, spaces: int, text: str) -> str:
    pad = builtin_texts.repeat(run, " ", spaces)
    return pad + builtin_texts.replace(run, text, "\n", "\n" + pad)


def _abbreviated(width: int, text: str) -> str:
    return text if width < 4 or len(text) <= width else f"{text[: width - 3]}..."


def _numbered(parts: list[str]) -> values.TextMap:
    return values.TextMap((f"_{number}", part) for number, part in enumerate(parts))


def _joined(run: Run, separator: str, value: object) -> str:
    texts = texts_of(value)
    run.budget.reserve(len(separator) * len(texts))
    return separator.join(texts)


def _random(run: Run, count: int, alphabet: str) -> str:
    run.budget.spend(max(count, 0))
    return "".join(secrets.choice(alphabet) for _ in range(count))


def _digest(name: str, text: str) -> str:
    return hashlib.new(name, text.encode(errors="replace"), usedforsecurity=False).hexdigest()


def _from_base32(text: str) -> str:
    try:
        return base64.b32decode(text).decode(errors="replace")
    except binascii.Error as error:
        raise Fault(f"b32dec: {error}") from error


def _clean(path: str) -> str:
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _base(path: str) -> str:
    return posixpath.basename(path.rstrip("/")) or ("/" if path else ".")


def _extension(path: str) -> str:
    last = path.rpartition("/")[2]
    return last[last.rfind(".") :] if "." in last else ""


def _fail(message: str) -> object:
    raise Fault(message)


def _find(run: Run, pattern: str, text: str) -> str:
    found = _find_all(run, pattern, text, 1)
    return found[0] if found else ""


def _find_all(  # noqa: PLR0917 - called with the expression's arguments
    run: Run, pattern: str, text: str, limit: int
) -> list[str]:
    compiled = regex.compile_pattern(pattern)
    return [
        text[places[0] : places[1]]
        for places in compiled.find_all(text, limit=limit, budget=run.budget)
    ]


def _is_match(run: Run, pattern: str, text: str) -> bool:
    return regex.compile_pattern(pattern).is_match(text, budget=run.budget)


def _replace_all(  # noqa: PLR0917 - called with the expression's arguments
    run: Run, pattern: str, text: str, template: str
) -> str:
    return regex.compile_pattern(pattern).replace(text, template, budget=run.budget)


def _replace_literally(  # noqa: PLR0917 - called with the expression's arguments
    run: Run, pattern: str, text: str, replacement: str
) -> str:
    compiled = regex.compile_pattern(pattern)
    return compiled.replace(text, replacement, budget=run.budget, expand=False)


def _split_at(  # noqa: PLR0917 - called with the expression's arguments
    run: Run, pattern: str, text: str, limit: int
) -> list[str]:
    return regex.compile_pattern(pattern).split(text, limit=limit, budget=run.budget)


_REGEX: Mapping[str, Callable[..., object]] = {
    "egexMatch(string, string)": _is_match,
    "egexFind(string, string)": _find,
    "egexFindAll(string, string, int)": _find_all,
    "egexReplaceAll(string, string, string)": _replace_all,
    "egexReplaceAllLiteral(string, string, string)": _replace_literally,
    "egexSplit(string, string, int)": _split_at,
}

FUNCTIONS: Mapping[str, Function] = {
    **table(
        {
            "trim(string)": str.strip,
            "trimAll(string, string)": _trimmed,
            "trimall(string, string)": _trimmed,
            "trimSuffix(string, string)": lambda suffix, text: text.removesuffix(suffix),
            "trimPrefix(string, string)": lambda prefix, text: text.removeprefix(prefix),
            "upper(string)": builtin_texts.upper,
            "lower(string)": builtin_texts.lower,
            "title(string)": _title,
            "untitle(string)": lambda text: _WORD_START.sub(
                lambda match: match[1] + match[2].lower(), text
            ),
            "swapcase(string)": str.swapcase,
            "nospace(string)": lambda text: (
                _BLANKS.sub("", _bytewise(text)) if _BLANKS.search(_bytewise(text)) else text
            ),
            "initials(string)": lambda text: "".join(_bytewise(word)[0] for word in text.split()),
            "trunc(int, string)": _truncated,
            "abbrev(int, string)": _abbreviated,
            "substr(int, int, string)": _substring,
            "contains(string, string)": lambda part, text: part in text,
            "hasPrefix(string, string)": lambda prefix, text: text.startswith(prefix),
            "hasSuffix(string, string)": lambda suffix, text: text.endswith(suffix),
            "plural(string, string, int)": lambda one, many, count: one if count == 1 else many,
            "quote(any*)": lambda *items: " ".join(
                printing.quoted(printing.to_text(each)) for each in items if each is not None
            ),
            "squote(any*)": lambda *items: " ".join(
                f"'{printing.to_text(each)}'" for each in items if each is not None
            ),
            "cat(any*)": lambda *items: " ".join(
                printing.to_text(each) for each in items if each is not None
            ),
            "toString(any)": printing.to_text,
            "toStrings(any)": texts_of,
            "sortAlpha(any)": lambda value: (
                sorted(texts_of(value)) if isinstance(value, list) else [printing.to_text(value)]
            ),
            "splitList(string, string)": lambda separator, text: builtin_texts.split(
                text, separator
            ),
            "split(string, string)": lambda separator, text: _numbered(
                builtin_texts.split(text, separator)
            ),
            "splitn(string, int, string)": lambda separator, count, text: _numbered(
                builtin_texts.split(text, separator, count)
            ),
            "sha1sum(string)": lambda text: _digest("sha1", text),
            "sha256sum(string)": lambda text: _digest("sha256", text),
            "sha512sum(string)": lambda text: _digest("sha512", text),
            "adler32sum(string)": lambda text: str(zlib.adler32(text.encode(errors="replace"))),
            "b64enc(string)": encoding.to_base64,
            "b64dec(string)": encoding.from_base64,
            "b32enc(string)": lambda text: base64.b32encode(text.encode(errors="replace")).decode(),
            "b32dec(string)": _from_base32,
            "uuidv4()": ids.new_uid,
            "fail(string)": _fail,
            "base(string)": _base,
            "dir(string)": lambda path: _clean(path[: path.rfind("/") + 1]),
            "clean(string)": _clean,
            "ext(string)": _extension,
            "isAbs(string)": lambda path: path.startswith("/"),
            "regexQuoteMeta(string)": lambda text: re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text),
        },
        lenient=True,
    ),
    **table(
        {
            "repeat(int, string)": lambda run, count, text: builtin_texts.repeat(run, text, count),
            "replace(string, string, string)": lambda run, old, new, text: builtin_texts.replace(
                run, text, old, new
            ),
            "indent(int, string)": _indented,
            "nindent(int, string)": lambda run, spaces, text: "\n" + _indented(run, spaces, text),
            "join(string, any)": _joined,
            "randAlphaNum(int)": lambda run, count: _random(
                run, count, string.ascii_letters + string.digits
            ),
            "randAlpha(int)": lambda run, count: _random(run, count, string.ascii_letters),
            "randNumeric(int)": lambda run, count: _random(run, count, string.digits),
            **{f"r{signature}": body for signature, body in _REGEX.items()},
            **{f"mustR{signature}": body for signature, body in _REGEX.items()},
        },
        lenient=True,
        needs_run=True,
    ),
}
