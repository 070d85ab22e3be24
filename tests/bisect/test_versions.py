"""Which versions there are: real pip, over an index and over a directory of wheels."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.error import UsageError
from harness.bisect import versions
from tests.wheels import stand_in, wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A simple index (PEP 503) of the package alpha, as the only one."""
    page = tmp_path / "simple" / "alpha"
    page.mkdir(parents=True)
    links = [
        ("alpha-1.0-py3-none-any.whl", ""),
        ("alpha-1.1-py3-none-any.whl", "data-yanked='it was broken'"),
        ("alpha-1.2rc1-py3-none-any.whl", ""),
        ("alpha-1.2-py3-none-any.whl", "data-requires-python='&gt;=3.8'"),
        ("alpha-1.3-cp311-cp311-manylinux_2_17_x86_64.whl", ""),
        ("alpha-1.4-cp37-cp37m-manylinux_2_17_x86_64.whl", ""),
        ("alpha-1.5-py3-none-win_amd64.whl", ""),
        ("alpha-1.10.tar.gz", ""),
    ]
    page.joinpath("index.html").write_text(
        "<!DOCTYPE html><html><body>"
        + "".join(f"<a href='{name}' {more}>{name}</a>" for name, more in links)
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"file://{tmp_path}/simple")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return page


@pytest.mark.parametrize(
    ("python", "there"),
    [("3.11", {"1.0", "1.2", "1.3", "1.10"}), ("3.7", {"1.0", "1.4", "1.10"})],
)
def test_what_is_withdrawn_early_or_for_another_python_is_left_out(
    index: Path, python: str, there: set[str]
) -> None:
    assert set(versions.offered("alpha", python)) == there


def test_a_directory_of_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = stand_in(tmp_path / "wheels", monkeypatch)
    for version in ("1.0", "2.0+cpu"):
        wheel(place, "alpha", version)
    assert set(versions.offered("alpha", "3.11")) == {"1.0", "2.0+cpu"}


def test_a_package_that_is_nowhere_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path / "wheels", monkeypatch)
    with pytest.raises(
        UsageError, match=r"versions of nowhere for Python 3\.11 .*--versions"
    ) as it:
        versions.offered("nowhere", "3.11")
    assert "\n" not in str(it.value)


THERE = ("2.2.4", "2.3.0", "2.2.5", "2.10", "2.9", "3.0+cpu", "3.1+cpu", "3.1")


@pytest.mark.parametrize(
    ("good", "bad", "local", "fixed", "found"),
    [
        ("2.2.4", "2.3.0", None, False, ("2.2.4", "2.2.5", "2.3.0")),
        ("2.3.0", "2.2.4", None, True, ("2.2.4", "2.2.5", "2.3.0")),
        ("2.3", "2.10.0", None, False, ("2.3.0", "2.9", "2.10")),
        ("3.0", "3.1", "cpu", False, ("3.0+cpu", "3.1+cpu")),
        ("3.0+cpu", "3.1", "cpu", False, ("3.0+cpu", "3.1+cpu")),
    ],
)
def test_from_end_to_end_the_oldest_first(
    good: str, bad: str, local: str | None, fixed: bool, found: tuple[str, ...]
) -> None:
    assert versions.between("keras", good, bad, THERE, local, fixed) == found


@pytest.mark.parametrize(
    ("good", "bad", "fixed", "words"),
    [
        ("2.3.0", "2.2.4", False, r"has to be the earlier one; --fixed"),
        ("2.2.4", "2.3.0", True, r"has to be the later one with --fixed"),
        ("2.2.4", "2.2.4", False, r"has to be the earlier one"),
        ("2.2.4", "2.4", False, r"keras 2\.4 is not among the versions; near it: .*2\.9, 2\.10"),
        ("2.2.4", "4", False, r"not among the versions; near it: 2\.9, 2\.10, 3\.1$"),
        ("1", "2.3.0", False, r"not among the versions; near it: 2\.2\.4, 2\.2\.5, 2\.3\.0$"),
        ("3.0", "2.10", True, r"keras 3\.0 is not among the versions"),
        ("2.2.4", "x\x1b[2Jy", False, r"no version of a package"),
    ],
)
def test_ends_that_are_none_are_one_line(good: str, bad: str, fixed: bool, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        versions.between("keras", good, bad, THERE, None, fixed)
    assert str(caught.value).isprintable()


def test_a_package_by_the_name_that_its_lock_has() -> None:
    names = ["tensorflow-cpu", "tf-keras", "h5py"]
    assert versions.locked_name("tensorflow", names) == "tensorflow-cpu"
    assert versions.locked_name("TF_Keras", names) == "tf-keras"
    with pytest.raises(UsageError, match=r"none of the flavor's packages: h5py, tensorflow-cpu"):
        versions.locked_name("torch", names)
    assert versions.local_part("2.13.0+cpu") == "cpu"
    assert versions.local_part("2.13.0") is None
