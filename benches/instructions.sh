#!/usr/bin/env bash
# Instructions and allocations per statement of the one-shard path, counted by callgrind in the release build.
# A number that hardly depends on how busy the machine is: what a change of the path is compared by.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/run.sh" --scenario instructions --systems direct "$@"
