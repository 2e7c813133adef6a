# make run | test | e2e | check | bench | prove | deploy | lock | stop | clean     (GNU make 3.81 or later)
#
# Every target sets up what it needs first; that takes time once, and again when a lock in requirements/ changes.
PYTHON ?= python3
PORT ?= 8080
AWS_PORT ?= 4566
LOCAL ?= .local
export PORT AWS_PORT LOCAL

SETUP = $(PYTHON) -Es local/supported.py && $(PYTHON) -I local/setup.py
IN = .venv/bin/python -m
# A worker for each core, a file's tests in one: what a file shares (a server, a browser) is made once.
PARALLEL ?= -n auto --maxprocesses 4 --dist loadfile

.SILENT:
.NOTPARALLEL:
.PHONY: help run stop test e2e check bench bench-peers prove prove-setup deploy lock clean

help:
	echo "make run     the whole stack on this machine: PORT=8080 AWS_PORT=4566 LOCAL=.local;"
	echo "             MODEL_URL=http://127.0.0.1:PORT/v1 takes a model server of yours in place of the built-in model"
	echo "make stop    end the stack that runs from LOCAL"
	echo "make check   lint, types, architecture"
	echo "make test    check, then the unit, integration, template, privacy and contract suites"
	echo "make e2e     the end-to-end suite, against a stack of its own on free ports"
	echo "make bench   measure; writes .local/bench.json; RECORDS=50000 for a larger data subject than 5,000"
	echo "make bench-peers  the same chat through other gateways; BEDROCK_ACCESS_GATEWAY=DIR for one that is no package"
	echo "make prove   the long campaigns, thousands of cases each, and how many each tried: hours; PART=chat for one of"
	echo "             chat limits vault rights rest; CASES=10 tries a tenth"
	echo "make deploy  build and deploy to the AWS account of your profile: ENV=default|prod RUNTIME=python3.13"
	echo "make lock    renew requirements/*.txt (needs uv)"
	echo "make clean   remove what the targets above made"
	echo "PYTHON=python3.12 with any of them chooses the interpreter"

run:
	$(SETUP) dev sam stack runtime
	exec $(IN) local

stop:
	$(PYTHON) -Es local/supported.py && $(PYTHON) -m local.stop

check:
	$(SETUP) dev
	$(IN) ruff check --quiet
	$(IN) ruff format --check --quiet
	$(IN) mypy --no-error-summary
	.venv/bin/lint-imports --no-cache > .tools/logs/imports.log || { cat .tools/logs/imports.log; exit 1; }
	$(IN) pylint --score=n --recursive=y layers functions cli local

test: check
	$(SETUP) dev sam runtime layer clients
	$(IN) local.browser > /dev/null
	$(IN) pytest $(PARALLEL) tests/unit tests/integration tests/template tests/privacy tests/contract

e2e:
	$(SETUP) dev sam stack runtime clients
	$(IN) local.browser > /dev/null
	CHATAPI_LIVE=stack $(IN) pytest tests/e2e tests/contract/sdk

bench:
	$(SETUP) dev sam stack runtime
	$(IN) benchmarks

bench-peers:
	$(SETUP) dev runtime
	$(SETUP) peers || echo "the peers could not be installed: see the lines above"
	$(IN) benchmarks.peers

# A part's suites without a stack run on all cores, those on a stack (STACK_part) one after the other. `rest` is what no
# other part names, so that a new suite is in one.
PARTS = chat limits vault rights rest
chat = tests/unit/providers tests/unit/chat tests/unit/aws
limits = tests/unit/limits tests/unit/authorizer tests/unit/account
vault = tests/unit/vault tests/unit/store
rights = tests/unit/privacy tests/unit/certificates tests/unit/ledger tests/privacy
rest = $(filter-out $(chat) $(limits) $(vault) $(rights),$(wildcard tests/unit/[a-z]*))
STACK_chat = tests/contract/sdk
STACK_limits = tests/e2e/test_limits_race.py
STACK_rights = tests/e2e/test_late_writers.py tests/e2e/test_interrupted_erasure.py
PART ?= $(PARTS)
CASES ?= 100
CAMPAIGN = CHATAPI_CAMPAIGN=$(CASES) $(IN) pytest -p tests.support.counts --timeout 0

.PHONY: $(PARTS:%=prove-%)
prove: $(PART:%=prove-%)
prove-setup:
	$(SETUP) dev sam stack runtime layer clients
	$(IN) local.browser > /dev/null
$(PARTS:%=prove-%): prove-%: prove-setup
	$(CAMPAIGN) $(PARALLEL) $($*)
	$(if $(STACK_$*),$(CAMPAIGN) $(STACK_$*))

# The interpreter that builds must be of the functions' version: RUNTIME, as in the parameter PythonRuntime.
ENV ?= default
RUNTIME ?= python3.13
SAM = SAM_CLI_TELEMETRY=0 RUNTIME=$(RUNTIME) PYTHON=$(RUNTIME) .tools/sam/bin/sam
deploy:
	command -v $(RUNTIME) > /dev/null || { echo "make deploy needs $(RUNTIME) on this machine (or RUNTIME=)" >&2; exit 2; }
	$(SETUP) dev sam
	$(SAM) build --config-env $(ENV) $(BUILD)
	$(SAM) deploy --config-env $(ENV) $(DEPLOY)

LOCK = uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links
lock:
	command -v uv > /dev/null || { echo "make lock needs uv"; exit 2; }
	cd requirements && for name in layer runtime dev sam peers; do $(LOCK) $(UPGRADE) $$name.in -o $$name.txt > /dev/null || exit 1; done
	cd requirements && $(LOCK) $(UPGRADE) --overrides overrides.txt stack.in -o stack.txt > /dev/null
	cd requirements && $(LOCK) $(UPGRADE) --overrides clients-overrides.txt clients.in -o clients.txt > /dev/null

clean: stop
	rm -rf .venv .tools .aws-sam .local .mypy_cache .ruff_cache .import_linter_cache
