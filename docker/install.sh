#!/bin/sh
# Makes /opt/venv, the environment of a flavor, from the hash-locked files beside this script. It
# runs once, in a container of the base image. What goes into the flavor's image is below /image in
# the end: /opt/venv, and the bytecode that Python's standard library lacks.
#
# Beside it, in memory where the harness starts it: requirements.txt and requirements-build.txt,
# pip.conf (the host's indexes), ca-certificates.crt (the host's CA bundle, empty for none), and
# environment (the host's proxies). PYTHON is the version that the flavor is locked for.
#
# A base image that brings TensorFlow (tensorflow/tensorflow, NVIDIA's) was built for its CUDA: the
# environment sees the packages of such a base, and pip leaves those alone that are the locked
# version. Any other base lends its interpreter only. Neither touches an
# "externally managed" system.
# A lock file is complete, so --no-deps: pip never adds anything that has no hash. Nor does a source
# distribution: --no-build-isolation builds it with the locked setuptools and wheel.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if [ -s "$here/environment" ]; then . "$here/environment"; fi

python=$(command -v "python${PYTHON}" || command -v python3) || {
    echo "ERROR: the base image has neither python${PYTHON} nor python3" >&2
    exit 1
}
# Official images of Python have no bytecode, to be small, and containers keep none: each would
# compile again all that its framework imports of the standard library, for a third of a second.
# First of all: any other Python here, such as that of ensurepip, leaves some behind.
"$python" -B - /image <<'EOF'
import compileall
import os
import re
import shutil
import sys
import sysconfig

# Packages are the base's own; the others no framework imports.
SKIPPED = re.compile(r"/((site|dist)-packages|tests?|idlelib|lib2to3|ensurepip|turtledemo)/")


def bytecode():
    return {
        os.path.join(directory, name)
        for directory, _, names in os.walk(library)
        for name in names
        if name.endswith(".pyc")
    }


library, image = sysconfig.get_paths()["stdlib"], sys.argv[1]
before = bytecode()
compileall.compile_dir(library, rx=SKIPPED, quiet=2)
os.makedirs("/opt", exist_ok=True)
directories = {"/", "/opt"}
for path in bytecode() - before:
    os.makedirs(image + os.path.dirname(path), exist_ok=True)
    shutil.copy2(path, image + path)
    while path != "/":
        path = os.path.dirname(path)
        directories.add(path)
os.makedirs(image + "/opt", exist_ok=True)
for path in directories:  # those that the base has stay as they are
    shutil.copystat(path, image + path)
EOF

find_tensorflow='import importlib.util as u, sys; sys.exit(u.find_spec("tensorflow") is None)'
if "$python" -c "$find_tensorflow"; then
    "$python" -m venv --system-site-packages --without-pip /opt/venv
else
    "$python" -m venv /opt/venv
fi

# The tracker's files hold whole addresses; older versions of pip know it by the other name.
mkdir -p "$here/tracker"
export PIP_BUILD_TRACKER="$here/tracker" PIP_REQ_TRACKER="$here/tracker"
export PIP_CONFIG_FILE="$here/pip.conf" PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off PIP_ROOT_USER_ACTION=ignore
if [ -s "$here/ca-certificates.crt" ]; then export PIP_CERT="$here/ca-certificates.crt"; fi
install="/opt/venv/bin/python -m pip install --require-hashes --no-deps"
$install -r "$here/requirements-build.txt"
$install --no-build-isolation -r "$here/requirements.txt"
/opt/venv/bin/python -m pip freeze --all > /opt/venv/freeze.txt
/opt/venv/bin/python -c 'import platform; print(platform.python_version())' > /opt/venv/python.txt
mv /opt/venv /image/opt/venv
