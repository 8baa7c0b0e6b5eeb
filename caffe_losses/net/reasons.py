"""Why a process with Caffe in it ended: one line of all that it printed."""

import re

from ..extras import remedy

FATAL = re.compile(r"^F\d{4,8} .*?\] (.*)$", re.MULTILINE)  # glog's, whether or not it is a failed check
ERROR = re.compile(r"^E\d{4,8} .*?\] (.*)$", re.MULTILINE)  # after which Caffe may go on and write what is wrong
EXCEPTION = re.compile(r"[\w.]*[A-Z]\w*(?:Error|Exception): ")
MODULE = re.compile(r"^(?:\w+\.)+(?=[A-Z]\w*: )")  # of a Python exception
TYPES = re.compile(r"Unknown layer type: (.*?) \(known types: .*")


def reason(process):
    """In one line: a module that is missing, the check that failed, a Python exception, an error, or the last line."""
    text = process.stdout.decode(errors="replace").strip()
    missing = re.search(r"No module named '([\w.]+)'", text)
    if missing:
        return remedy(missing.group(1))
    fatal = FATAL.findall(text)
    if fatal:
        unknown = TYPES.search(fatal[-1])
        return f"this Caffe has no layer of the type {unknown.group(1)}" if unknown else fatal[-1]
    if process.returncode < 0:
        return f"it was ended by signal {-process.returncode}, perhaps for want of memory"
    lines = text.splitlines() or ["no reason given"]
    last = lines[-1]
    if last.startswith("SystemError: "):  # Boost.Python's, after the exception that it is about was printed
        last = next((line for line in reversed(lines[:-1]) if EXCEPTION.match(line)), last)
    errors = ERROR.findall(text)
    return errors[0] if errors and not EXCEPTION.match(last) else MODULE.sub("", last)
