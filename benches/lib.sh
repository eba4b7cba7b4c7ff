# shellcheck shell=bash
# Shared by the benchmarks' scripts: what they install and build. Sourced behind docker/lib.sh, never run.

# Where Cargo puts things.
target=${CARGO_TARGET_DIR:-$ROOT/target}

# build_bulkhead FOLDER: Bulkhead as it is released, copied to FOLDER/bin: building benches or tests later
# puts another one, with the test packages' features, in its place.
build_bulkhead() {
    step "building Bulkhead (release; not part of the measured time)"
    cargo build --release --locked --bin bulkhead
    mkdir -p "$1/bin"
    cp "$target/release/bulkhead" "$1/bin/bulkhead"
}

# build_harness: all programs of the benchmarks' own crate.
build_harness() {
    step "building the harness"
    CARGO_TARGET_DIR=$target/compare cargo build --release --locked --manifest-path benches/compare/Cargo.toml
}

# help_if_asked PROGRAM ARGUMENT…: help needs nothing but the harness.
help_if_asked() {
    local program=$1 argument
    shift
    for argument in "$@"; do
        [[ $argument != --help && $argument != -h ]] ||
            exec env CARGO_TARGET_DIR="$target/compare" cargo run --release --locked --quiet \
                --manifest-path benches/compare/Cargo.toml --bin "$program" -- --help
    done
}

# install_missing PROGRAM[=PACKAGE]…: Debian packages of the programs that are not there; a package has its
# program's name unless it is given.
install_missing() {
    local wanted missing=()
    for wanted in "$@"; do
        PATH=$PATH:/usr/sbin command -v "${wanted%%=*}" >/dev/null || missing+=("${wanted##*=}")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
        die "not installed: ${missing[*]}; on Debian: sudo apt-get install ${missing[*]}"
    fi
    step "installing ${missing[*]}"
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}
