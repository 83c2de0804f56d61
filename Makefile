# All set-up happens in packaging/bootstrap.py, which also works without make (Windows).
PYTHON ?= python3

.PHONY: run test gpu-test real clients check bench engine setup

run:      ## open the window (without a display: the demo)
	@$(PYTHON) packaging/bootstrap.py run

test:     ## the whole test suite
	@$(PYTHON) packaging/bootstrap.py test

gpu-test: ## the GPU's tests on Mesa's software device, which is built once (12 min, outside of the checkout)
	@$(PYTHON) packaging/bootstrap.py gpu-test

real:     ## tests on more real models, tokenizers and templates (700 MB, once), and the long ones
	@$(PYTHON) packaging/bootstrap.py real

clients:  ## other programs' clients, installed and driven against the port; or CLIENTS="openai ollama"
	@$(PYTHON) packaging/bootstrap.py clients $(CLIENTS)

check:    ## lint, format, types, import contracts, tests
	@$(PYTHON) packaging/bootstrap.py check

bench:    ## what your models do on this machine, a page each; or MODEL=an id or a GGUF file
	@$(PYTHON) packaging/bootstrap.py bench $(if $(MODEL),"$(MODEL)")

engine:   ## build llama.cpp anew with our flags (CMAKE_ARGS="-DGGML_CUDA=on" for CUDA)
	@$(PYTHON) packaging/bootstrap.py engine

setup:    ## only what the others do first
	@$(PYTHON) packaging/bootstrap.py setup
