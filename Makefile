# Every target sets itself up in .venv: a machine needs only Python, pip and make.
# Another interpreter: make test PYTHON=python3.13 (.venv is made anew when it changes).

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lint bench bench-long peers clean interpreter

demo: $(VENV)/.installed
	$(VENV)/bin/whiteline demo

test: lint
	$(RUN) -m pytest -n auto --dist loadfile tests/unit
	$(RUN) -m pytest -n auto --dist load tests/plans
	$(RUN) tests/each_module.py tests/ioc

# The links tell mypy where the packages lie; they are made anew, as not every copy of a tree keeps links.
lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	@for one in analysis devices plans sim; do ln -sfn ../../$$one .typing/whiteline/$$one; done
	@ln -sfn ../../profile/beamline .typing/whiteline/beamline
	$(VENV)/bin/mypy
	PYTHONPATH= $(VENV)/bin/lint-imports

bench: $(VENV)/.installed-dev
	$(RUN) tests/benchmarks/run.py

bench-long: $(VENV)/.installed-dev
	$(RUN) tests/benchmarks/run.py --long

# What other packages make of the same data: an environment of their own, so that their pins touch nothing here.
peers: .venv-peers/.installed

.venv-peers/.installed: tests/benchmarks/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --requirement $<
	@touch $@

clean:
	rm -rf $(VENV) .venv-peers build dist out *.egg-info

# .venv/.interpreter names the Python that .venv was made with; it changes only when that one does.
interpreter:
	@wanted="$$($(PYTHON) -c 'import sys; print(sys.version.split()[0], sys.base_prefix)')" || exit 1; \
	if [ "$$(cat $(VENV)/.interpreter 2>/dev/null)" != "$$wanted" ]; then \
	    rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && echo "$$wanted" > $(VENV)/.interpreter; \
	fi

$(VENV)/.interpreter: interpreter ;

$(VENV)/.installed: $(VENV)/.interpreter pyproject.toml constraints.txt
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.interpreter pyproject.toml constraints.txt
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.installed
