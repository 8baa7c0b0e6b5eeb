"""The folder that snapshots are written into before they get their name, and the lock on that name.

The folder PREFIX.writing has a file `lock`. The process of a training holds it locked (flock), so a process that is
killed leaves no lock behind. The file also has a random word. The files that Caffe writes begin with it, and only such
files are ever deleted.
"""

import errno
import fcntl
import os
import re
import socket
import tempfile
import uuid
from contextlib import suppress

WORDS = re.compile(rb"caffe-losses train (\w{32}) process (\d+) on (.*)\n")
NO_LOCKS = errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP  # of the file system


class Drafts:
    """The folder of the drafts of one training.

    folder  its path
    prefix  the snapshot_prefix that Caffe is given
    locks   False if the file system has no locks: then two trainings could have the same prefix

    ValueError if another training has this prefix, or the user has a folder of that name. OSError if it cannot be made.
    """

    def __init__(self, prefix):
        self.name, self.folder, self.locks = prefix, prefix + ".writing", True
        self.word, self.file = uuid.uuid4().hex, None
        try:
            while self.file is None:
                self.file = self.taken() if os.path.lexists(self.folder) else self.made()
        except OSError as error:
            raise OSError(
                f"snapshot_prefix {prefix}: {error.strerror}; give one in a folder that can be written"
            ) from None
        self.prefix = os.path.join(self.folder, self.word)

    def made(self):
        """The lock file of a new folder, which is there with its lock or not at all. None if one was there before."""
        new = tempfile.mkdtemp(prefix=os.path.basename(self.folder), dir=os.path.dirname(self.folder) or ".")
        path = os.path.join(new, "lock")
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.write(file)
        self.lock(file)
        try:
            os.rename(new, self.folder)
        except OSError as error:
            os.close(file)
            os.remove(path)
            os.rmdir(new)
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            return None
        return file

    def taken(self):
        """The lock file of a folder that a training has left, after its files are deleted. None if it goes just now."""
        path = os.path.join(self.folder, "lock")
        file = opened(path)
        before = None if file is None else WORDS.match(os.read(file, 500))
        if before is None:
            if file is not None:
                os.close(file)
            if not os.path.lexists(self.folder):
                return None
            raise ValueError(
                f"snapshot_prefix {self.name}: {self.folder} is there, and no training has left it; it is not touched: "
                "rename it, or give another snapshot_prefix"
            )
        if not self.lock(file):
            raise ValueError(
                f"snapshot_prefix {self.name}: another training has it (process {int(before.group(2))} on "
                f"{before.group(3).decode()}); give each training one of its own"
            )
        if not is_at(file, path):  # the other training has ended meanwhile
            os.close(file)
            return None
        self.delete(before.group(1).decode())
        self.write(file)
        return file

    def write(self, file):
        text = f"caffe-losses train {self.word} process {os.getpid()} on {socket.gethostname()}\n".encode()
        os.pwrite(file, text, 0)  # first, as another training may be reading it
        os.truncate(file, len(text))

    def lock(self, file):
        """Whether this process now has the lock."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            self.locks = False
        return True

    def delete(self, word):
        """Delete the files of a training. What else is in the folder stays."""
        for name in os.listdir(self.folder):
            if name.startswith(word):
                os.remove(os.path.join(self.folder, name))

    def close(self):
        """Remove the folder, unless there is a file that no training wrote."""
        if self.file is None:
            return
        with suppress(OSError):  # the folder may be gone
            self.delete(self.word)
            os.remove(os.path.join(self.folder, "lock"))
            os.rmdir(self.folder)
        os.close(self.file)
        self.file = None


def opened(path):
    """The descriptor of a regular file; None if there is none. A pipe would make us wait."""
    try:
        return os.open(path, os.O_RDWR) if os.path.isfile(path) else None
    except FileNotFoundError:
        return None


def is_at(file, path):
    """Whether an open file is the one at that path."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
