# make            .venv, a complete Caffe with this package in it
# make example    train and compare both losses on the Yeast benchmark
# make emoji      hashtags from pictures: three losses, with and without resampling (3 minutes)
# make test-fast  the tests that start no process and train nothing: under a minute, after each edit
# make test       all tests, on real Caffe: under five minutes on two cores
# make test-hosts  training on two hosts, which are network namespaces: as root
# make kill-test  50 random kills of a running training
# make test-oldest  the tests without Caffe on OLDEST, a Python 3.6, with the oldest numpy admitted
# make test-asan  the kernels under the address and undefined-behaviour sanitizers
# make truth      compares the losses with PyTorch (which it installs)
# make fuzz       FUZZ random cases, 100,000 if not said otherwise
# make bench      times the losses against Caffe's C++ layers and others; bench-check: against the last bench
# make bench-compilers  compiles, compares and times the kernels with other compilers, in bare systems: as root
# make bench-images  times MultiLabelImageData against ImageData of a Caffe with OpenCV, which it builds
# make bench-parallel  times training on several ranks, on two hosts too: as root
# make converters  runs deploy nets in OpenCV, MNN and onnxruntime (which it installs), and compares: half an hour
# make gpu-proof  on a machine with an NVIDIA GPU: what runs on it, compared with the CPU; builds Caffe for it first
# make lint       ruff, the types of what the package offers, which room imports which, and house rules
# make docker-check  builds the CPU image with docker, buildah or podman, and runs in it what it is for
recipe := docker/install-caffe $(wildcard docker/*.txt docker/*.cpp docker/*.cmake)
run := .venv/bin/

all: .venv/package-installed

# The marks are made after their step has ended: an interrupted build is never taken for a finished one.
.venv/caffe-installed: $(recipe)
	docker/install-caffe .venv
	@touch $@

.venv/package-installed: setup.py $(wildcard caffe_losses/kernels/*.[ch]) caffe_losses/kernels/build.py .venv/caffe-installed
	$(run)pip install -q --disable-pip-version-check -e '.[all]'
	@touch $@

example: all
	@$(run)python examples/yeast/run.py

emoji: all
	@$(run)python examples/emoji/run.py

# worksteal leaves the tests of a file, and what they share, on one process.
test-fast: all
	$(run)pytest -q -n auto --dist worksteal -m "not slow"

test: all .venv/mpi-installed
	$(run)pytest -q -n auto --dist worksteal

# Open MPI's mpirun, for the tests on several processes: apart from docker/packages.txt, as Caffe does not need it.
.venv/mpi-installed: .venv/package-installed
	@command -v mpirun >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends openmpi-bin >/dev/null; } || \
	  { echo "make: mpirun is missing; install it and call again: sudo apt-get install -y openmpi-bin" >&2; exit 1; }
	@touch $@

test-hosts: all .venv/mpi-installed
	$(run)python tests/hosts.py

kill-test: all .venv/mpi-installed
	GLOG_minloglevel=2 $(run)python tests/kills.py 50

OLDEST ?= python3.6
test-oldest:
	$(OLDEST) -m venv build/oldest
	build/oldest/bin/pip install -q -r tests/oldest.txt
	PYTHONPATH=. build/oldest/bin/python -m caffe_losses.kernels
	PYTHONPATH=. build/oldest/bin/python -m pytest -q tests/test_losses*.py tests/test_options.py tests/test_kernels.py

# In a copy, as the library is compiled anew with the sanitizers. Python itself leaks on purpose.
test-asan: all
	rm -rf build/asan && mkdir -p build/asan && cp -r caffe_losses tests pyproject.toml build/asan
	cd build/asan && CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -g -O1 -UNDEBUG" ../../$(run)python -m caffe_losses.kernels
	cd build/asan && LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 ../../$(run)python -m pytest -q tests/test_kernels.py

truth: all
	$(run)pip install -q --disable-pip-version-check -e '.[truth]'
	$(run)pytest -q tests/torch_truth.py

FUZZ ?= 100000
fuzz: all
	FUZZ=$(FUZZ) $(run)pytest -q --hypothesis-show-statistics tests/test_fuzz*.py

bench: all
	$(run)python benchmarks/bench.py

bench-check: all
	$(run)python benchmarks/bench.py --check

bench-compilers: all
	$(run)python benchmarks/compilers.py

bench-images: all
	CAFFE_BUILD=build/opencv docker/install-caffe build/opencv/venv -DOPENCV=ON
	build/opencv/venv/bin/pip install -q --disable-pip-version-check -e '.[data]'
	build/opencv/venv/bin/python benchmarks/images.py

bench-parallel: all .venv/mpi-installed
	$(run)python benchmarks/parallel.py

converters: all
	python3 -m venv build/converters
	build/converters/bin/pip install -q --disable-pip-version-check --no-deps -r tests/converters.txt
	GLOG_minloglevel=2 $(run)python tests/converters.py

gpu-proof:
	docker/gpu-proof

lint: all
	$(run)ruff check .
	$(run)ruff format --check .
	$(run)mypy
	$(run)lint-imports --no-cache
	$(run)python tests/house_rules.py

docker-check:
	docker/prove

clean:
	rm -rf build .venv

.PHONY: all example emoji test-fast test test-hosts kill-test test-oldest test-asan truth fuzz bench bench-check \
  bench-compilers bench-images bench-parallel converters gpu-proof lint docker-check clean
