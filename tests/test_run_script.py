"""`./run`: a real shell, real environments and pip with hashes; only the packages in the lock are small stand-ins."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pip
import pytest

CHECKOUT = Path(__file__).parents[1]
DEADLINE = 60.0

AGENT = """
import importlib.metadata, json, os, sys
json.dump({"argv": sys.argv[1:], "cwd": os.getcwd(), "path": sys.path, "prefix": sys.prefix,
           "installed": sorted(d.name for d in importlib.metadata.distributions())}, sys.stdout)
"""
VENV_WITHOUT_ENSUREPIP = """
import runpy, sys
if "--without-pip" not in sys.argv:
    sys.exit("ensurepip is not available")
sys.path[:] = [entry for entry in sys.path if entry != {here!r}]
del sys.modules["venv"]
runpy.run_module("venv", run_name="__main__")
"""


class Checkout:
    """A checkout of two stand-in packages, `runtime` and `pytest`, with the real `run`."""

    def __init__(self, root: Path) -> None:
        self.root = root / "check out"
        self.venv = self.root / ".venv"
        self.wheels = root / "wheels"
        self.modules = root / "modules"
        for folder in (self.root / "edge_agent", self.wheels, self.modules):
            folder.mkdir(parents=True)
        shutil.copy(CHECKOUT / "run", self.root)
        (self.root / "edge_agent/__main__.py").write_text(AGENT)
        self.runtime = self._wheel("runtime", "")
        self.pytest = self._wheel("pytest", AGENT)
        self.lock(self.runtime)
        self.env = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"} | {
            "PIP_FIND_LINKS": str(self.wheels),
            "PYTHONPATH": str(self.modules),
        }

    def lock(self, runtime: str) -> None:
        """Write both locks; the one for development contains the other."""
        (self.root / "requirements.lock").write_text(runtime)
        (self.root / "requirements-dev.lock").write_text(runtime + self.pytest)

    def without_ensurepip(self, *, pip_there: bool = True) -> None:
        """Make Python behave as on Debian without python3-venv, with or without python3-pip."""
        (self.modules / "venv").mkdir()
        (self.modules / "venv/__init__.py").touch()
        (self.modules / "venv/__main__.py").write_text(VENV_WITHOUT_ENSUREPIP.format(here=str(self.modules)))
        if pip_there:
            (self.modules / "pip").symlink_to(Path(pip.__file__).parent)
        else:
            (self.modules / "pip.py").write_text("raise ImportError")

    def start(self, *args: str, cwd: Path | None = None) -> "subprocess.Popen[str]":
        """Begin `run ARGS` in a process group of its own."""
        return subprocess.Popen(
            [self.root / "run", *args],
            cwd=cwd or self.root.parent,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *args: str, cwd: Path | None = None) -> tuple[int, str, str]:
        """`run ARGS` to its end: exit code, stdout, stderr."""
        with self.start(*args, cwd=cwd) as process:
            out, err = process.communicate(timeout=DEADLINE)
            return process.returncode, out, err

    def ask(self, *args: str, cwd: Path | None = None) -> dict[str, Any]:
        """`run ARGS`, which must succeed; returns what the stand-in saw."""
        code, out, err = self.run(*args, cwd=cwd)
        assert code == 0, err
        seen: dict[str, Any] = json.loads(out)
        return seen

    def _wheel(self, name: str, main: str) -> str:
        """Build a wheel; returns its line in a lock."""
        info = f"{name}-1.dist-info"
        files = {
            f"{name}/__init__.py": "",
            f"{name}/__main__.py": main,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
        wheel = self.wheels / f"{name}-1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        return f"{name}==1 \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture(name="quick")
def _quick(checkout: Checkout) -> Checkout:
    """A checkout that gets its environment the quicker way, by the pip outside."""
    checkout.without_ensurepip()
    return checkout


@contextlib.contextmanager
def _index_that_hangs() -> Iterator[tuple[str, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE)
        yield f"http://127.0.0.1:{server.getsockname()[1]}/", server


def test_first_start_makes_the_environment_and_the_second_uses_it(checkout: Checkout) -> None:
    """The first start installs what the lock names, the second installs nothing and says nothing."""
    code, out, err = checkout.run("demo")
    assert (code, "preparing" in err) == (0, True)
    assert "runtime" in json.loads(out)["installed"]
    assert json.loads(out)["prefix"] == str(checkout.venv)
    checkout.env["PIP_FIND_LINKS"] = "/nonexistent"
    assert checkout.run("demo")[::2] == (0, "")


def test_arguments_and_directory_are_kept(quick: Checkout, tmp_path: Path) -> None:
    """A verb gets its arguments word by word, in the caller's directory, which is no source of modules."""
    cwd = tmp_path / "else where"
    cwd.mkdir()
    (cwd / "json.py").write_text("raise ImportError('not me')")
    seen = quick.ask("check", "a b", "*", "", cwd=cwd)
    assert (seen["argv"], seen["cwd"]) == (["check", "a b", "*", ""], str(cwd))
    assert str(cwd) not in seen["path"]
    assert seen["path"][0] == str(quick.root)


def test_tests_get_the_development_packages_on_top(quick: Checkout) -> None:
    """`run test` adds the development lock, calls pytest in the checkout, and leaves the environment good for verbs."""
    assert "pytest" not in quick.ask("demo")["installed"]
    marker = quick.venv / "kept"
    marker.touch()
    seen = quick.ask("test", "-k", "a b")
    assert (seen["argv"], seen["cwd"]) == (["-k", "a b"], str(quick.root))
    assert {"pytest", "runtime"} <= set(seen["installed"])
    assert quick.run("demo")[::2] == (0, "")
    assert marker.exists()


def test_a_changed_lock_makes_the_environment_anew(quick: Checkout) -> None:
    """Nothing of an environment made from another lock is left."""
    quick.ask("test")
    leftover = quick.venv / "leftover"
    leftover.touch()
    quick.lock("# changed\n" + quick.runtime)
    assert "pytest" not in quick.ask("demo")["installed"]
    assert not leftover.exists()


def test_a_lost_interpreter_makes_the_environment_anew(quick: Checkout) -> None:
    """An environment whose Python was upgraded away is replaced."""
    quick.ask("demo")
    (quick.venv / "bin/python").unlink()
    assert "runtime" in quick.ask("demo")["installed"]


def test_a_killed_start_is_begun_again(quick: Checkout) -> None:
    """SIGKILL in the middle of installing leaves nothing that the next start would trust."""
    wheels = quick.env["PIP_FIND_LINKS"]
    with _index_that_hangs() as (quick.env["PIP_FIND_LINKS"], server), quick.start("demo") as process:
        with server.accept()[0]:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=DEADLINE)
    quick.env["PIP_FIND_LINKS"] = wheels
    assert "runtime" in quick.ask("demo")["installed"]


def test_two_first_starts_at_once_share_one_environment(quick: Checkout) -> None:
    """The second waits for the first and installs nothing."""
    with quick.start("demo") as one, quick.start("demo") as two:
        ends = [process.communicate(timeout=DEADLINE) for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0)
    assert sorted("preparing" in err for _, err in ends) == [False, True]


def test_a_package_with_another_hash_is_refused(quick: Checkout) -> None:
    """What does not have the locked hash is not installed, and the next start does not take it for installed."""
    quick.lock(f"runtime==1 \\\n    --hash=sha256:{'0' * 64}\n")
    for _ in range(2):
        code, out, err = quick.run("demo")
        assert (code, out) == (1, "")
        assert "could not be installed" in err


def test_neither_venv_nor_pip_names_the_one_cure(checkout: Checkout) -> None:
    """Without python3-venv and python3-pip the one apt line that helps is printed."""
    checkout.without_ensurepip(pip_there=False)
    code, _, err = checkout.run("demo")
    assert code == 1
    assert err.endswith("sudo apt install python3-venv\n")


def test_an_old_python_is_said(checkout: Checkout, tmp_path: Path) -> None:
    """Where every Python is older than 3.11 the start says so instead of failing inside."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in ("cmp", "dirname", "readlink", "flock", "sh"):
        (programs / program).symlink_to(str(shutil.which(program)))
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")
    (programs / "python3").chmod(0o755)
    checkout.env["PATH"] = str(programs)
    code, _, err = checkout.run("demo")
    assert code == 1
    assert "Python 3.11 or newer is needed" in err
    assert not checkout.venv.exists()


def test_an_environment_made_by_someone_else_is_left_alone(checkout: Checkout) -> None:
    """A .venv that did not come from `run` is neither used nor removed."""
    checkout.venv.mkdir()
    (checkout.venv / "mine").touch()
    code, _, err = checkout.run("demo")
    assert (code, "was not made by ./run" in err) == (1, True)
    assert (checkout.venv / "mine").exists()


def test_a_second_start_costs_little(quick: Checkout) -> None:
    """The script adds less than 0.1 s to the start of Python (best of five, both ways)."""
    quick.ask("demo")
    bare = [quick.venv / "bin/python", "-c", AGENT]

    def best(command: list[Any]) -> float:
        def once() -> float:
            begin = time.perf_counter()
            subprocess.run(command, env=quick.env, cwd=quick.root, check=True, capture_output=True)
            return time.perf_counter() - begin

        return min(once() for _ in range(5))

    assert best([quick.root / "run", "demo"]) - best(bare) < 0.1


def test_no_download_address_is_named() -> None:
    """Where packages come from is the machine's pip configuration, neither the script nor a lock."""
    for name in ("run", "requirements.lock", "requirements-dev.lock", ".ci/run"):
        text = (CHECKOUT / name).read_text()
        assert "://" not in text, name
        assert "--index-url" not in text, name
