"""Errors of our layers are printed before they are raised, where a caffe program runs them.

Another Caffe's program (Debian 11's, say) dies of a Python exception with "terminate called" and without its text.
"""

import functools
import sys

METHODS = "setup", "reshape", "forward", "backward"


def embedded():
    """Whether a program has Python inside, rather than being run by it: then there are no arguments of a script."""
    return getattr(sys, "argv", [""]) in ([], [""])


def loud(layer):
    """Class decorator of a layer; does nothing where Python itself prints what ends it."""
    if embedded():
        for name in METHODS:
            setattr(layer, name, printing(getattr(layer, name)))
    return layer


def printing(method):
    @functools.wraps(method)
    def call(*arguments):
        try:
            return method(*arguments)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            raise

    return call
