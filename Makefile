# Everything a checkout needs is made by its targets; see `make help`.

PYTHON := .venv/bin/python

# Containers often forbid it; but what is tested is started hundreds of times, and would be compiled each time.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv peers test lint fmt lab lab-libvirt bench fuzz soak clean

help:
	@echo 'make test           lint, types, all tests; prints what was skipped and why'
	@echo 'make lab ARGS=-j    run the agent against a switch in private network namespaces'
	@echo 'make lab-libvirt    guests of the real libvirt, with evbagent in the place of lldpad (as root)'
	@echo 'make bench ONLY=N   measure against other agents, all or one of them; writes build/bench.json'
	@echo 'make fuzz           bad input for every decoder and door, for five minutes; ARGS=--seconds=N'
	@echo 'make soak           days of random faults in four minutes; ARGS="--seconds=N --seed=N", ARGS=--real for real'
	@echo 'make lint fmt       check, and repair, what ruff and mypy see'
	@echo 'make venv peers     what the others need: .venv, and (as root) the Debian packages of real peers'
	@echo 'make clean          remove what these made in this directory'

venv:
	@tests/setup-venv.sh

peers:
	@tests/setup-peers.sh

# The first run of pytest takes in what is slow, too; the second is of real interfaces and real peers, in namespaces.
# These live by the clock: what fails beside others, on a machine that is out of breath, must hold by itself.
test: venv peers lint
	$(PYTHON) -m pytest -rs -m 'not system'
	$(PYTHON) -m pytest -rs -m system || \
		{ [ $$? -eq 1 ] && echo 'Those that failed, once more, one at a time:' && \
		$(PYTHON) -m pytest -rs -m system -n 0 --last-failed --last-failed-no-failures none; }

lint: venv
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

fmt: venv
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

lab: venv peers
	.venv/bin/evbagent lab $(ARGS)

lab-libvirt: venv peers
	$(PYTHON) -m tests.labqbg

bench: venv peers
	$(PYTHON) -m tests.bench.run $(ONLY)

fuzz: venv
	@$(PYTHON) -c 'import atheris' 2>/dev/null || $(PYTHON) -m pip install --quiet --disable-pip-version-check 'atheris>=2.3'
	$(PYTHON) -m tests.fuzz.run $(ARGS)

soak: venv
	$(PYTHON) -m tests.soak.run $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find evbagent protocols tests -name __pycache__ -type d -prune -exec rm -rf {} +
