# make            .venv, a complete Caffe with this package in it
# make example    train and compare both losses on the Yeast benchmark
# make test       the tests, on real Caffe
# make test-oldest  the tests without Caffe on OLDEST, a Python 3.6, with the oldest numpy admitted
# make truth      compares the losses with PyTorch (which it installs)
# make fuzz       FUZZ random cases, 100,000 if not said otherwise
# make bench      times the losses against Caffe's C++ layers and others; bench-check: against the last bench
# make lint       ruff
# make docker-check  builds the CPU image with docker, buildah or podman, and runs in it what it is for
recipe := docker/install-caffe $(wildcard docker/*.txt docker/*.cpp)
run := .venv/bin/

all: .venv/package-installed

# The marks are made after their step has ended: an interrupted build is never taken for a finished one.
.venv/caffe-installed: $(recipe)
	docker/install-caffe .venv
	@touch $@

.venv/package-installed: setup.py .venv/caffe-installed
	$(run)pip install -q --disable-pip-version-check -e '.[all]'
	@touch $@

example: all
	@$(run)python examples/yeast/run.py

test: all
	$(run)pytest -q -n auto

OLDEST ?= python3.6
test-oldest:
	$(OLDEST) -m venv build/oldest
	build/oldest/bin/pip install -q -r tests/oldest.txt
	PYTHONPATH=. build/oldest/bin/python -m pytest -q tests/test_losses.py tests/test_params.py tests/test_blocks.py

truth: all
	$(run)pip install -q --disable-pip-version-check -e '.[truth]'
	$(run)pytest -q tests/torch_truth.py

FUZZ ?= 100000
fuzz: all
	FUZZ=$(FUZZ) $(run)pytest -q --hypothesis-show-statistics tests/test_fuzz.py

bench: all
	$(run)python benchmarks/bench.py

bench-check: all
	$(run)python benchmarks/bench.py --check

lint: all
	$(run)ruff check .
	$(run)ruff format --check .

docker-check:
	docker/prove

clean:
	rm -rf build .venv

.PHONY: all example test test-oldest truth fuzz bench bench-check lint docker-check clean
