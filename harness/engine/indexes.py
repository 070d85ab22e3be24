"""Package indexes as this machine is set up to reach them: pip's settings, and uv's of the same."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

# pip's options that say where packages come from; all but the first are lists.
OPTIONS = ("index-url", "extra-index-url", "find-links", "trusted-host")


def uv_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What uv, which does not read pip's settings, has to be told to go the same way as pip.

    uv's own variables win. An index that is a directory of this machine is left to pip; a
    directory of packages is not: uv reads it as pip does.
    """
    settings = pip_settings(environ)
    variables: dict[str, str] = {}
    index = settings.get("index-url", "")
    if index and not is_local(index):
        variables["UV_DEFAULT_INDEX"] = index
    more = [value for value in settings.get("extra-index-url", "").split() if not is_local(value)]
    if more:
        variables["UV_INDEX"] = " ".join(more)
        # pip looks at all indexes for the best version, and the hashes are locked anyway.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    links = settings.get("find-links", "").split()
    if links:
        variables["UV_FIND_LINKS"] = ",".join(links)
    if settings.get("trusted-host"):
        variables["UV_INSECURE_HOST"] = settings["trusted-host"]
    certificate = environ.get("PIP_CERT") or settings.get("cert")
    if certificate and Path(certificate).is_file():
        variables["SSL_CERT_FILE"] = certificate
    return {name: value for name, value in variables.items() if name not in environ}


def without_password(address: str) -> str:
    """An address with its user and password left out."""
    scheme, separator, rest = address.partition("://")
    if separator and "@" in rest:
        return f"{scheme}://***@{rest.rpartition('@')[2]}"
    return address


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """pip's options from its files and the environment, the later ones winning."""
    settings: dict[str, str] = {}
    for path in _pip_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update(
                    (key.lower().replace("_", "-"), value) for key, value in parser.items(section)
                )
    for option in OPTIONS:
        value = environ.get("PIP_" + option.upper().replace("-", "_"))
        if value:
            settings[option] = value
    # A machine that is only set up for uv.
    index = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    if index and "index-url" not in settings:
        settings["index-url"] = index
    return settings


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """pip's files from global to specific: https://pip.pypa.io/en/stable/topics/configuration/."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = Path(environ.get("HOME") or "/")
    for directory in reversed(environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        yield Path(directory, "pip", "pip.conf")
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "pip", "pip.conf")
    yield Path(environ.get("VIRTUAL_ENV") or sys.prefix, "pip.conf")
    if named:
        yield Path(named)


def is_local(value: str) -> bool:
    """Whether it names a file or directory of this machine, there or not."""
    return "://" not in value or value.lower().startswith("file:")
