"""Builds the native code of the cpu engine, once for each kind of processor.

What cannot be built is left out with a warning: the package works without, on its reference
engine. Everything else about the project stands in pyproject.toml.
"""

import os
import platform
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import BaseError, CCompilerError

SOURCES = sorted(str(path) for path in Path("verifiable/native").glob("*.cpp"))
HEADERS = sorted(str(path) for path in [*Path("verifiable/native").glob("*.h"), "cuda/canon.h"])

# No step may be reassociated or contracted; the last two keep every value and let loops become
# vector code. What Python itself was compiled with comes before and changes no float.
FLAGS = [
    "-std=c++17",
    "-O3",
    "-g0",
    "-ffp-contract=off",
    "-fno-trapping-math",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-pthread",
]

# The name of a build, as verifiable/engines/cpu_library.py knows it, and its flags.
BUILDS: dict[str, list[str]] = {"base": []}
if platform.machine().lower() in {"x86_64", "amd64"}:
    BUILDS = {
        "base": ["-march=x86-64"],
        "v3": ["-march=x86-64-v3"],
        "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    }


def extension(name: str, flags: list[str]) -> Extension:
    """One shared object; it uses nothing of Python, so it fits every version."""
    return Extension(
        f"verifiable.native._{name}",
        sources=SOURCES,
        depends=HEADERS,
        include_dirs=["cuda"],
        language="c++",
        extra_compile_args=[*FLAGS, *flags],
        extra_link_args=["-pthread"],
        py_limited_api=True,
    )


class Build(build_ext):
    """Compiles several sources at a time, and goes on without a build that fails."""

    def build_extensions(self) -> None:
        """Build every extension that this machine's compiler can."""
        kept = []
        for ext in self.extensions:
            try:
                self._build(ext)
            except (BaseError, CCompilerError, OSError) as error:
                warnings.warn(
                    f"`{ext.name}` was not built, the cpu engine does without: {error}",
                    stacklevel=1,
                )
            else:
                kept.append(ext)
        self.extensions = kept

    def _build(self, ext: Extension) -> None:
        folder = Path(self.build_temp) / ext.name

        def compile_one(source: str) -> list[str]:
            made: list[str] = self.compiler.compile(
                [source],
                output_dir=str(folder),
                include_dirs=ext.include_dirs,
                extra_postargs=ext.extra_compile_args,
                depends=ext.depends,
            )
            return made

        (folder / "verifiable" / "native").mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = [name for made in pool.map(compile_one, ext.sources) for name in made]
        target = self.get_ext_fullpath(ext.name)
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        self.compiler.link_shared_object(
            objects, target, extra_postargs=ext.extra_link_args, target_lang="c++"
        )


class Sources(build_py):
    """Puts the kernels into wheels, where the gpu engine compiles them."""

    def run(self) -> None:
        """Copy them beside the engines; a checkout has them at its top."""
        super().run()
        if not self.editable_mode:
            for path in [*Path("cuda").glob("*.cu"), *Path("cuda").glob("*.h")]:
                target = Path(self.build_lib) / "verifiable/engines/_cuda" / path.name
                self.mkpath(str(target.parent))
                self.copy_file(str(path), str(target))


if sys.platform == "win32":
    # The sources are for compilers that know GNU vectors.
    setup(cmdclass={"build_py": Sources})
else:
    setup(
        ext_modules=[extension(name, flags) for name, flags in BUILDS.items()],
        cmdclass={"build_ext": Build, "build_py": Sources},
    )
