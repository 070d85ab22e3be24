from pathlib import Path

import pytest

from harness.engine import indexes
from harness.engine.docker import build_settings

PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory; the files of the machine that runs the test are not looked at."""
    monkeypatch.setattr(indexes, "_pip_files", lambda environ: [tmp_path / "pip.conf"])
    return tmp_path


def test_nothing_set_is_nothing_handed_over(home: Path) -> None:
    found = build_settings.of_host({})
    assert found == build_settings.BuildSettings({}, "[global]\n", b"", False, ())


def test_proxies_are_handed_over_in_both_spellings(home: Path) -> None:
    found = build_settings.of_host({"https_proxy": "http://u:p@proxy:3128", "NO_PROXY": "internal"})
    assert found.proxies == {
        "https_proxy": "http://u:p@proxy:3128",
        "HTTPS_PROXY": "http://u:p@proxy:3128",
        "no_proxy": "internal",
        "NO_PROXY": "internal",
    }
    assert not found.host_network


def test_a_proxy_at_the_loopback_address_needs_the_host_s_network(home: Path) -> None:
    assert build_settings.of_host({"HTTP_PROXY": "http://127.0.0.1:3128"}).host_network
    assert build_settings.of_host({"HTTP_PROXY": "localhost:3128"}).host_network
    assert not build_settings.of_host({"NO_PROXY": "localhost,127.0.0.1"}).host_network


def test_indexes_come_from_files_and_the_environment_wins(home: Path) -> None:
    (home / "pip.conf").write_text(
        "[global]\nindex-url = https://a/simple\ntrusted_host = a\n    b\n"
        "[install]\nextra-index-url = https://u:p%40q@b/simple\n"
    )
    found = build_settings.of_host({"PIP_INDEX_URL": "https://c/simple"})
    assert found.pip_conf == (
        "[global]\nindex-url = https://c/simple\n"
        "extra-index-url = https://u:p%40q@b/simple\ntrusted-host = a b\n"
    )


def test_paths_of_this_machine_are_dropped_with_a_note(home: Path) -> None:
    (home / "pip.conf").write_text(
        "[global]\nfind-links = /opt/wheels https://a/wheels\nextra-index-url = file:///opt/pypi\n"
    )
    found = build_settings.of_host({})
    assert found.pip_conf == "[global]\nfind-links = https://a/wheels\n"
    assert len(found.notes) == 2
    assert "/opt/wheels" in found.notes[1]


def test_a_machine_that_is_set_up_for_uv_only(home: Path) -> None:
    found = build_settings.of_host({"UV_DEFAULT_INDEX": "https://a/simple"})
    assert found.pip_conf == "[global]\nindex-url = https://a/simple\n"


def test_a_broken_pip_configuration_breaks_nothing(home: Path) -> None:
    (home / "pip.conf").write_bytes(b"\xff\xfe not a configuration")
    assert build_settings.of_host({}).pip_conf == "[global]\n"


def test_the_ca_bundle_is_the_first_that_holds_certificates(home: Path) -> None:
    (home / "empty.pem").write_bytes(b"")
    (home / "ca.pem").write_bytes(PEM)
    found = build_settings.of_host(
        {
            "PIP_CERT": str(home / "gone.pem"),
            "SSL_CERT_FILE": str(home / "empty.pem"),
            "REQUESTS_CA_BUNDLE": str(home / "ca.pem"),
        }
    )
    assert found.ca_bundle == PEM
    assert len(found.notes) == 2


def test_indexes_of_a_flavor_come_after_the_host_s():
    more = ["https://wheels.example/cpu"]
    assert build_settings.with_indexes("[global]\n", []) == "[global]\n"
    assert build_settings.with_indexes("[global]\n", more) == (
        "[global]\nextra-index-url = https://wheels.example/cpu\n"
    )
    own = "[global]\nextra-index-url = https://a.example\ntrusted-host = a.example\n"
    assert build_settings.with_indexes(own, more).splitlines()[1] == (
        "extra-index-url = https://a.example https://wheels.example/cpu"
    )


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("https://user:p%40ss@index/simple", "user:p%40ss@"),
        ("https://token@index/simple", "token@"),
        ("https://us@er:pass@index/simple", "us@er:pass@"),
        ("https://index/@scope/simple", None),
        ("https://index/simple", None),
    ],
)
def test_what_an_address_says_of_who_asks_is_known(
    home: Path, address: str, secret: str | None
) -> None:
    for environ in ({"PIP_INDEX_URL": address}, {"https_proxy": address}):
        found = build_settings.of_host(environ)
        assert found.secrets == (() if secret is None else (secret,))
