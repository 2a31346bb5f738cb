"""A report of our own reads back as it was written."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.toolchains import junit
from pressplay.stages.toolchains.port import CaseStatus, TestCase

_TEXT = st.text(st.characters(codec="utf-8", min_codepoint=32), max_size=40)
_CASES = st.builds(
    TestCase,
    name=st.from_regex(r"\w[\w: ()/-]{0,30}\w", fullmatch=True),
    file=_TEXT,
    status=st.sampled_from(CaseStatus),
    message=_TEXT,
)


@given(st.lists(_CASES, max_size=8))
def test_what_is_written_is_read(cases: list[TestCase]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "report.xml"
        junit.write(path, cases)
        expected = tuple(
            TestCase(
                name=case.name,
                file=junit._text(case.file),
                status=case.status,
                # One that passed has nothing to say.
                message=junit._text(case.message) * (case.status is not CaseStatus.PASSED),
            )
            for case in cases
        )
        assert junit.read(path) == expected


def test_what_xml_cannot_hold_is_replaced(tmp_path: Path) -> None:
    case = TestCase(name="a", file="", status=CaseStatus.FAILED, message="\x00 \x1b[31m red \ud800")
    junit.write(tmp_path / "r.xml", [case])
    found = junit.read(tmp_path / "r.xml")
    assert found is not None
    assert found[0].message == "\ufffd \ufffd[31m red \ufffd"
