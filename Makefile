# Needs Python 3.10 to 3.13 with venv, and make. Everything else is set up here.
PYTHON ?= python3
VENV ?= .venv
INSTALLED := $(VENV)/installed

.PHONY: quickstart test environment

quickstart: $(INSTALLED)
	$(VENV)/bin/pocketbert run quickstart

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m "not slow and not gpu" \
		--numprocesses auto --maxprocesses 4 --dist loadfile

environment: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --upgrade pip
	$(VENV)/bin/python -m pip install -c constraints.txt -e '.[all,dev]'
	touch $@
