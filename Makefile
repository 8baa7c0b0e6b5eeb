# make            .venv, a complete Caffe with this package in it
# make example    train and compare both losses on the Yeast benchmark
# make test       the tests, on real Caffe
# make lint       ruff
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
	$(run)pytest -q

lint: all
	$(run)ruff check .
	$(run)ruff format --check .

clean:
	rm -rf build .venv

.PHONY: all example test lint clean
