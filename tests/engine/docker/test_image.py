import contextlib
import json
import os
import shutil
import socket
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from harness.base.error import EngineError, UnavailableError
from harness.catalog.flavors import DerivedFlavor, Flavor, Image
from harness.engine import indexes, owner
from harness.engine.docker import build, build_settings, image
from harness.engine.docker.daemon import LABEL, Daemon
from harness.engine.docker.engine import DockerEngine
from tests.paths import ROOT


def locked_six() -> str:
    """The entry of six in a lock file: small, and one wheel for every Python."""
    lines = (ROOT / "docker/flavors/tf1-tfkeras/requirements-cpu.txt").read_text().splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("six=="))
    return "\n".join(lines[at : at + 3]) + "\n"


def make_flavor(root: Path, requirements: str, base: str = "base") -> Flavor:
    """A flavor in a checkout of its own, with the project's Dockerfile."""
    directory = root / "docker" / "flavors" / "t"
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("Dockerfile", "install.sh", "requirements-build.txt"):
        shutil.copy(ROOT / "docker" / name, root / "docker" / name)
    (directory / "requirements.txt").write_text(requirements)
    return Flavor.model_validate(
        {
            "id": "t-lms",
            "directory": directory,
            "description": "d",
            "keras": "keras",
            "mode": "session",
            "python": "3.11",
            "requirements": {},
            "image": [{"accelerator": "virtual", "base": base, "requirements": "requirements.txt"}],
        }
    )


def make_empty_flavor(root: Path, base: str) -> Flavor:
    """One of no package: its image takes seconds, and no index."""
    flavor = make_flavor(root, "", base)
    (root / "docker" / "requirements-build.txt").write_text("")
    return flavor


# --- without a daemon -----------------------------------------------------------------------------


def gpu_flavor(tmp_path: Path) -> Flavor:
    flavor = make_flavor(tmp_path, "")
    images = [
        {"accelerator": "gpu", "base": "old", "max_compute_capability": "7.5"},
        {"accelerator": "gpu", "base": "recent", "min_compute_capability": "8.0"},
    ]
    return flavor.model_copy(
        update={"image": tuple(Image(requirements="requirements.txt", **entry) for entry in images)}
    )


@pytest.mark.parametrize(
    ("capability", "base"),
    [((7, 0), "old"), ((7, 5), "old"), ((8, 0), "recent"), ((12, 0), "recent")],
)
def test_the_gpu_decides_between_images(
    tmp_path: Path, capability: tuple[int, int], base: str
) -> None:
    assert image.choose(gpu_flavor(tmp_path), "gpu", capability).base == base


def test_a_flavor_without_an_image_for_the_accelerator_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="t-lms"):
        image.choose(gpu_flavor(tmp_path), "virtual", None)
    with pytest.raises(UnavailableError, match=r"compute capability 7\.7"):
        image.choose(gpu_flavor(tmp_path), "gpu", (7, 7))


@pytest.mark.parametrize(
    ("environ", "reference"),
    [
        ({}, "base"),
        ({"BASE_IMAGE": "mirror/x"}, "mirror/x"),
        ({"BASE_IMAGE": "mirror/x", "BASE_IMAGE_T_LMS": "mirror/y"}, "mirror/y"),
        ({"BASE_IMAGE_OTHER": "mirror/z", "BASE_IMAGE": ""}, "base"),
    ],
)
def test_the_base_can_be_named_for_each_flavor(
    tmp_path: Path, environ: dict[str, str], reference: str
) -> None:
    flavor = make_flavor(tmp_path, "")
    assert image.base_reference(flavor, flavor.image[0], environ)[0] == reference


def test_the_context_is_the_same_bytes_for_the_same_files() -> None:
    files = {"b": b"2", "a": b"1"}
    again = dict(reversed(files.items()))
    assert build.context(files).getvalue() == build.context(again).getvalue()


def output(*parts: bytes) -> Any:
    return ({"output": part} for part in parts)


def test_the_line_that_says_what_broke_is_found_however_output_comes(tmp_path: Path) -> None:
    parts = (b"\x1b[91mERR", b"OR: no matching dis", b"tribution\n\x1b[0mWARNING: pip is ", b"old")
    said = build.follow(build.text_of(output(*parts)), "f", tmp_path / "log", print)
    assert said == "ERROR: no matching distribution"
    assert (tmp_path / "log").read_text() == f"{said}\nWARNING: pip is old\n"
    assert build.follow(iter(()), "f", tmp_path / "log", print) == "it said nothing"


def test_characters_are_whole_and_passwords_are_not_in_the_log() -> None:
    secret = "ü:p%40ss@"
    line = f"Looking in indexes: https://{secret}index/simple ✓\n".encode()
    parts = [line[number : number + 1] for number in range(len(line))]
    (said,) = build.text_of(output(*parts), [secret])
    assert said == "Looking in indexes: https://***index/simple ✓"


# --- with one ------------------------------------------------------------------------------------


@pytest.fixture
def flavor(tmp_path: Path, base_image: str, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A flavor of one small package on the test's base image; its images are removed."""
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    flavor = make_flavor(tmp_path, locked_six(), base_image)
    yield flavor
    client = daemon.client()
    for entry in client.images(filters={"label": f"{LABEL}.flavor={flavor.id}"}):
        client.remove_image(entry["Id"], force=True)


@pytest.mark.docker
def test_builds_once_and_hands_the_way_out_over_without_a_trace(
    flavor: Flavor,
    daemon: Daemon,
    base_image: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    remains: Callable[[], set[str]],
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(build_settings.of_host().ca_bundle + b"\n# zq7-ca-bundle\n")
    if b"BEGIN CERTIFICATE" in bundle.read_bytes():
        for name in ("PIP_CERT", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(bundle))
    found = indexes.pip_settings(os.environ).get("index-url", "https://pypi.org/simple")
    scheme, _, place = found.partition("://")
    monkeypatch.setenv(
        "PIP_INDEX_URL", f"{scheme}://zq7-user:zq7-secret@{place.rpartition('@')[2]}"
    )
    monkeypatch.setenv("PIP_TRUSTED_HOST", "zq7-trusted-host")
    monkeypatch.setenv("PIP_FIND_LINKS", "/zq7/path/of/this/machine")
    monkeypatch.setenv("ftp_proxy", "http://user:zq7-password@proxy.invalid:1")
    said: list[str] = []
    engine = DockerEngine()

    environment = engine.prepare(flavor, "virtual", said.append, threading.Event())
    assert environment.handle.startswith("sha256:")
    assert any("building" in line for line in said)
    facts = environment.provenance
    assert facts["base image id"] == base_image
    reason = "made on this machine, no registry digest"
    assert facts["base image pin"] == f"base not pinned: {reason}"
    assert environment.notes == (f"base not pinned: {base_image} ({reason})",)
    assert "six==1.17.0" in facts["packages"].split()
    assert facts["python"].startswith("3.")
    assert Path(facts["packages file"]).read_text().count("six==1.17.0") == 1
    assert (tmp_path / ".cache/images/t-lms-virtual.log").read_text().count("Successfully") >= 1

    said.clear()
    assert engine.prepare(flavor, "virtual", said.append, threading.Event()) == environment
    assert said == []

    assert remains() == set()
    assert traces(environment.handle, daemon) == []
    created = daemon.client().inspect_image(environment.handle)["Config"]
    assert created["User"] == "65532:65532"
    assert "NVIDIA_VISIBLE_DEVICES=void" in created["Env"]
    assert created["Labels"][f"{LABEL}.inputs"] == facts["image inputs"]


def traces(image_id: str, daemon: Daemon) -> list[str]:
    """Where the image, its history or its layers hold what the host handed to the build."""
    sentinels = (b"zq7-", b"/zq7/")
    client = daemon.client()
    found = []
    for name, facts in (
        ("history", client.history(image_id)),
        ("configuration", client.inspect_image(image_id)),
    ):
        if any(word in json.dumps(facts).encode() for word in sentinels):
            found.append(name)
    with tempfile.TemporaryFile() as file:
        for chunk in client.get_image(image_id):
            file.write(chunk)
        file.seek(0)
        with tarfile.open(fileobj=file) as tar:
            for entry in tar:
                content = tar.extractfile(entry)
                data = content.read() if content is not None else b""
                if (
                    any(word in data for word in sentinels)
                    or b"ca-certificates.crt\0/build" in data
                ):
                    found.append(entry.name)
    return found


def test_other_inputs_are_another_image() -> None:
    base = "sha256:base"
    files = {"requirements.txt": b"a"}
    digests = {
        image.inputs_digest(files, base, "3.7"),
        image.inputs_digest({"requirements.txt": b"b"}, base, "3.7"),
        image.inputs_digest(files, "sha256:other", "3.7"),
        image.inputs_digest(files, base, "3.8"),
    }
    assert len(digests) == 4


@pytest.mark.docker
def test_a_build_that_breaks_is_one_line_and_leaves_nothing(
    flavor: Flavor, daemon: Daemon, tmp_path: Path, remains: Callable[[], set[str]]
) -> None:
    wrong = f"six==1.17.0 --hash=sha256:{'0' * 64}\n"
    (flavor.directory / "requirements.txt").write_text(wrong)
    before = {entry["Id"] for entry in daemon.client().images(all=True)}
    with pytest.raises(EngineError) as caught:
        DockerEngine().prepare(flavor, "virtual", lambda line: None, threading.Event())
    text = str(caught.value)
    assert "\n" not in text
    assert "HASHES" in text
    log = tmp_path / ".cache/images/t-lms-virtual.log"
    assert str(log) in text
    assert "six" in log.read_text()
    assert remains() == set()
    after = {entry["Id"] for entry in daemon.client().images(all=True)}
    assert after <= before


# Like tensorflow/tensorflow: packages and pip in the system's own directory, no venv support.
_BRINGS_TENSORFLOW = r"""
FROM {base}
RUN python3 -m venv /lender \
    && cd "$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    && cp -r /lender/lib/python3*/site-packages/pip* . \
    && mkdir tensorflow six-1.17.0.dist-info \
    && touch tensorflow/__init__.py && echo 'from_base = True' > six.py \
    && printf 'Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n' \
        > six-1.17.0.dist-info/METADATA \
    && rm -r /lender /usr/lib/python3*/ensurepip
"""


@contextlib.contextmanager
def made_base(client: APIClient, dockerfile: str, tag: str) -> Iterator[None]:
    """A base image of a test, for as long as it needs one."""
    context = build.context({"Dockerfile": dockerfile.encode()})
    output = list(client.build(fileobj=context, custom_context=True, tag=tag, rm=True, decode=True))
    assert not any("error" in event for event in output), output
    try:
        yield
    finally:
        client.remove_image(tag, force=True)


def printed(client: APIClient, image_id: str, script: str) -> str:
    """What a script of Python prints in a container of an image."""
    container = client.create_container(
        image_id,
        ["python3", "-c", script],
        labels=owner.labels("test"),
        host_config=client.create_host_config(read_only=True),
    )["Id"]
    try:
        client.start(container)
        assert client.wait(container)["StatusCode"] == 0
        return client.logs(container).decode()
    finally:
        client.remove_container(container, force=True)


@pytest.mark.docker
def test_a_base_that_brings_tensorflow_lends_its_packages(
    flavor: Flavor, daemon: Daemon, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, tag = daemon.client(), "lms-harness-test/brings-tensorflow"
    with made_base(client, _BRINGS_TENSORFLOW.format(base=base_image), tag):
        monkeypatch.setenv("BASE_IMAGE_T_LMS", tag)
        environment = DockerEngine().prepare(
            flavor, "virtual", lambda line: None, threading.Event()
        )
        assert "six==1.17.0" in environment.provenance["packages"].split()
        script = "import six, tensorflow; print(six.from_base)"
        try:
            assert printed(client, environment.handle, script) == "True\n"
        finally:
            client.remove_image(environment.handle, force=True)


_LOOKED_AT = """
import argparse, email.message, importlib, json, logging, os, sys, tarfile, urllib.request
cached = [getattr(module, "__cached__", None) for module in sys.modules.values()]
print(sum(map(bool, cached)) > 40, [path for path in cached if path and not os.path.exists(path)])
print([oct(os.stat(path).st_mode & 0o7777) for path in ("/", "/usr/lib", "/opt")
       if os.path.exists(path)])
"""


# Official images of Python have no bytecode; their directories may have another mode, or be away.
@pytest.mark.docker
@pytest.mark.parametrize(
    ("change", "modes"),
    [
        ("chmod 711 /opt /usr/lib", ["0o755", "0o711", "0o711"]),
        ("rmdir /opt", ["0o755", "0o755", "0o755"]),
    ],
)
def test_an_image_has_the_bytecode_that_its_base_lacks(
    flavor: Flavor,
    daemon: Daemon,
    base_image: str,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    modes: list[str],
) -> None:
    client, tag = daemon.client(), "lms-harness-test/without-bytecode"
    stripped = f"FROM {base_image}\nRUN find / -xdev -name '*.pyc' -delete; {change}\n"
    with made_base(client, stripped, tag):
        monkeypatch.setenv("BASE_IMAGE_T_LMS", tag)
        environment = DockerEngine().prepare(
            flavor, "virtual", lambda line: None, threading.Event()
        )
        try:
            lacking = printed(client, tag, _LOOKED_AT).splitlines()
            complete = printed(client, environment.handle, _LOOKED_AT).splitlines()
        finally:
            client.remove_image(environment.handle, force=True)
    assert lacking[0] != "True []"
    assert complete == ["True []", str(modes)]
    assert lacking[1].startswith(str(modes[:2])[:-1])


@pytest.mark.docker
def test_a_base_that_is_nowhere_is_one_line(
    flavor: Flavor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("BASE_IMAGE_T_LMS", f"127.0.0.1:{port}/nothing:1")
    with pytest.raises(EngineError, match="cannot be pulled") as caught:
        DockerEngine().prepare(flavor, "virtual", lambda line: None, threading.Event())
    assert "\n" not in str(caught.value)


def test_the_dockerfile_needs_only_the_classic_builder() -> None:
    content = (ROOT / "docker" / "Dockerfile").read_text()
    for word in ("--mount", "# syntax", "<<"):
        assert word not in content


@pytest.mark.docker
def test_the_dockerfile_by_hand_gives_the_same_image(
    flavor: Flavor, daemon: Daemon, base_image: str
) -> None:
    """With the classic builder; the harness needs none."""
    client, docker = daemon.client(), flavor.directory.parent.parent
    files = {name: (docker / name).read_bytes() for name in ("Dockerfile", *build.FILES[:2])}
    settings = build_settings.of_host()
    environment = "".join(f"export {name}={value!r}\n" for name, value in settings.proxies.items())
    archive = build.context(
        {
            **files,
            "requirements.txt": locked_six().encode(),
            "pip.conf": settings.pip_conf.encode(),
            "ca-certificates.crt": settings.ca_bundle,
            "environment": environment.encode(),
        }
    )
    events = client.build(
        fileobj=archive,
        custom_context=True,
        tag="lms-harness-test/by-hand",
        rm=True,
        decode=True,
        network_mode="host" if settings.host_network else None,
        buildargs={"BASE_IMAGE": base_image, "PYTHON": flavor.python},
    )
    said = list(events)
    assert not any("error" in event for event in said), said
    try:
        ours = DockerEngine().prepare(flavor, "virtual", lambda line: None, threading.Event())
        facts = [client.inspect_image(name) for name in ("lms-harness-test/by-hand", ours.handle)]
        keys = ("Cmd", "Entrypoint", "User", "WorkingDir", "Volumes", "ExposedPorts")
        configurations = [
            {key: fact["Config"].get(key) or None for key in keys}
            | {"Env": sorted(fact["Config"]["Env"])}
            for fact in facts
        ]
        assert configurations[0] == configurations[1]
        assert len(facts[0]["RootFS"]["Layers"]) == len(facts[1]["RootFS"]["Layers"])
    finally:
        client.remove_image("lms-harness-test/by-hand", force=True)


@pytest.mark.docker
def test_a_derived_flavor_is_an_image_of_its_own_lock(flavor: Flavor, tmp_path: Path) -> None:
    """With the recipes of the checkout, which are not beside its directory."""
    directory = tmp_path / ".cache" / "flavors" / flavor.id / "six-0"
    directory.mkdir(parents=True)
    (directory / "requirements.txt").write_text("")
    engine = DockerEngine()
    said: list[str] = []
    derived = engine.prepare(
        DerivedFlavor.of(flavor, directory), "virtual", said.append, threading.Event()
    )
    own = engine.prepare(flavor, "virtual", said.append, threading.Event())
    engine.close()
    assert derived.handle != own.handle
    assert "six==1.17.0" in own.provenance["packages"].split()
    assert not any(name.startswith("six==") for name in derived.provenance["packages"].split())
    assert (tmp_path / ".cache/images/t-lms-virtual.log").is_file()
