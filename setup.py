"""Builds the C++ and CUDA modules with CMake; everything else about the package stands in pyproject.toml."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()


class CMakeBuild(build_ext):
    """Runs CMake once; the modules land beside fastsr's Python files (or in the wheel)."""

    def build_extension(self, extension: Extension) -> None:
        """Configure and build csrc/."""
        target = Path(self.get_ext_fullpath(extension.name)).resolve().parent
        folder = Path(self.build_temp).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        options = [
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            f"-DFASTSR_OUTPUT={target}",
            f"-DCMAKE_BUILD_TYPE={'Debug' if self.debug else 'Release'}",
        ]
        if not (self.inplace or self.editable_mode):
            options.append("-DFASTSR_WIDE_ISA=OFF")
        for name in ("FASTSR_CUDA", "FASTSR_CUDA_ARCHS", "FASTSR_SANITIZE"):
            if os.environ.get(name):
                options.append(f"-D{name}={os.environ[name]}")
        subprocess.run(["cmake", "--fresh", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja", *options], check=True)
        subprocess.run(["cmake", "--build", str(folder)], check=True)
        if self.inplace or self.editable_mode:  # setuptools copies only the module that it knows of
            for module in target.glob("_*.so"):
                if module.parent != ROOT / "fastsr":
                    shutil.copy2(module, ROOT / "fastsr")


setup(ext_modules=[Extension("fastsr._core", sources=[])], cmdclass={"build_ext": CMakeBuild})
