#!/usr/bin/env bash
# Compares openapi.yaml in the current folder with what it was at a git revision: prints what has changed, and fails when a change breaks
# clients and the major number of info.version is the same. Without a revision it takes the newest tag, or, where there is none, the
# version of the document before this one.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
base=${1:-}

# previous prints the commit that had the document before it became what it is now.
previous() {
  local skip=1
  git diff --quiet HEAD -- openapi.yaml || skip=0 # what is not committed counts as a change
  git log --format=%H --skip="$skip" --max-count=1 -- openapi.yaml
}

[ -n "$base" ] || base=$(git describe --tags --abbrev=0 2>/dev/null || true)
[ -n "$base" ] || base=$(previous)
if [ -z "$base" ]; then
  echo "There is no earlier version of openapi.yaml in this clone to compare with."
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git show "$base:openapi.yaml" > "$work/base.yaml"
cp openapi.yaml "$work/revision.yaml"
# severity.txt has what breaks clients of this server, and is a warning only elsewhere: bodies are closed, so that what is not known any
# more is refused.
oasdiff() { (cd "$here" && go tool oasdiff "$@" --severity-levels severity.txt "$work/base.yaml" "$work/revision.yaml"); }
major() { sed -n 's/^  version: *"\{0,1\}\([0-9]*\)\..*/\1/p' "$1" | head -n 1; }

echo "openapi.yaml since $(git describe --tags --always "$base"):"
oasdiff changelog | sed "s| at $work/revision.yaml||"
if oasdiff breaking --fail-on ERR > "$work/breaks"; then
  echo "Nothing breaks a client."
elif [ "$(major "$work/revision.yaml")" -gt "$(major "$work/base.yaml")" ]; then
  echo "It breaks clients, and says so: info.version has a new major number."
else
  sed "s| at $work/revision.yaml||" "$work/breaks"
  echo "This breaks clients. Take it back, or give info.version in openapi.yaml a new major number."
  exit 1
fi
