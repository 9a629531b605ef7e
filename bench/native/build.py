"""Builds the compiled step below ``build/native``, and loads it.

The folder has the digest of its sources in its name, and is built again after they have changed.
"""

import os
import shutil
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from bench.errors import BenchError
from bench.native.decoding import CompiledStep
from bench.peers.environment import Say, digest
from tracker.stack.cache import filled
from tracker.stack.server import run_to_end

_NAME = "compiled_step"
_HERE = Path(__file__).parent
BUILD = _HERE.parent.parent / "build" / "native"


def load(say: Say) -> CompiledStep:
    """Return the compiled step; build it at the first time.

    :raises BenchError: it cannot be built here.
    """
    sources = [_HERE / "Cargo.toml", *sorted((_HERE / "src").glob("*.rs"))]
    folder = filled(BUILD / digest(sources), lambda partial: _build(partial, sources, say))
    path = str(folder / f"{_NAME}.so")
    spec = spec_from_file_location(_NAME, loader=ExtensionFileLoader(_NAME, path))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    decode: CompiledStep = module.decode
    return decode


def _build(folder: Path, sources: list[Path], say: Say) -> None:
    cargo = shutil.which("cargo")
    if cargo is None:
        raise BenchError(
            "the compiled step is built with Rust's cargo, but there is none on the PATH: install Rust 1.85"
            " or later (on Debian and Ubuntu: cargo)"
        )
    say("Building the compiled step with cargo (a minute, once) ...")
    for path in sources:
        copy = folder / path.relative_to(_HERE)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
    run_to_end(
        [cargo, "build", "--quiet", "--release"],
        "Building the compiled step with cargo",
        directory=folder,
        environment=dict(os.environ) | {"PYO3_PYTHON": sys.executable},
    )
    shutil.copyfile(folder / "target" / "release" / f"lib{_NAME}.so", folder / f"{_NAME}.so")
    shutil.rmtree(folder / "target")
