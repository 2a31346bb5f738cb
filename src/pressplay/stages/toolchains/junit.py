"""Reads the JUnit XML that a test runner wrote beside code that is not ours."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from pressplay.stages.toolchains.port import CaseStatus, TestCase

SIZE_LIMIT = 32 * 1024 * 1024
MESSAGE_LIMIT = 500


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
