#!/usr/bin/env bash
# Writes the lock files from pyproject.toml and the .in files, with every hash PyPI lists.
#
# The environment's and the user's pip settings are kept out, so that a lock says
# what plain PyPI serves; pins already in a lock stay unless --upgrade is given.
set -euo pipefail
cd "$(dirname "$0")/../.."

compile() {
	env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_CONSTRAINT \
		PIP_CONFIG_FILE=/dev/null CUSTOM_COMPILE_COMMAND='make lock' \
		.venv/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host "$@"
}

# dev first: the smaller sets take its versions, so that what is tested is what is installed.
compile --extra central --extra signing --extra dev --output-file packaging/locks/dev.txt "$@" pyproject.toml
for name in runtime central; do
	extra=()
	[ "$name" = runtime ] || extra=(--extra "$name")
	cp packaging/locks/dev.txt "packaging/locks/$name.txt"
	compile "${extra[@]}" --output-file "packaging/locks/$name.txt" pyproject.toml
done
for name in demo triton torchserve llamacpp; do
	compile --output-file "packaging/locks/$name.txt" "$@" "packaging/locks/$name.in"
done
