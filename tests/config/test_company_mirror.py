"""The locked install behind a company's package mirror with a certificate authority of its own.

A real mirror on loopback, and no way to anywhere else: `make` gets what is locked by pip's own
settings, and takes nothing whose hash is another.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program"),
]

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "mirrored-1.0-py3-none-any.whl"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the test's output."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a PEP 503 index over HTTPS, and the certificate that signs it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=mirror", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    served = tmp_path / "served" / "simple" / "mirrored"
    served.mkdir(parents=True)
    wheel(served / WHEEL)
    (served / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/simple/", certificate
    server.shutdown()
    thread.join()
    server.server_close()


def wheel(path: Path) -> None:
    about = "mirrored-1.0.dist-info"
    files = {
        "mirrored.py": "WHERE = 'the mirror'\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: mirrored\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{about}/RECORD": record}.items():
            archive.writestr(name, text)


def clone(folder: Path, digest: str) -> Path:
    """A clone with our Makefile whose lock names one package, as locked on the public index."""
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "clone"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["mirrored"]\n[tool.uv]\npackage = false\n'
    )
    (folder / "uv.lock").write_text(
        'version = 1\nrequires-python = ">=3.11"\n\n'
        '[[package]]\nname = "clone"\nversion = "1"\nsource = { virtual = "." }\n'
        'dependencies = [{ name = "mirrored" }]\n\n'
        '[package.metadata]\nrequires-dist = [{ name = "mirrored" }]\n\n'
        '[[package]]\nname = "mirrored"\nversion = "1.0"\n'
        'source = { registry = "https://pypi.org/simple" }\n'
        f'wheels = [{{ url = "https://files.pythonhosted.org/packages/{WHEEL}", '
        f'hash = "sha256:{digest}" }}]\n'
    )
    (folder / "var").mkdir()
    (folder / "var" / "tools").symlink_to(ROOT / "var" / "tools")  # the installer is there already
    return folder


def install(folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`make`'s installation with nothing but loopback to talk to."""
    nowhere = "http://127.0.0.1:9"
    return subprocess.run(
        ["make", ".venv/.ready", f"PYTHON={sys.executable}"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "HTTPS_PROXY": nowhere,
            "HTTP_PROXY": nowhere,
            "ALL_PROXY": nowhere,
            "NO_PROXY": "127.0.0.1",
            "UV_CACHE_DIR": str(folder / "cache"),
            "UV_HTTP_RETRIES": "0",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_RETRIES": "0",
            **settings,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def locked_digest(tmp_path: Path) -> str:
    return hashlib.sha256(
        (tmp_path / "served" / "simple" / "mirrored" / WHEEL).read_bytes()
    ).hexdigest()


@pytest.fixture(autouse=True)
def _installer() -> None:
    if not (ROOT / "var" / "tools" / "bin" / "uv").exists():
        pytest.skip("needs the installer that make fetches into var/tools")


@pytest.mark.parametrize("setting", ["environment", "pip.conf", "extra index"])
def test_the_lock_is_installed_from_the_mirror_pip_is_set_to(
    tmp_path: Path, mirror: tuple[str, Path], setting: str
) -> None:
    address, certificate = mirror
    folder = clone(tmp_path / "clone", locked_digest(tmp_path))
    settings = {"PIP_INDEX_URL": address, "PIP_CERT": str(certificate)}
    if setting == "extra index":
        settings = {"PIP_EXTRA_INDEX_URL": address, "PIP_CERT": str(certificate)}
    if setting == "pip.conf":
        (tmp_path / "pip.conf").write_text(
            f"[global]\nindex-url = {address}\ncert = {certificate}\n"
        )
        settings = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}

    done = install(folder, settings)

    assert done.returncode == 0, done.stdout + done.stderr
    where = subprocess.run(
        [folder / ".venv/bin/python", "-c", "import mirrored; print(mirrored.WHERE)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout == "the mirror\n"


def test_a_mirror_that_serves_something_else_is_refused(
    tmp_path: Path, mirror: tuple[str, Path]
) -> None:
    address, certificate = mirror
    folder = clone(tmp_path / "clone", "0" * 64)

    done = install(folder, {"PIP_INDEX_URL": address, "PIP_CERT": str(certificate)})

    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (folder / ".venv" / ".ready").exists()


def test_a_mirror_nobody_vouches_for_is_refused(tmp_path: Path, mirror: tuple[str, Path]) -> None:
    address, _ = mirror
    folder = clone(tmp_path / "clone", locked_digest(tmp_path))

    done = install(folder, {"PIP_INDEX_URL": address})

    assert done.returncode != 0
    assert not (folder / ".venv" / ".ready").exists()
