# Everything here runs from a fresh clone on Debian 12 or 13: each target installs what it lacks.

MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Debian's own tools: a version manager's python3 further up on PATH breaks them.
export PATH := /usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL := C.UTF-8
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV
PYTHON := /usr/bin/python3

# How many tests run at once: each uses about one processor.
JOBS := $(shell nproc)

VERSION := $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
DEB := build/aptkeep_$(VERSION)_all.deb
HOME_DEB := build/aptkeep-home_$(VERSION)_all.deb
# Make also works in a clone that belongs to somebody else, as a container's often does.
GIT := git -c 'safe.directory=*'
# What is or could be committed, so that what lies about in the tree is never packaged.
LIST := $(GIT) ls-files --cached --others --exclude-standard --deduplicate
PACKAGED := debian docs/aptkeep.8 docs/home.md hooks src pyproject.toml
SHELL_SCRIPTS := .ci/run .ci/prepare $(wildcard debian/*.postrm debian/*.postinst debian/*.prerm \
	debian/*.preinst debian/*.bash-completion debian/tests/cycle) \
	$(wildcard hooks/home/usr/share/aptkeep-home/*.s[hi]*) \
	hooks/home/bash.bashrc hooks/home/etc/profile.d/aptkeep-home.sh
# Which policy is the newest depends on how old lintian is: bookworm's has not heard of 4.7.2.
LINTIAN := lintian --allow-root --display-info --pedantic --display-experimental --fail-on none \
	--suppress-tags newer-standards-version,out-of-date-standards-version
# Fails where a command says anything: man only warns, and lintian's --fail-on counts tags that
# are suppressed.
silently = @echo "$(1)"; output=$$($(1)) && [ -z "$$output" ] || { printf '%s\n' "$$output" >&2; exit 1; }

.PHONY: help
help: ## say what there is
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

.PHONY: demo
demo: $(DEB) ## see packages survive the loss of a root file system (as root)
	@.ci/prepare testbed
	@APTKEEP_DEB=$(abspath $(DEB)) $(PYTHON) tests/demo.py

.PHONY: test
test: lint $(DEB) ## check everything: lint and all tests (as root)
	@.ci/prepare build testbed
	@APTKEEP_DEB=$(abspath $(DEB)) APTKEEP_HOME_DEB=$(abspath $(HOME_DEB)) APTKEEP_TESTBED_REQUIRED=1 $(PYTHON) -m pytest --durations=10 \
		--numprocesses=$(JOBS) --dist=loadgroup $(PYTEST_ARGS)

.PHONY: unit
unit: ## run the tests that need no root
	@.ci/prepare build
	@$(PYTHON) -m pytest tests/unit $(PYTEST_ARGS)

.PHONY: lint
lint: lint-versions lint-style lint-types lint-shell lint-man lint-deb ## check without running it (make -k: all of it)

.PHONY: lint-versions
lint-versions:
	@grep -qxF '__version__ = "$(VERSION)"' src/aptkeep/__init__.py || \
		{ echo 'debian/changelog is at $(VERSION), src/aptkeep/__init__.py is not' >&2; exit 1; }

.PHONY: lint-style
lint-style:
	@.ci/prepare lint
	build/tools/bin/ruff check
	build/tools/bin/ruff format --check

# The Build-Depends, too: what is imported is looked into.
.PHONY: lint-types
lint-types:
	@.ci/prepare build lint
	build/tools/bin/python -m mypy

.PHONY: lint-shell
lint-shell:
	@.ci/prepare lint
	shellcheck $(SHELL_SCRIPTS)

.PHONY: lint-man
lint-man:
	@.ci/prepare lint
	mandoc -T lint -W warning docs/aptkeep.8
	$(call silently,man --warnings --local-file docs/aptkeep.8 2>&1 >/dev/null)

.PHONY: lint-deb
lint-deb: $(DEB)
	@.ci/prepare lint
	$(call silently,$(LINTIAN) build/package/aptkeep_$(VERSION)_*.changes 2>&1)

.PHONY: deb
deb: $(DEB) ## build the packages
	@printf '%s\n' $(DEB) $(HOME_DEB)

# In a clean copy, which keeps the tree clean, too.  (git also lists what was deleted but not yet
# committed, hence the look at each.)  One build at a time, and a .deb is whole or not there; the
# second one comes first, so that it's there where $(DEB) is.  The unit tests, which a plain
# dpkg-buildpackage runs, have a target of their own.
SOURCES := $(wildcard $(shell $(LIST) -- $(PACKAGED)))
$(DEB): $(SOURCES) $(sort $(dir $(filter-out pyproject.toml,$(SOURCES))))
	@.ci/prepare build
	@exec 9>build/lock && flock 9 && \
		echo 'building $@' && \
		rm -rf build/package && mkdir -p build/package/aptkeep && \
		$(LIST) | while IFS= read -r file; do [ ! -e "$$file" ] || echo "$$file"; done | \
		tar --create --files-from - | tar --extract --directory build/package/aptkeep && \
		cd build/package/aptkeep && { \
			env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS DEB_BUILD_OPTIONS=nocheck \
			dpkg-buildpackage -us -uc </dev/null >../build.log 2>&1 || \
			{ tail -n 60 ../build.log >&2; exit 1; }; } && \
		for deb in $(abspath $(HOME_DEB) $@); do \
			cp "../$${deb##*/}" "$$deb.new" && mv "$$deb.new" "$$deb"; done

.PHONY: clean
clean: ## remove what was built (the cache of roots and tools stays)
	rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis
