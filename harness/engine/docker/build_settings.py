"""What an image build is told of this machine: proxies, package indexes and CA bundle.

Behind a corporate mirror a container build can reach nothing unless it is told what the host
knows. What is handed over here may hold credentials, so none of it may end up in an image, in a
layer or in a container's configuration: it goes into the memory of the installation (`build`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.engine.indexes import OPTIONS, is_local, pip_settings

# https://docs.docker.com/engine/cli/proxy/
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
# Where pip, then OpenSSL, then the common libraries look for a CA bundle.
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_LOOPBACK = ("localhost", "127.", "[::1]", "::1")


@dataclass(frozen=True)
class BuildSettings:
    """What a build is told.

    Attributes:
        proxies: the proxy variables, in both spellings.
        pip_conf: content of pip's configuration file.
        ca_bundle: PEM certificates, empty for none.
        host_network: something of it is at this machine's loopback address, which only a build
            on the host's network reaches.
        notes: one line for each setting of the host that cannot be handed over.
        secrets: the parts of addresses that say who asks: `user:password@`.
    """

    proxies: Mapping[str, str]
    pip_conf: str
    ca_bundle: bytes
    host_network: bool
    notes: tuple[str, ...]
    secrets: tuple[str, ...] = ()


def of_host(environ: Mapping[str, str] = os.environ) -> BuildSettings:
    """Reads the settings of this machine: environment variables, then pip's own files."""
    notes: list[str] = []
    proxies: dict[str, str] = {}
    for name in _PROXIES:
        value = environ.get(name.lower()) or environ.get(name)
        if value:
            # curl reads only the lower case for HTTP, other programs the upper case.
            proxies[name] = proxies[name.lower()] = value
    settings = pip_settings(environ)
    kept: dict[str, list[str]] = {}
    for option in OPTIONS:
        for value in settings.get(option, "").split():
            if is_local(value) and option != "trusted-host":
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
    return BuildSettings(
        proxies=proxies,
        # A percent sign, as in an escaped password, is literal to pip.
        pip_conf="\n".join(lines) + "\n",
        ca_bundle=_ca_bundle(environ, settings, notes),
        host_network=any(_is_loopback(address) for address in addresses),
        notes=tuple(notes),
        secrets=tuple(dict.fromkeys(filter(None, map(_credentials, addresses)))),
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


def _credentials(address: str) -> str:
    place = address.partition("://")[2].partition("/")[0]
    return place.rpartition("@")[0] + "@" if "@" in place else ""


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
