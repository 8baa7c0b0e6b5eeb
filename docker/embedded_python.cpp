// Linked into each Caffe program: a Python layer then finds the packages of the virtual environment
// that the program is installed in, with nothing set. Python takes its environment from the path of
// its executable, which for an embedding program has to be named before Py_Initialize.
#include <Python.h>

#include <filesystem>
#include <string>

static const std::wstring python =
    (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "python3").wstring();
static const bool named = (Py_SetProgramName(python.c_str()), true);
