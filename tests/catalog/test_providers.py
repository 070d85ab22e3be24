"""What the driver reads of providers, from files as hostile as anybody's."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from harness.base.error import UsageError
from harness.catalog import providers
from harness.catalog.providers import Provider
from tests.paths import ROOT

ONE = """
class One:
    name = "one"
    modes = ("eager",)
    backends = ("torch",)
"""


def written(directory: Path, text: str, name: str = "one.py") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def read(text: str) -> Provider:
    (found,) = providers.chosen(providers.shipped(ROOT), [text])
    return found


def refused(*texts: str) -> str:
    """The message, which is one line."""
    with pytest.raises(UsageError) as problem:
        providers.chosen(providers.shipped(ROOT), texts)
    message = str(problem.value)
    assert message.isprintable(), message
    return message


def test_shipped_providers_are_found_by_name() -> None:
    shipped = {entry.id: entry for entry in providers.shipped(ROOT)}
    assert {"remat", "save_on_cpu", "tflms", "jax_offload", "jax_offload-dots"} <= shipped.keys()
    assert not {"builtin", "off"} & shipped.keys()
    assert [way.effect for way in shipped["remat"].ways] == ["recomputes"]
    assert providers.chosen(providers.shipped(ROOT), ["remat", "builtin", "remat"]) == (
        shipped["remat"],
        providers.BUILTIN,
    )


def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    path = written(tmp_path, f"raise SystemExit\nimport nothing_of_this_name\n{ONE}")
    found = read(f"{path}:One")
    assert (found.id, found.file, found.class_name) == ("one", path, "One")
    assert found.variable == f"{path}:One"


def test_attributes_of_bases_count_unless_a_class_has_its_own(tmp_path: Path) -> None:
    text = f"""{ONE}
class Other:
    name: str = "other"
    effect = "pages"
class Two(One, Other):
    name = "two"
    variables: dict = {{"TF_FORCE_UNIFIED_MEMORY": "1"}}
"""
    (way,) = read(f"{written(tmp_path, text)}:Two").ways
    assert (way.name, way.modes, way.effect) == ("two", ("eager",), "pages")
    assert way.variables == {"TF_FORCE_UNIFIED_MEMORY": "1"}
    (one,) = read(f"{tmp_path / 'one.py'}:One").ways
    assert (one.effect, one.variables, one.roles) == ("moves", {}, ("train", "predict"))


def test_bases_are_those_above_and_each_is_read_once(tmp_path: Path) -> None:
    # Read once for each way to it, the first one would be read 2 ** 64 times; by a call for each
    # level, the last one would be too deep.
    levels = "\n".join(
        f"class A{n + 1}(A{n}, B{n}): pass\nclass B{n + 1}(A{n}, B{n}): pass" for n in range(2_000)
    )
    text = f"{ONE}\nclass A0(One, A2000): pass\nclass B0(B0, A0): pass\n{levels}"
    assert read(f"{written(tmp_path, text)}:A2000").id == "one"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no provider class 'One'"),
        ("One = 1", "no provider class 'One'"),
        ("class One: pass", "no provider class 'One'"),
        (ONE.replace("One", "Two"), "no provider class 'One'; there are: Two"),
        ("class One(", "no Python"),
        ("\x00", "no Python"),
        ("[" * 10_000, "no Python"),
        (f"x = {'-' * 200_000}1", "no Python"),
        ("#" * ((1 << 20) + 1), "too large for a provider"),
        (ONE.replace('"one"', "str(1)"), "One: name"),
        (ONE.replace('"one"', "1"), "One: name"),
        (ONE.replace('"one"', '"One"'), "One: name"),
        (ONE.replace('"one"', '"../one"'), "One: name"),
        (ONE.replace('("eager",)', '"eager"'), "One: modes"),
        (ONE.replace('("eager",)', "()"), "One: modes"),
        (ONE.replace('("eager",)', '("lazy",)'), "One: modes"),
        (ONE.replace('("torch",)', '("theano",)'), "One: backends"),
        (ONE.replace('    backends = ("torch",)', ""), "One: backends"),
        (f"{ONE}    rounds = 'yes'", "One: rounds"),
        (f"{ONE}    effect = 'magic'", "One: effect"),
        (f"{ONE}    packages = ('x' * 9,)", "One: packages"),
        (f"{ONE}    variables = {{'LD_PRELOAD': 'x'}}", "One: variables"),
        (f"{ONE}    variables = {{'LMS_FAULT': 'never_swapped'}}", "One: variables"),
        (f"{ONE}    variables = {{[]: 'x'}}", "One: variables"),
        (f"{ONE}    variables = {{'A': '\\x00'}}", "One: variables"),
        (ONE.replace('"one"', '"remat"'), "its name 'remat' is that of another provider"),
        (ONE.replace('"one"', '"off"'), "its name 'off' is that of another provider"),
        (ONE.replace('"one"', '"builtin"'), "its name 'builtin' is that of another provider"),
    ],
)
def test_a_file_that_is_no_provider_is_refused_with_one_line(
    text: str, words: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    message = refused(f"{path}:One")
    assert message.startswith(f"{path}: ")
    assert words in message


def test_what_is_no_plain_file_is_refused_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "directory.py").mkdir()
    os.mkfifo(tmp_path / "fifo.py")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe")
    for name, words in (
        ("directory.py", "is no file"),
        ("fifo.py", "is no file"),
        ("missing.py", "is no file"),
        ("line\nfeed\x1b.py", "is no file"),
        ("bytes.py", "no Python"),
    ):
        assert words in refused(f"{tmp_path / name}:One")


@pytest.mark.parametrize("name", ["one.txt", "one", "a,b.py", "a:b.py"])
def test_a_file_of_another_name_is_refused_with_one_line(name: str, tmp_path: Path) -> None:
    # A list of providers has commas, and a mount of a container has colons.
    path = written(tmp_path, ONE, name)
    assert "has to be named NAME.py" in refused(f"{path}:One")


def test_a_fifo_in_the_checkouts_folder_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / providers.FOLDER
    folder.mkdir(parents=True)
    os.mkfifo(folder / "fifo.py")
    with pytest.raises(UsageError, match=r"fifo\.py: is a FIFO, and no file"):
        providers.shipped(tmp_path)


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    assert "no provider 'nobody'; there are: builtin, " in refused("nobody")
    assert "no provider 'a b'" in refused("a\nb")


def test_two_providers_of_one_name_are_refused(tmp_path: Path) -> None:
    one = written(tmp_path, ONE)
    other = written(tmp_path, ONE, "other.py")
    assert "two providers are named 'one'" in refused(f"{one}:One", f"{other}:One")


def test_where_a_provider_can_work_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, f"{ONE}    packages = ('bitsandbytes',)")
    found = read(f"{path}:One")
    assert found.unable("function", "jax", []) == (
        "provider one works in torch's eager mode, not in jax's function mode"
    )
    assert found.unable("eager", "torch", ["numpy"]) == (
        "provider one needs bitsandbytes, which is not in the environment"
    )
    assert found.unable("eager", "torch", ["bitsandbytes"]) is None


def test_the_pages_provider_is_one_and_no_longer_than_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "providers.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(example.splitlines()) <= 40
    (way,) = read(f"{written(tmp_path, example, 'numpy_offload.py')}:NumpyOffload").ways
    assert (way.name, way.backends, way.rounds) == ("numpy_offload", ("torch",), True)
