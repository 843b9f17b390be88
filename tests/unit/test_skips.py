from __future__ import annotations

import pytest


def outcomes(pytester: pytest.Pytester, source: str) -> dict[str, int]:
    pytester.makepyfile(source)
    return pytester.runpytest("-p", "tests.support.skips").parseoutcomes()


def test_a_skip_for_any_other_reason_fails(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        @pytest.mark.skip(reason="no Docker here")
        def test_marked(): pass

        def test_in_the_body(): pytest.skip("no Docker here")
        """
    assert outcomes(pytester, source) == {"errors": 1, "failed": 1}


def test_a_file_that_skips_itself_fails(pytester: pytest.Pytester) -> None:
    source = "import pytest; pytest.importorskip('no_such_module')"
    assert outcomes(pytester, source) == {"errors": 1}


def test_a_listed_reason_is_allowed(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        def test_fish(): pytest.skip("fish is not installed")
        """
    assert outcomes(pytester, source) == {"skipped": 1}
