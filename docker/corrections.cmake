# What is wrong in Caffe's source, or stands in the way of today's libraries, put right in copies in ${generated}.
function(put_right file old new)
  set(right ${generated}/${file})
  if(NOT file IN_LIST all_right)
    configure_file(${CAFFE_SOURCE}/${file} ${right} COPYONLY)
    set(all_right ${all_right} ${file} PARENT_SCOPE)
  endif()
  file(READ ${right} text)
  string(REPLACE "${old}" "${new}" changed "${text}")
  if(changed STREQUAL text)
    message(FATAL_ERROR "${file} is not the source that this build is for: no '${old}' in it")
  endif()
  file(WRITE ${right} "${changed}")
endfunction()

# protobuf 3.21 takes one argument; Caffe's own constant instead of a quarter of it.
put_right(src/caffe/util/io.cpp "SetTotalBytesLimit(536870912)" "SetTotalBytesLimit(kProtoReadBytesLimit)")

# Net lost its dispatch of HDF5 weight files.
put_right(src/caffe/net.cpp "  CopyTrainedLayersFromBinaryProto(trained_filename);\n"
  "  H5Fis_hdf5(trained_filename.c_str()) > 0 ? CopyTrainedLayersFromHDF5(trained_filename)
                                           : CopyTrainedLayersFromBinaryProto(trained_filename);\n")

# A Python layer kept itself alive, so that a net's layers were never freed, nor what they hold: memory, processes.
put_right(include/caffe/layers/python_layer.hpp "self_(bp::handle<>(bp::borrowed(self)))" "self_{self}")
put_right(include/caffe/layers/python_layer.hpp "bp::object self_;" "struct {
    PyObject* self;
    auto attr(const char* name) { return bp::object(bp::handle<>(bp::borrowed(self))).attr(name); }
  } self_;")

# Fields of cudaDeviceProp that CUDA 13 has dropped; the attributes are there since CUDA 5.
put_right(src/caffe/common.cpp "prop.clockRate" "attribute(cudaDevAttrClockRate)")
put_right(src/caffe/common.cpp "prop.deviceOverlap" "attribute(cudaDevAttrGpuOverlap)")
put_right(src/caffe/common.cpp "prop.kernelExecTimeoutEnabled" "attribute(cudaDevAttrKernelExecTimeout)")
put_right(src/caffe/common.cpp "  CUDA_CHECK(cudaGetDeviceProperties(&prop, device));\n"
  "  CUDA_CHECK(cudaGetDeviceProperties(&prop, device));
  auto attribute = [device](cudaDeviceAttr name) {
    int value;
    CUDA_CHECK(cudaDeviceGetAttribute(&value, name, device));
    return value;
  };\n")

# Names that numpy and scikit-image have dropped.
put_right(python/caffe/io.py "arr.tostring()" "arr.tobytes()")
put_right(python/caffe/io.py "np.fromstring(" "np.frombuffer(")
put_right(python/caffe/io.py "as_grey=" "as_gray=")

# scikit-image is two thirds of what importing caffe takes, and most programs read no picture through it.
put_right(python/caffe/io.py "import skimage.io\nfrom scipy.ndimage import zoom\nfrom skimage.transform import resize\n" "")
put_right(python/caffe/io.py "    img = skimage." "    import skimage.io\n    img = skimage.")
put_right(python/caffe/io.py "    if im.shape[-1] == 1 or" "    from scipy.ndimage import zoom
    from skimage.transform import resize
    if im.shape[-1] == 1 or")
