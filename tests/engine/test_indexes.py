import os
from pathlib import Path

import pytest

from harness.engine import indexes

PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory; the files of the machine that runs the test are not looked at."""
    monkeypatch.setattr(indexes, "_pip_files", lambda environ: [tmp_path / "pip.conf"])
    return tmp_path


def test_pip_s_own_order_of_files(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/named", "VIRTUAL_ENV": "/venv"}
    names = [str(path) for path in indexes._pip_files(environ)]
    assert names[-2:] == ["/venv/pip.conf", "/named"]
    assert names.index("/etc/pip.conf") < names.index(f"{tmp_path}/.config/pip/pip.conf")
    assert list(indexes._pip_files({"PIP_CONFIG_FILE": "/dev/null"})) == []


def test_uv_goes_the_same_way_as_pip(tmp_path):
    certificate = tmp_path / "ca.pem"
    certificate.write_text("x")
    environ = {
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://user:secret@indexes.example/simple",
        "PIP_EXTRA_INDEX_URL": "file:///local/simple https://more.example/simple",
        "PIP_TRUSTED_HOST": "indexes.example",
        "PIP_FIND_LINKS": "/wheels https://links.example/",
        "PIP_CERT": str(certificate),
    }
    assert indexes.uv_variables(environ) == {
        "UV_DEFAULT_INDEX": "https://user:secret@indexes.example/simple",
        "UV_INDEX": "https://more.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,https://links.example/",
        "UV_INSECURE_HOST": "indexes.example",
        "SSL_CERT_FILE": str(certificate),
    }
    own = indexes.uv_variables({**environ, "UV_DEFAULT_INDEX": "https://uv.example/simple"})
    assert "UV_DEFAULT_INDEX" not in own


def test_passwords_are_not_shown():
    assert indexes.without_password("https://u:p@host/x") == "https://***@host/x"
    assert indexes.without_password("/a/path@x") == "/a/path@x"
