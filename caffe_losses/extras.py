"""What the commands need besides numpy, and the command that brings it."""

from importlib.util import find_spec

TOGETHER = "cv2", "h5py", "lmdb", "matplotlib"  # of the extras data and evaluation: named at once
PIP = {
    "cv2": "opencv-python-headless",
    "google": "protobuf",
    "h5py": "h5py",
    "lmdb": "lmdb",
    "matplotlib": "matplotlib",
    "mpi4py": "mpi4py",
    "scipy": "scipy",
    "six": "six",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "tqdm": "tqdm",
}


def explained(error):
    """One line for an ImportError: what is missing, and the command that brings it."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return remedy(error.name)
    return f"{error.name or 'a Python module'} cannot be imported: {' '.join(str(error).split())}"


def remedy(module):
    """One line for a module that is not there."""
    package = module.partition(".")[0]
    if package == "caffe":
        return "Caffe is not installed for this Python; build it with make, or docker/install-caffe FOLDER"
    if package in TOGETHER:
        others = [name for name in TOGETHER if name != package and find_spec(name) is None]
        if others:
            packages = " ".join(PIP[name] for name in (package, *others))
            return f"the Python modules {', '.join([module, *others])} are not installed; pip install {packages}"
    if package in PIP:
        return f"the Python module {module} is not installed; pip install {PIP[package]}"
    return f"the Python module {module} is not found; add its folder to PYTHONPATH, or pip install it"
