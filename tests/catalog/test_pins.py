import threading
from pathlib import Path

import pytest

from harness.base.error import UsageError
from harness.catalog import catalog, pins
from tests.paths import ROOT

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


def test_the_project_has_the_digests_that_could_be_found() -> None:
    found = pins.read(ROOT / "docker" / pins.PROJECT)
    assert "python:3.7-slim-bookworm" in found
    assert "python:3.11-slim-bookworm" in found
    named = {image.base for flavor in catalog.load(ROOT).flavors for image in flavor.image}
    assert set(found) <= named


def test_a_checkouts_own_pins_are_under_no_version_control() -> None:
    assert "/docker/bases.lock.toml" in (ROOT / ".gitignore").read_text().splitlines()


def test_without_files_there_are_no_pins(tmp_path: Path) -> None:
    assert pins.load(tmp_path) == {}


def test_the_first_to_pin_a_base_is_the_one(tmp_path: Path) -> None:
    assert pins.remember(tmp_path, "p:3", DIGEST).digest == DIGEST
    assert pins.remember(tmp_path, "p:3", OTHER).digest == DIGEST
    assert pins.remember(tmp_path, "q", OTHER) == pins.Pin(OTHER, "docker/bases.lock.toml")
    assert pins.read(tmp_path / pins.CHECKOUT) == {"p:3": DIGEST, "q": OTHER}


def test_drivers_that_pin_at_once_lose_nothing(tmp_path: Path) -> None:
    names = [f"p:{number}" for number in range(8)]
    threads = [threading.Thread(target=pins.remember, args=(tmp_path, n, DIGEST)) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pins.read(tmp_path / pins.CHECKOUT) == dict.fromkeys(names, DIGEST)


def test_how_a_digest_was_found_stays_while_the_digest_does(tmp_path: Path) -> None:
    path = tmp_path / pins.PROJECT
    path.write_text(f'[bases]\n"a" = "{DIGEST}" # from a log\n"b" = "{DIGEST}" # from a page\n')
    pins.write(path, {"a": DIGEST, "b": OTHER, "c": OTHER})
    lines = path.read_text().splitlines()
    assert f'"a" = "{DIGEST}" # from a log' in lines
    assert f'"b" = "{OTHER}"' in lines
    assert pins.read(path) == {"a": DIGEST, "b": OTHER, "c": OTHER}


@pytest.mark.parametrize("name", [pins.PROJECT, pins.CHECKOUT])
@pytest.mark.parametrize(
    "content", ["[bases", '[bases]\nx = "latest"\n', "bases = 3\n", '[bases]\nx = "sha256:1"\n']
)
def test_a_broken_file_of_digests_is_one_line(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError) as caught:
        pins.load(tmp_path)
    assert "make lock" in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a b", ""])
def test_a_name_that_is_no_image_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        pins.remember(tmp_path, name, DIGEST)
    assert not list(tmp_path.iterdir())
