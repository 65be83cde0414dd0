# Inferward: `make help` lists what can be made.
#
# Every goal does the set-up it needs; a set-up that is there costs a look.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON := .venv/bin/python
PREFIX ?= /usr
LIBDIR := $(PREFIX)/lib/inferward
# Empty: every kernel of the matrix; 5.10, 6.1, 6.12, newest or native: that one.
KERNEL ?=
# Options and parts of the benchmark, and how long the soak lasts.
BENCH ?=
SECONDS := 3600
EVAL ?=
# Directories of recordings that the attack prior is learnt from.
RECORDINGS ?= recordings

CLANG ?= clang
LLVM_STRIP ?= llvm-strip
BPFTOOL := $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
# A hook's parameters are the kernel's choice: not all are used.
BPF_CFLAGS := -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror -target bpf -D__TARGET_ARCH_x86 -I probes
# The part that needs atomic exchange. The others stay as every kernel of the matrix has verified them.
build/bpf/grams.o: BPF_CPU := -mcpu=v3
# By itself: loaded only where a workload uses a GPU.
BPF_CUDA := probes/cuda.bpf.o
BPF_SOURCES := $(filter-out probes/cuda.bpf.c,$(wildcard probes/*.bpf.c))
BPF_PARTS := $(BPF_SOURCES:probes/%.bpf.c=build/bpf/%.o)
BPF_OBJECT := probes/inferward.bpf.o
# For kernels before 6.2: one part differs, see there.
BPF_UNTYPED := probes/inferward-untyped.bpf.o
UNTYPED_PARTS := $(BPF_PARTS:build/bpf/file_classes.o=build/bpf/file_classes.untyped.o)
C_FILES := $(filter-out probes/vmlinux.h,$(wildcard probes/*.c probes/*.h))

.PHONY: help setup demo-setup bench-setup vm-setup build test lint format demo bench soak drills gpu-test eval prior vm-test install \
	uninstall lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: ## packages, .venv, bpffs and tracefs (root; quick when all is there)
	@packaging/setup.sh base

demo-setup: setup ## the demo model server's own environment
	@packaging/setup.sh demo

bench-setup: demo-setup ## three more model servers: Triton, llama.cpp and TorchServe
	@packaging/setup.sh bench

vm-setup: setup
	@packaging/setup.sh vm

build: setup $(BPF_OBJECT) $(BPF_UNTYPED) $(BPF_CUDA) ## the eBPF objects

# The compiler itself lists which headers each part read, in build/bpf/*.d.
build/bpf/%.o: probes/%.bpf.c Makefile | setup
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) $(BPF_CPU) -MMD -MP -MT $@ -c $< -o $@

build/bpf/%.untyped.o: probes/%.bpf.c Makefile | setup
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -DUNTYPED_READS -MMD -MP -MT $@ -c $< -o $@

# Linked first, stripped last: DWARF goes, BTF (which carries the schema and CO-RE) stays.
$(BPF_UNTYPED): $(UNTYPED_PARTS)
$(BPF_OBJECT): $(BPF_PARTS)
$(BPF_CUDA): build/bpf/cuda.o
$(BPF_OBJECT) $(BPF_UNTYPED) $(BPF_CUDA):
	$(BPFTOOL) gen object $@.new $^
	$(LLVM_STRIP) -g $@.new
	mv $@.new $@

-include $(wildcard build/bpf/*.d)

# Where the other model servers cannot be had, their tests skip and say so.
test: build demo-setup ## every test this host can run
	-@packaging/setup.sh bench
	$(PYTHON) -m pytest

lint: setup ## ruff, mypy --strict, import-linter, clang-format
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	clang-format --dry-run -Werror $(C_FILES)

format: setup ## lay out Python and C
	.venv/bin/ruff check --fix-only --quiet .
	.venv/bin/ruff format .
	clang-format -i $(C_FILES)

demo: build demo-setup ## the main job, live: attack, verdict, freeze, release
	$(PYTHON) tests/demo/demo.py

# Without TorchServe or Triton the rest is measured, and the table says why they are not.
bench: build demo-setup ## what it costs, as a table (BENCH="--markdown serving": options, parts)
	-@packaging/setup.sh bench
	$(PYTHON) tests/bench/bench.py $(BENCH)

soak: build ## an hour at a hundred times the usual events (SECONDS=600: shorter)
	$(PYTHON) tests/bench/soak.py --seconds $(SECONDS)

drills: build ## every drill on a live server: about ten minutes
	$(PYTHON) -m pytest tests/drills

gpu-test: build ## what is seen of a GPU: over a driver built here, and on this host's where it has one
	$(PYTHON) -m pytest -rs -s tests/unit/collectors/gpu tests/host/test_gpu_hardware.py \
		tests/host/test_probes_cuda.py tests/host/test_probes_gpu_calls.py tests/host/test_cuda_real.py \
		tests/host/test_daemon_gpu.py tests/host/test_daemon_gpu_freeze.py

# Parts of it: EVAL="--server onnx --seconds 120 --drill shell"; EVAL="--from DIR": the page again.
eval: build demo-setup ## the judgement on real servers: drills, an hour of ordinary load each
	-@packaging/setup.sh bench
	$(PYTHON) tests/eval/eval.py $(EVAL)

prior: build ## the attack prior anew (RECORDINGS=DIR: of `agent drill run --record DIR`)
	$(PYTHON) -m agent.main eval prior $(RECORDINGS) --to agent/attack.prior

vm-test: build vm-setup ## programs and tests by kernel, one table (KERNEL=6.1: one of them)
	$(PYTHON) tests/vm/matrix.py $(KERNEL)

install: build ## into DESTDIR and PREFIX, with its own environment under lib/inferward
	packaging/install.sh "$(DESTDIR)" "$(PREFIX)"

uninstall: ## what install put there; configuration and state stay
	packaging/install.sh --remove "$(DESTDIR)" "$(PREFIX)"

lock: setup ## write packaging/locks/*.txt anew from pyproject.toml
	packaging/locks/lock.sh

clean: ## what make made, but not .venv and .cache
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f $(BPF_OBJECT) $(BPF_UNTYPED) $(BPF_CUDA)
	find . -path ./.venv -prune -o -path ./.cache -prune -o -name __pycache__ -print0 | xargs -0r rm -rf
