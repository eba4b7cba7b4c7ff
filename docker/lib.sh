# shellcheck shell=bash
# Shared by the scripts of this directory: where things are kept, progress lines, small checks.
# Sourced, never run: the including script has already set `set -euo pipefail`.

# The project's top directory, and the folder for everything fetched or generated (git-ignored).
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${BULKHEAD_CACHE:-$ROOT/.cache}
mkdir -p "$CACHE"
CACHE=$(cd "$CACHE" && pwd)

# Progress goes to stderr, so that a script's stdout stays usable by another script.
say() { printf '%s\n' "$*" >&2; }
step() { printf '== %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# need_value OPTION COUNT: the option is followed by a value ($# of the caller is COUNT).
need_value() { [[ $2 -ge 2 ]] || die "$1 needs a value (see --help)"; }

# port_in_use PORT: something answers on 127.0.0.1:PORT.
port_in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# is_running PID NAME: the process lives, and its command line mentions NAME (a pid file may be stale).
is_running() {
    [[ -n $1 ]] && kill -0 "$1" 2>/dev/null || return 1
    [[ ! -r /proc/$1/cmdline ]] || tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF -- "$2"
}

# random_password: 24 letters and digits from the kernel's random source.
random_password() {
    local bytes
    bytes=$(head -c 512 /dev/urandom | LC_ALL=C tr -dc 'A-Za-z0-9')
    printf '%s' "${bytes:0:24}"
}
