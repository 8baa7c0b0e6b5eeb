"""LMDBs and HDF5 files of images and labels."""

import h5py
import lmdb
import numpy as np
from caffe.proto import caffe_pb2


def write_lmdb(path, arrays):
    """Images as bytes; labels as float_data, a vector of N x 1 x 1."""
    with lmdb.open(str(path), map_size=1 << 28) as environment, environment.begin(write=True) as transaction:
        for k, array in enumerate(arrays):
            datum = caffe_pb2.Datum(channels=array.shape[0], height=array.shape[1], width=array.shape[2])
            if array.dtype == np.uint8:
                datum.data = array.tobytes()
            else:
                datum.float_data.extend(array.ravel().tolist())
            transaction.put(b"%08d" % k, datum.SerializeToString())


def write_hdf5(folder, name, **arrays):
    with h5py.File(str(folder / f"{name}.h5"), "w") as file:
        for key, array in arrays.items():
            file[key] = array.astype(np.float32)
    (folder / f"{name}.txt").write_text(str(folder / f"{name}.h5") + "\n")
