"""JUnit XML: reads what a test runner wrote beside code that is not ours, and writes it for one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from pressplay.stages.toolchains.port import CaseStatus, TestCase

SIZE_LIMIT = 32 * 1024 * 1024
MESSAGE_LIMIT = 500

_TAGS = {
    CaseStatus.SKIPPED: "skipped",
    CaseStatus.ERROR: "error",
    CaseStatus.FAILED: "failure",
}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(path: Path) -> tuple[TestCase, ...] | None:
    """The tests in a report; None where there is none that can be read."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > SIZE_LIMIT:
        return None
    data = path.read_bytes()
    # Entities are the only way in which a document of this size can become a larger one.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return None
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - see above
    except ElementTree.ParseError:
        return None
    return tuple(_case(element) for element in root.iter("testcase"))


def _case(element: ElementTree.Element) -> TestCase:
    status, message = CaseStatus.PASSED, ""
    # A test can fail and then err in its teardown; the failure is what it judged.
    for tag, found in (
        ("skipped", CaseStatus.SKIPPED),
        ("error", CaseStatus.ERROR),
        ("failure", CaseStatus.FAILED),
    ):
        child = element.find(tag)
        if child is not None:
            status, message = found, child.get("message") or ""
    name = f"{element.get('classname') or ''}.{element.get('name') or ''}".strip(".")
    return TestCase(
        name=name[:MESSAGE_LIMIT],
        file=(element.get("file") or "")[:MESSAGE_LIMIT],
        status=status,
        message=message[:MESSAGE_LIMIT],
    )


def write(path: Path, cases: Sequence[TestCase]) -> None:
    """Write a report for a test runner that has none of its own; `read` gives the cases back."""
    suite = ElementTree.Element("testsuite", name="tests", tests=str(len(cases)))
    for status, plural in ((CaseStatus.FAILED, "failures"), (CaseStatus.ERROR, "errors")):
        suite.set(plural, str(sum(case.status is status for case in cases)))
    for case in cases:
        element = ElementTree.SubElement(suite, "testcase", name=_text(case.name))
        if case.file:
            element.set("file", _text(case.file))
        if case.status is not CaseStatus.PASSED:
            ElementTree.SubElement(element, _TAGS[case.status], message=_text(case.message))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    path.write_bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _text(value: str) -> str:
    """Without the characters that XML has no way to write."""
    return _NOT_XML.sub("\ufffd", value)
