"""Two hosts on this machine: network namespaces with names and addresses, which reach each other over TCP only.

    sudo python tests/hosts.py

trains on both and compares the weights with one process's. Then host b is kept from host a's snapshots, as if
it had its own disk, and training goes on from one. Needs root.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from training import MPIRUN, train, weights, write_net, write_solver

NAMES = "caffe-a", "caffe-b"
ADDRESSES = "10.213.77.1", "10.213.77.2"
AGENT = """#!/bin/sh
# What mpirun calls in ssh's place: AGENT HOST COMMAND...
shift
exec ip netns exec {name} unshare -u -m sh -c 'hostname {name}; {hide} exec sh -c "$0"' "$*"
"""
TCP = ["--mca", "pml", "ob1", "--mca", "btl", "self,tcp", "--mca", "btl_tcp_if_include", "10.213.77.0/24"]


def run(*command):
    subprocess.run(command, check=True)


@contextlib.contextmanager
def two_hosts(rate=None):
    """Namespaces joined by a cable, of `rate` (as tc writes it: 1gbit) in each direction."""
    ends = "caffe-veth-a", "caffe-veth-b"
    remove_hosts()  # of a run that was killed
    try:
        for name in NAMES:
            run("ip", "netns", "add", name)
        run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(NAMES, ends, ADDRESSES):
            run("ip", "link", "set", end, "netns", name)
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", end)
            run("ip", "-n", name, "link", "set", end, "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
            if rate:
                limit = ("tbf", "rate", rate, "burst", "64kb", "latency", "20ms")
                run("tc", "-n", name, "qdisc", "add", "dev", end, "root", *limit)
        yield
    finally:
        remove_hosts()


def remove_hosts():
    for name in NAMES:
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def mpirun_from_a(folder, hide=None):
    """The options that have mpirun, called in a, start a rank on each host; `hide` is a folder that b does not see."""
    agent = folder / "agent"
    agent.write_text(AGENT.format(name=NAMES[1], hide=f"mount -t tmpfs none {hide};" if hide else ""))
    agent.chmod(0o755)
    hosts = ",".join(f"{address}:1" for address in ADDRESSES)
    return [
        *TCP,
        "--mca",
        "plm_rsh_agent",
        str(agent),
        "--mca",
        "oob_tcp_if_include",
        "10.213.77.0/24",
        "--host",
        hosts,
    ]


def on_a(command):
    """A command, run on host a."""
    return [
        "ip",
        "netns",
        "exec",
        NAMES[0],
        "unshare",
        "-u",
        "sh",
        "-c",
        f'hostname {NAMES[0]}; exec "$@"',
        "sh",
        *command,
    ]


def sent_bytes():
    """What host a has sent."""
    command = ["ip", "netns", "exec", NAMES[0], "cat", "/sys/class/net/caffe-veth-a/statistics/tx_bytes"]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def compare(folder):
    (folder / "disk").mkdir()
    write_net(folder, "one", 8)
    write_net(folder, "two", 4)
    train(0, write_solver(folder, "one"))
    solver = write_solver(folder, "two", snapshot_prefix=f"{folder}/disk/two", snapshot=48)
    MPIRUN[:] = on_a(MPIRUN)
    with two_hosts():
        before = sent_bytes()
        options = mpirun_from_a(folder)
        train(2, solver, mpirun=options)
        sent = sent_bytes() - before
        single = weights(folder / "one_iter_100.caffemodel")
        shared = weights(folder / "disk" / "two_iter_100.caffemodel")
        worst = max(np.abs(shared[key] - single[key]).max() for key in single)
        gradients = 4 * sum(array.size for array in shared.values())
        print(f"100 iterations on 2 hosts: weights within {worst:.1e} of one process's")
        print(f"{sent / 100:.0f} bytes sent by a host each iteration, for {gradients} bytes of gradients")
        assert worst < 1e-5
        os.remove(str(folder / "disk" / "two_iter_100.caffemodel"))
        options = mpirun_from_a(folder, hide=folder / "disk")
        train(2, solver, "--snapshot", f"{folder}/disk/two_iter_48.solverstate", mpirun=options)
        again = weights(folder / "disk" / "two_iter_100.caffemodel")
        assert all((again[key] == shared[key]).all() for key in shared)
        print("going on from a snapshot that only host a has: the same weights")


def main():
    if os.geteuid() != 0:
        sys.exit("hosts.py: network namespaces need root; call it with sudo")
    folder = Path(tempfile.mkdtemp())
    try:
        compare(folder)
    finally:
        shutil.rmtree(str(folder))


if __name__ == "__main__":
    main()
