# What people type most. Each line calls a script, which says more; PYTHON=... chooses the interpreter of .venv.
.PHONY: setup test test-fast docs lint

setup:      ## make .venv with everything the suite needs
	bash scripts/environment.sh requirements-test.txt

test:       ## the whole suite
	bash scripts/test.sh

test-fast:  ## every room, without what trains through a command
	bash scripts/test.sh -m "not slow"

docs:       ## build the site into site/
	bash scripts/docs.sh

lint:       ## the linter, the formatter and the type checker
	bash scripts/lint.sh
