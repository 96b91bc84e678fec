# SPDX-License-Identifier: Apache-2.0
# Everything runs in .venv/, which the first call makes. Variables: PYTHON (the interpreter to make it with),
# ROS (jazzy or kilted, which has .venv-kilted/ of its own), EXTRAS (see setup.py), PYTEST_ARGS, RUN_ARGS,
# PYTHON310 (a Python 3.10, for `make oracles`), ROS_TOOLS_SOURCE (source trees, for `make ros-tools`).

PYTHON ?= $(firstword $(foreach p,python3.12 python3.11 python3.13 python3,$(shell $(p) -c 'print("$(p)")' 2>/dev/null)))
ROS ?= jazzy
EXTRAS ?= $(ROS_EXTRA),train,events,onnx,dev
PYTEST_ARGS ?=
RUN_ARGS ?= pencil
PYTHON310 ?=
ROS_TOOLS_SOURCE ?=

MSGS := interfaces/event_camera_msgs
ifeq ($(ROS),jazzy)
VENV := $(CURDIR)/.venv
ROS_EXTRA := ros
CONSTRAINTS := constraints.txt
MSGS_REQUIREMENTS := $(MSGS)/requirements-build.txt
else ifeq ($(ROS),kilted)
VENV := $(CURDIR)/.venv-kilted
ROS_EXTRA := ros-kilted
CONSTRAINTS := $(VENV)/constraints.txt
MSGS_REQUIREMENTS := $(MSGS)/requirements-build-kilted.txt
else
$(error ROS=$(ROS); give jazzy or kilted)
endif
BIN := $(VENV)/bin
# Bytecode is written when a module is first imported, which is quicker than for all of them at once.
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip
PIP_INSTALL := $(PIP) install -qq --no-compile
ORACLES := $(CURDIR)/.oracles
MSGS_FILES := $(shell find $(MSGS) -type f -not -name 'requirements-build*.txt')

# The system's ROS, if one is sourced, must not leak into the virtual environment.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH LD_LIBRARY_PATH
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE VIRTUAL_ENV
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
export ROS_DOMAIN_ID ?= 0
export MUJOCO_GL ?= egl

.DEFAULT_GOAL := help
.PHONY: help install run test test-all lint docs links notebooks format gallery bench dist oracles ros-tools clean

# Tests that measure real time have the machine to themselves, after the others, which share its cores. Status 5: none was
# selected, which PYTEST_ARGS may ask for in one of the two parts.
define TESTS
$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "$(1) and not alone" $(PYTEST_ARGS); shared=$$?; \
$(BIN)/python -m pytest -m "$(1) and alone" $(PYTEST_ARGS); alone=$$?; \
case $$shared,$$alone in 0,0|0,5|5,0) ;; *) exit 1 ;; esac
endef

help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed $(VENV)/.messages $(VENV)/.offscreen  ## make .venv with everything in it (the other goals do it as needed)
	@:

run:  ## balance a pole from events, in simulation (RUN_ARGS="pencil --help" for more)
	@$(MAKE) -s --no-print-directory -j3 $(VENV)/.messages $(VENV)/.offscreen $(VENV)/.kernels-network $(VENV)/.kernels-edges
	@$(BIN)/liquid-spike run $(RUN_ARGS)
	@printf '\nFor the commands below, first: . %s/bin/activate\n' "$(notdir $(VENV))"
	@$(BIN)/liquid-spike

test: install  ## the tests (PYTEST_ARGS="-k gate" for some; ROS=kilted on the other distribution)
	@$(call TESTS,not slow and not colcon and not ros_tools)

test-all: install  ## the long ones too: soaks, trainings, a colcon workspace
	@$(call TESTS,not ros_tools)

lint: $(VENV)/.installed  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/mypy

docs: $(VENV)/.installed  ## the documentation as a site, into docs/_build/html
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

links: $(VENV)/.installed  ## ask every site that the documentation links to (needs the network)
	@$(BIN)/python -m sphinx -W --keep-going -q -b linkcheck docs docs/_build/links

notebooks: install  ## run the tutorials as Jupyter notebooks, with outputs into docs/_build/notebooks (minutes)
	@$(BIN)/python docs/notebooks.py

format: $(VENV)/.installed  ## apply ruff's fixes
	@$(BIN)/ruff check --fix .

gallery: install  ## a moving picture of each robot into docs/gallery
	@$(BIN)/python docs/gallery/make.py

bench: install  ## time us and the peers side by side
	@$(BIN)/python -m pytest test/benchmarks --benchmark-enable --benchmark-only $(PYTEST_ARGS)

dist:  ## a wheel, and what it needs with licences (SBOM), into dist
	@rm -rf dist build && $(PYTHON) -m venv dist/tools && $(PYTHON) -m venv dist/alone
	@dist/tools/bin/python -m pip install -qq --constraint constraints.txt build cyclonedx-bom
	@dist/tools/bin/python -m build --outdir dist . >/dev/null
	@dist/alone/bin/python -m pip install -qq --no-compile --constraint constraints.txt dist/*.whl
	@dist/alone/bin/python -m pip uninstall -qq --yes setuptools pip
	@dist/tools/bin/cyclonedx-py environment --output-reproducible --output-file dist/sbom.cdx.json dist/alone/bin/python
	@$(PYTHON) release/licences.py dist/sbom.cdx.json > dist/licences.md
	@rm -rf dist/tools dist/alone && ls dist

oracles: $(ORACLES)/nengo_loihi/.installed $(ORACLES)/brian2_loihi/.installed  ## other people's simulators of Loihi, to compare with: .oracles
	@python="$(PYTHON310)"; \
	test -n "$$python" || python=$$(python3.10 -c 'import sys; print(sys.executable)' 2>/dev/null) || \
	  python=$$(PYENV_VERSION=$$(pyenv versions --bare 2>/dev/null | grep '^3\.10\.' | tail -n 1) \
	    pyenv which python3.10 2>/dev/null) || true; \
	if test -n "$$python"; then $(MAKE) -s --no-print-directory $(ORACLES)/lava/.installed PYTHON310="$$python"; \
	else echo "skipped lava: it needs Python 3.10, and neither the PATH nor pyenv has one;" \
	  "make oracles PYTHON310=/path/to/python3.10"; fi

ros-tools: install  ## ros2 launch, lifecycle and param, built from their sources (ROS_TOOLS_SOURCE=FOLDER): .ros-tools
	@test -n "$(ROS_TOOLS_SOURCE)" || { echo "error: give ROS_TOOLS_SOURCE=FOLDER with launch, launch_ros, ros2cli," \
	  "rosidl_runtime_py, rcl_interfaces and osrf_pycommon (github.com/ros2 and osrf, branch $(ROS));" \
	  "a system ROS has them: apt install ros-$(ROS)-ros2launch ros-$(ROS)-ros2cli" >&2; exit 1; }
	@$(BIN)/python ros_tools/build.py "$(ROS_TOOLS_SOURCE)" $(CURDIR)/.ros-tools

clean:  ## remove .venv and all that was built
	rm -rf .venv .venv-kilted .oracles .ros-tools build install log dist docs/_build docs/_generated *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the virtual environment, in steps that are repeated only when their inputs change ----

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "error: no python3.11, 3.12 or 3.13 found; install one (apt: python3-dev" \
	  "python3-venv) or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  sys.exit(None if (3, 11) <= v <= (3, 13) else \
	  f"error: $(PYTHON) is Python {v[0]}.{v[1]}; needed is 3.11 to 3.13: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import os, sys, sysconfig; p = sysconfig.get_path("include"); \
	  sys.exit(None if os.path.exists(p + "/Python.h") else \
	  f"error: {p}/Python.h is missing; install the headers of $(PYTHON) (apt: python3-dev)")'
	@test "$$(uname -sm)" = "Linux x86_64" || { echo "error: the ROS wheels are for Linux on x86-64 only; elsewhere" \
	  "use a system ROS, see docs/installation.md" >&2; exit 1; }
	@command -v c++ >/dev/null || { echo "error: no C++ compiler; sudo apt install g++" >&2; exit 1; }
	@echo "[1] making $(notdir $(VENV)) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -f $@; echo "error: sudo apt install python3-venv" >&2; exit 1; }

# The libraries are those of constraints.txt on either distribution; only ROS itself has other versions.
$(CURDIR)/.venv-kilted/constraints.txt: constraints.txt constraints-kilted.txt | $(VENV)/pyvenv.cfg
	@grep -v '^ros-' constraints.txt | cat - constraints-kilted.txt > $@

# `make run` needs this package and ROS 2, without torch, onnx and the tests' tools; the kernels are compiled while ROS is
# being installed. A mujoco-core that is there without a mujoco of its version shares mujoco's folder: both make way.
$(VENV)/.package: setup.py setup.cfg $(CONSTRAINTS) | $(VENV)/pyvenv.cfg
	@echo "[2] installing this package, at the versions of $(notdir $(CONSTRAINTS))"
	@! test -d $(VENV)/lib/python3*/site-packages/mujoco_core-*.dist-info || \
	  $(PIP) uninstall -qq --yes mujoco mujoco-core mujoco-studio 2>/dev/null
	@$(PIP_INSTALL) --constraint $(CONSTRAINTS) setuptools wheel
	@$(PIP_INSTALL) --constraint $(CONSTRAINTS) --no-build-isolation --editable .
	@touch $@

$(VENV)/.ros: $(VENV)/.package $(MSGS_REQUIREMENTS)
	@echo "[3] installing ROS 2"
	@$(PIP_INSTALL) --constraint $(CONSTRAINTS) 'liquid_spike_control[$(ROS_EXTRA)]' --requirement $(MSGS_REQUIREMENTS)
	@touch $@

$(VENV)/.installed: $(VENV)/.ros
	@echo "[+] installing $(EXTRAS) (minutes the first time)"
	@$(PIP_INSTALL) --constraint $(CONSTRAINTS) 'liquid_spike_control[$(EXTRAS)]'
	@touch $@

$(VENV)/.messages: $(MSGS_FILES) | $(VENV)/.ros
	@echo "[4] building event_camera_msgs"
	@AMENT_PREFIX_PATH=$(VENV) CMAKE_PREFIX_PATH=$(VENV) PATH=$(BIN):$$PATH \
	  $(PIP_INSTALL) --no-build-isolation --no-deps --force-reinstall ./$(MSGS)
	@touch $@

# A hint only: a kernel that is missing here is compiled where it is first used.
$(VENV)/.kernels-%: | $(VENV)/.package
	@echo "[3] compiling kernels: $*"
	@$(BIN)/python -m liquid_spike_control.nodes.doctor.probes $* >/dev/null || true
	@touch $@

$(VENV)/.offscreen: | $(VENV)/.package
	@$(BIN)/python -c 'import mujoco; mujoco.GLContext(8, 8).make_current()' >/dev/null 2>&1 || { \
	  echo "error: MuJoCo cannot render off-screen with MUJOCO_GL=$(MUJOCO_GL)." \
	    "sudo apt install libegl1 libgl1-mesa-dri libopengl0" >&2; exit 1; }
	@touch $@

# ---- the oracles, each in a virtual environment of its own ----

$(ORACLES)/lava/.installed: ORACLE_PYTHON = $(PYTHON310)
$(ORACLES)/%/.installed: ORACLE_PYTHON ?= $(BIN)/python
$(ORACLES)/%/.installed: oracles/%.txt | $(VENV)/pyvenv.cfg
	@$(ORACLE_PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  sys.exit(None if "$*" != "lava" or v == (3, 10) else \
	  f"error: $(ORACLE_PYTHON) is Python {v[0]}.{v[1]}; lava needs 3.10: make oracles PYTHON310=/path/to/python3.10")'
	@echo "installing $* with $$($(ORACLE_PYTHON) --version)"
	@rm -rf $(ORACLES)/$*
	@$(ORACLE_PYTHON) -m venv $(ORACLES)/$*
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(ORACLES)/$*/bin/python -m pip install -qq --requirement $<
	@touch $@
