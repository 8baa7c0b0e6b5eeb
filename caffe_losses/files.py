"""Files that commands read and write. Reading waits for nothing; of what is written, all is written or nothing."""

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read(path):
    """The bytes of a file. ValueError for a folder, a FIFO or a device, which is not waited for; OSError as `open`."""
    with open(path, "rb", buffering=0, opener=without_waiting) as file:
        return file.read()


def without_waiting(path, flags):
    """An opener for `open`. To open a FIFO or a device in the usual way may take for ever."""
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        check_regular(path)
        raise
    try:
        check_kind(path, os.fstat(descriptor).st_mode)
    except ValueError:
        os.close(descriptor)
        raise
    return descriptor


def check_regular(path):
    """ValueError if there is something under this name that is no file. What is not there passes."""
    with suppress(OSError):
        check_kind(path, os.stat(path).st_mode)


def check_kind(path, mode):
    for is_kind, text in KINDS:
        if is_kind(mode):
            raise ValueError(f"{path} is {text}; expected a file")


def memory(size=0):
    """A file in memory, open for reading and writing. Not in /dev/shm, which is small in containers."""
    if hasattr(os, "memfd_create"):  # from Python 3.8 on
        file = os.fdopen(os.memfd_create("caffe_losses"), "r+b", buffering=0)
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    file.truncate(size)
    return file


class Outputs:
    """The files that a command writes: all of them, or none.

        outputs = Outputs(["train.csv", "test.csv"], inputs=["list.csv"])    # refuses at once what it cannot write
        outputs.write([text, lambda file: figure.savefig(file)])

    paths   of the files. Missing folders are made
    inputs  what the command reads: none of these files is written over
    force   whether other files may be written over
    texts   what is to be written, if it is known already: a file that has its text may be there

    ValueError for a file that is there without `force`, for an input, and for what is no file.
    """

    def __init__(self, paths, *, inputs=(), force=False, texts=()):
        self.paths, self.inputs, self.force = list(paths), list(inputs), force
        self.texts = dict(zip(self.paths, texts))
        self.check()

    def check(self):
        real = [os.path.realpath(path) for path in self.paths]
        for k, path in enumerate(self.paths):
            check_regular(path)
            if real[k] in real[:k]:
                raise ValueError(f"{path} is named for two outputs; give each a name of its own")
            if any(same(path, other) for other in self.inputs):
                raise ValueError(f"{path} is an input of this command, and is not written over; give another output")
            if os.path.exists(path) and not self.force and not self.is_written(path):
                raise ValueError(f"{path} is there already; give another output, or --force to write over it")
            folder = existing(os.path.dirname(real[k]))
            if not os.path.isdir(folder):
                raise ValueError(f"{path} cannot be written, as {folder} is no folder; give another output")

    def is_written(self, path):
        return path in self.texts and read(path) == self.texts[path].encode("utf-8")

    def write(self, contents):
        """Write the files aside, and rename them when all are written.

        contents  for each file its text, or a function that writes into a binary file

        OSError, with the name of the file, if one cannot be written. Then all is as it was.
        """
        folders, drafts = [], []
        try:
            for path, content in zip(map(os.path.realpath, self.paths), contents):
                folders += make_folder(os.path.dirname(path))
                drafts.append((beside(path, "writing"), path))
                write_draft(drafts[-1][0], path, content)
            self.check()  # another command may have written in the meantime
            rename(drafts)
        except BaseException:
            for draft, _ in drafts:
                with suppress(OSError):
                    os.remove(draft)
            for folder in reversed(folders):
                with suppress(OSError):
                    os.rmdir(folder)
            raise


def same(path, other):
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def existing(folder):
    """The folder, or the nearest one above it that is there."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return folder


def make_folder(folder):
    """Make a folder and those above it. Returns those that were not there."""
    above = existing(folder)
    made = []
    while folder != above:
        made.insert(0, folder)
        folder = os.path.dirname(folder)
    for path in made:
        os.mkdir(path)
    return made


def beside(path, purpose):
    """The name of a file next to another, which nobody else has."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name[:200]}.{purpose}-{os.getpid()}")


@contextmanager
def naming(path):
    """Has an OSError name the file that is written, and not the draft of it, or none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), path) from None


def write_draft(draft, path, content):
    with naming(path), open(draft, "xb") as file:
        if callable(content):
            content(file)
        else:
            file.write(content.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
        if os.path.exists(path):
            shutil.copymode(path, draft)


def flush(path):
    """Have a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename(drafts):
    """Give all drafts their names. If one cannot have it, the others give theirs back."""
    kept, renamed = [], []
    try:
        for _, path in drafts:
            if os.path.exists(path) and len(drafts) > 1:
                kept.append((beside(path, "before"), path))
                shutil.copy2(path, kept[-1][0])
        for draft, path in drafts:
            with naming(path):
                os.replace(draft, path)
            renamed.append(path)
        for folder in {os.path.dirname(path) or "." for path in renamed}:
            flush(folder)
    except BaseException:
        backups = {path: backup for backup, path in kept}
        for path in renamed:
            os.replace(backups[path], path) if path in backups else os.remove(path)
        raise
    finally:
        for backup, _ in kept:
            with suppress(OSError):
                os.remove(backup)
