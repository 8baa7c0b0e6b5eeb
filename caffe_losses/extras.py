"""What the commands need besides numpy, and the command that brings it."""

PIP = {
    "cv2": "opencv-python-headless",
    "google": "protobuf",
    "skimage": "scikit-image",
}
OWN = "h5py", "lmdb", "matplotlib", "mpi4py", "scipy", "six", "tqdm"  # pip knows them by their module's name


def explained(error):
    """One line for an ImportError: which module is missing, and the command that brings it."""
    name = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError):
        return f"{name or 'a Python module'} cannot be imported: {' '.join(str(error).split())}"
    if name == "caffe":
        return "Caffe is not installed for this Python; build it with make, or docker/install-caffe FOLDER"
    if name in PIP or name in OWN:
        return f"the Python module {error.name} is not installed; pip install {PIP.get(name, name)}"
    return f"the Python module {error.name} is not found; add its folder to PYTHONPATH, or pip install it"
