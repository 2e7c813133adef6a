# Shared by the Makefiles that `sam build` runs (BuildMethod: makefile), for functions and layers alike.
#
#   RUNTIME   the functions' runtime, as in the template's parameter PythonRuntime
#   PYTHON    an interpreter of that version: wheels are chosen and bytecode is cached for it
#   ARCH      the functions' processor, as in the template's parameter Architecture
RUNTIME ?= python3.13
PYTHON ?= $(RUNTIME)
ARCH ?= arm64

# Bytecode is shipped: Lambda's disk is read-only, and an import without it costs more than twice as much. The hash is
# unchecked because a zip does not keep the times that Python would otherwise compare.
define compile
	find "$(1)" -name __pycache__ -prune -exec rm -rf {} +
	"$(PYTHON)" -m compileall -q --invalidation-mode unchecked-hash "$(1)"
endef

define require_python
	"$(PYTHON)" -c 'import sys; have = "python%d.%d" % sys.version_info[:2]; sys.exit(0 if have == "$(RUNTIME)" else \
	"the functions run on $(RUNTIME), PYTHON is " + have + ": pass PYTHON=, or another RUNTIME and PythonRuntime")'
endef
