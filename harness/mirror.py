"""The way out of a build: proxies, package indexes and CA bundle of this machine.

Behind a corporate mirror a container build can reach nothing unless it is told what the host
knows. What is handed over here may hold credentials, so none of it may end up in an image: it goes
into files of the build context, which only the discarded stage of the Dockerfile sees, and into
the proxy arguments that Docker predefines and keeps out of an image's history.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

# https://docs.docker.com/reference/dockerfile/#predefined-args
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
# pip's options that say where packages come from; all but the first are lists.
_OPTIONS = ("index-url", "extra-index-url", "find-links", "trusted-host")
# Where pip, then OpenSSL, then the common libraries look for a CA bundle.
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_LOOPBACK = ("localhost", "127.", "[::1]", "::1")


@dataclass(frozen=True)
class Mirror:
    """What a build is told.

    Attributes:
        build_arguments: the proxy variables, in both spellings.
        pip_conf: content of pip's configuration file.
        ca_bundle: PEM certificates, empty for none.
        host_network: something of it is at this machine's loopback address, which only a build
            on the host's network reaches.
        notes: one line for each setting of the host that cannot be handed over.
    """

    build_arguments: Mapping[str, str]
    pip_conf: str
    ca_bundle: bytes
    host_network: bool
    notes: tuple[str, ...]


def of_host(environ: Mapping[str, str] = os.environ) -> Mirror:
    """Reads the settings of this machine: environment variables, then pip's own files."""
    notes: list[str] = []
    proxies: dict[str, str] = {}
    for name in _PROXIES:
        value = environ.get(name.lower()) or environ.get(name)
        if value:
            # curl reads only the lower case for HTTP, other programs the upper case.
            proxies[name] = proxies[name.lower()] = value
    settings = _pip_settings(environ)
    kept: dict[str, list[str]] = {}
    for option in _OPTIONS:
        for value in settings.get(option, "").split():
            if _is_local(value) and option != "trusted-host":
                notes.append(
                    f"pip's {option} {value} of this machine is not seen by an image build"
                )
            else:
                kept.setdefault(option, []).append(value)
    lines = ["[global]", *(f"{option} = {' '.join(kept[option])}" for option in kept)]
    addresses = [
        *(value for name, value in proxies.items() if name.lower() != "no_proxy"),
        *(value for option in kept for value in kept[option]),
    ]
    return Mirror(
        build_arguments=proxies,
        # A percent sign, as in an escaped password, is literal to pip.
        pip_conf="\n".join(lines) + "\n",
        ca_bundle=_ca_bundle(environ, settings, notes),
        host_network=any(_is_loopback(address) for address in addresses),
        notes=tuple(notes),
    )


def with_indexes(pip_conf: str, indexes: Sequence[str]) -> str:
    """pip's configuration with more indexes, after those that are there."""
    if not indexes:
        return pip_conf
    lines = pip_conf.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("extra-index-url = "):
            lines[number] = " ".join([line, *indexes])
            return "\n".join(lines) + "\n"
    return "\n".join([*lines, f"extra-index-url = {' '.join(indexes)}"]) + "\n"


def uv_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What uv, which does not read pip's settings, has to be told to go the same way as pip.

    uv's own variables win. An index that is a directory of this machine is left to pip; a
    directory of packages is not: uv reads it as pip does.
    """
    settings = _pip_settings(environ)
    variables: dict[str, str] = {}
    index = settings.get("index-url", "")
    if index and not _is_local(index):
        variables["UV_DEFAULT_INDEX"] = index
    more = [value for value in settings.get("extra-index-url", "").split() if not _is_local(value)]
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


def _pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
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
    for option in _OPTIONS:
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


def _is_local(value: str) -> bool:
    """Whether it names a file or directory of this machine, there or not."""
    return "://" not in value or value.lower().startswith("file:")


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return False
    return host.startswith(_LOOPBACK)


def _ca_bundle(environ: Mapping[str, str], settings: Mapping[str, str], notes: list[str]) -> bytes:
    candidates = [(name, environ.get(name)) for name in _CA_VARIABLES]
    candidates.insert(1, ("pip's cert", settings.get("cert")))
    for name, value in candidates:
        if not value:
            continue
        try:
            content = Path(value).read_bytes()
        except OSError as problem:
            notes.append(f"{name}={value} cannot be read: {problem.strerror}")
            continue
        if b"-----BEGIN CERTIFICATE-----" in content:
            return content
        notes.append(f"{name}={value} holds no PEM certificate")
    return b""
