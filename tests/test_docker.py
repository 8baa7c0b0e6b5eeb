"""The Docker images' files, without an engine; docker/prove builds and runs the image."""

import glob
import os
import re
import shutil
import subprocess
import sys

import pytest

import caffe_losses

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPTS = ("entry", "finish-image", "gpu-proof", "install-caffe", "prove", "prove-systems")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


DOCKERFILE = read("docker/Dockerfile")
STAGES = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
ARGUMENTS = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))


def builds():
    """The options of each `docker build` in the documents."""
    return re.findall(r"^docker build (.*)$", read("docs/caffe-and-docker.md"), re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_executable_and_their_syntax_is_right(name):
    path = os.path.join(ROOT, "docker", name)
    assert os.access(path, os.X_OK)
    assert subprocess.call(["bash", "-n", path]) == 0


def test_the_documents_build_what_the_dockerfile_has():
    assert builds()
    for options in builds():
        assert re.search(r"-f (\S+)", options).group(1) == "docker/Dockerfile"
        assert set(re.findall(r"--target (\S+)", options)) <= set(STAGES)
        assert set(re.findall(r"--build-arg (\w+)=", options)) <= ARGUMENTS


def test_plain_docker_build_makes_the_cpu_image():
    assert STAGES[-1] == "cpu"


def test_the_version_is_the_packages():
    assert f'image.version="{caffe_losses.__version__}"' in DOCKERFILE


def test_what_is_copied_is_there():
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert glob.glob(os.path.join(ROOT, source)), source


def test_caffe_is_built_before_anything_of_the_package_is_copied():
    """Or each change of the package would build Caffe again."""
    for stage in re.split("^FROM ", DOCKERFILE, flags=re.MULTILINE):
        before, found, _ = stage.partition("RUN docker/install-caffe")
        copies = re.findall("^COPY .*", before, re.MULTILINE)
        assert not found or all(copy.startswith("COPY docker/") for copy in copies)


def entry(*arguments):
    done = subprocess.run([os.path.join(ROOT, "docker", "entry"), *arguments], stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout


@pytest.mark.slow
def test_the_entry_runs_commands_and_without_one_says_which_there_are():
    assert entry("sh", "-c", "echo $0 $1; exit 3", "a b") == (3, "a b\n")
    status, text = entry()
    assert status == 0
    for command in ("caffe train", "gradcheck", "test"):
        assert command in text


def test_the_tests_that_gradcheck_runs_exist():
    paths = re.findall(r"tests/\w+\.py", read("docker/entry"))
    assert paths
    for path in paths:
        assert os.path.exists(os.path.join(ROOT, path))


@pytest.mark.slow
def test_gpu_proof_says_that_there_is_no_card_before_any_work(tmp_path):
    """With a nvidia-smi that sees no card, as on a machine without one."""
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho No devices were found\nexit 6\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.defpath}"}
    script = os.path.join(ROOT, "docker", "gpu-proof")
    done = subprocess.run([script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("gpu-proof: nvidia-smi names no NVIDIA GPU on this machine; call it where one is")


@pytest.mark.slow
def test_the_checks_of_gpu_proof_refuse_a_caffe_for_the_cpu():
    done = subprocess.run([sys.executable, "tests/gpu_proof.py"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("gpu-proof: --gpu 0: ")


# install-caffe where something is missing


def install(folder, **programs):
    """Run install-caffe with a PATH of some programs alone: what each prints, or those of this machine."""
    (folder / "bin").mkdir()
    for name in ("bash", "dirname", "cat", "comm", "sort", "sed", "xargs", "echo"):
        (folder / "bin" / name).symlink_to(shutil.which(name))
    for name, text in programs.items():
        program = folder / "bin" / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n/bin/echo '{text}'\n")
        program.chmod(0o755)
    command = [os.path.join(ROOT, "docker", "install-caffe"), str(folder / "venv")]
    environment = {"PATH": str(folder / "bin")}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_without_apt_docker_is_named(tmp_path):
    done = install(tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "there is no apt-get here; use Docker: docker build -t caffe-losses -f docker/Dockerfile ." in line


@pytest.mark.slow
@pytest.mark.parametrize("mpirun", [{}, {"mpirun": ""}])
def test_all_missing_packages_are_named_at_once(tmp_path, mpirun):
    done = install(tmp_path, dpkg_query="installed cmake", apt_get="", id="1000", **mpirun)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    command = line.split("call again: sudo apt-get install -y --no-install-recommends ")[1].split()
    expected = (
        {*read("docker/packages.txt").split(), "openmpi-bin"} - {"cmake"} - ({"openmpi-bin"} if mpirun else set())
    )
    assert set(command) == expected


@pytest.mark.slow
def test_numpy_stays_at_the_major_version_that_caffe_was_built_for(tmp_path):
    """pip installs no package with this one that wants a later numpy, whatever numpy was there when it was built."""
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    requirements = (tmp_path / "caffe_losses.egg-info" / "requires.txt").read_text()
    for python, bound in (('< "3.11"', 2), ('>= "3.11"', 3)):
        assert f"[:python_version {python}]\nnumpy<{bound},>=1.13\n" in requirements
