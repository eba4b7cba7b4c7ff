#!/usr/bin/env bash
# Finds a MySQL or MariaDB server, or fetches one from Debian's packages into a private folder.
#
# Nothing is installed on the machine: the packages and all they depend on (the C library too) are
# downloaded with apt into .cache, unpacked with dpkg, and started through the prefix's own dynamic
# loader. That makes the same server run on any Debian or derivative, whatever its age.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

usage() {
    cat <<'EOF'
usage: docker/mysql/get.sh [--flavour mysql|mariadb] [--fetch]

Prints the prefix of a database server: a folder whose bin/ has mysqld, mysql, mysqladmin, mysqldump
(by these names for MariaDB too).

  --flavour F   mysql (default): MySQL 8.4 or later; mariadb: MariaDB 10.11 or later
  --fetch       do not look on PATH, always use Debian's packages

A server on PATH is used first. Otherwise MySQL 9 comes from Debian sid and MariaDB 10.11 from Debian 12,
about 55 MB, by the Debian mirror of this machine's apt sources.

environment:
  BULKHEAD_CACHE           where to keep it (default: .cache in the project)
  BULKHEAD_DEBIAN_MIRROR   a Debian mirror, when the machine's apt sources name none
EOF
}

flavour=mysql
fetch=no
while [[ $# -gt 0 ]]; do
    case $1 in
        --flavour) need_value "$1" $# && flavour=$2 && shift 2 ;;
        --fetch) fetch=yes && shift ;;
        -h | --help) usage && exit 0 ;;
        *) die "unknown option $1 (see --help)" ;;
    esac
done

# Per flavour: the Debian suite, the packages, and the oldest version that has what the clusters need
# (MySQL 8.4: RESET BINARY LOGS AND GTIDS, GET_SOURCE_PUBLIC_KEY under its present name).
case $flavour in
    mysql) suite=sid oldest=8.4 packages=(mysql-server-core mysql-client-core) ;;
    mariadb) suite=bookworm oldest=10.11 packages=(mariadb-server-core mariadb-client) ;;
    *) die "unknown flavour $flavour: mysql or mariadb" ;;
esac
prefix=$CACHE/server/$flavour
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# server_version BINARY: prints the version if the binary is a server of the wanted flavour.
server_version() {
    local line kind=mysql
    line=$("$1" --no-defaults --version 2>/dev/null) || return 1
    [[ $line == *MariaDB* ]] && kind=mariadb
    [[ $kind == "$flavour" ]] || return 1
    sed -nE 's/.* Ver ([0-9]+\.[0-9]+\.[0-9]+).*/\1/p' <<<"$line"
}

# is_at_least VERSION OLDEST
is_at_least() { [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]; }

# find_on_path NAME...: the first of the names on PATH or in the usual places outside a user's PATH.
find_on_path() {
    local name
    for name in "$@"; do
        PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/local/mysql/bin command -v "$name" && return 0
    done
    return 1
}

# program_name NAME: what the flavour calls this client program.
# MariaDB: mariadb, mariadb-admin, mariadb-dump.
program_name() {
    local name=$1
    [[ $flavour == mysql ]] || { name=mariadb-${1#mysql} && name=${name%-}; }
    printf '%s\n' "$name"
}

# use_installed: links an installed server's programs into the prefix. Fails if there is none that fits.
use_installed() {
    local server version name program
    server=$(find_on_path mysqld mariadbd) || return 1
    [[ $flavour == mariadb ]] && server=$(find_on_path mariadbd mysqld)
    version=$(server_version "$server") || return 1
    if ! is_at_least "$version" "$oldest"; then
        say "$server is $version; $flavour $oldest or later is needed, so another one is fetched"
        return 1
    fi
    rm -rf "$prefix" && mkdir -p "$prefix/bin"
    ln -s "$server" "$prefix/bin/mysqld"
    for name in mysql mysqladmin mysqldump; do
        program=$(find_on_path "$(program_name "$name")") || return 1
        ln -s "$program" "$prefix/bin/$name"
    done
    printf '%s installed %s\n' "$version" "$server" >"$prefix/ready"
}

# debian_mirror: the Debian mirror in this machine's apt sources (one-line and deb822 files).
debian_mirror() {
    local uri
    if [[ -n ${BULKHEAD_DEBIAN_MIRROR:-} ]]; then
        printf '%s\n' "$BULKHEAD_DEBIAN_MIRROR"
        return
    fi
    while read -r uri; do
        # A list of mirrors kept in a file, as cloud images have it.
        [[ $uri == mirror+file:* ]] &&
            uri=$(sed -nE 's/^([a-z]+:[^ \t#]+).*/\1/p' "${uri#mirror+file:}" | head -n 1)
        uri=${uri%/}
        [[ $uri == */debian ]] && printf '%s\n' "$uri" && return
    done < <(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
        sed -nE -e 's/^deb +(\[[^]]*\] +)?([^ ]+).*/\2/p' -e 's/^URIs: *([^ ]+).*/\1/p')
    return 1
}

no_apt() {
    die "no $flavour $oldest or later on PATH, and $1.
  Either install $flavour (the programs mysqld, mysql, mysqladmin, mysqldump on PATH),
  or use Docker: docker compose -f docker/compose.yaml up,
  or, where apt exists, name a Debian mirror in BULKHEAD_DEBIAN_MIRROR."
}

# write_apt_config DIR MIRROR: apt with its own sources, lists, cache and an (almost) empty list of installed
# packages, so that the closure is complete. Proxy and TLS settings of the machine still apply.
write_apt_config() {
    local dir=$1 package
    mkdir -p "$dir"/state/lists/partial "$dir"/cache/archives/partial
    printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$2" "$suite" >"$dir/sources.list"
    # Perl (20 MB) serves scripts that are not used here: declared as present.
    for package in perl libconfig-inifiles-perl debianutils; do
        printf '%s\n' "Package: $package" "Status: install ok installed" "Version: 99:1" \
            "Architecture: $(dpkg --print-architecture)" "Multi-Arch: allowed" "Maintainer: none" \
            "Description: declared, not present" ""
    done >"$dir/state/status"
    cat >"$dir/apt.conf" <<EOF
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$dir/state";
Dir::State::lists "$dir/state/lists";
Dir::State::status "$dir/state/status";
Dir::Cache "$dir/cache";
Dir::Cache::archives "$dir/cache/archives";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
APT::Sandbox::User "";
APT::Install-Recommends "false";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
Binary::apt::APT::Keep-Downloaded-Packages "true";
EOF
}

# shellcheck disable=SC2016  # $prefix is expanded by the wrapper, so that the folder may be moved
# write_wrapper NAME PROGRAM [FIXED OPTION...]: bin/NAME starts PROGRAM (a path below root/) by the loader.
# Options that must come first (--defaults-file, --no-defaults) stay first; without any, no option file is
# read.
write_wrapper() {
    local name=$1 program=$2
    shift 2
    cat >"$prefix/bin/$name" <<EOF
#!/usr/bin/env bash
# Starts $name of this prefix with the prefix's own C library. Written by docker/mysql/get.sh.
set -euo pipefail
prefix=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")
first=--no-defaults
case \${1:-} in --defaults-file=* | --defaults-extra-file=* | --no-defaults) first=\$1 && shift ;; esac
exec "\$prefix/$loader" \\
    --library-path "$(printf '$prefix/%s:' "${libraries[@]}")" \\
    "\$prefix/$program" "\$first" $* "\$@"
EOF
    chmod +x "$prefix/bin/$name"
}

# write_wrappers: finds the loader, the libraries and the programs in root/ and writes bin/.
write_wrappers() {
    local triplet share plugins program
    triplet=$(cd "$prefix/root/usr/lib" && printf '%s\n' *-linux-gnu* | head -n 1)
    loader=$(cd "$prefix" &&
        find "root/usr/lib/$triplet" root/usr/lib64 -maxdepth 1 -type f -name 'ld-linux*.so.*' | head -n 1)
    [[ -n $loader ]] || die "the fetched C library has no dynamic loader that this script knows"
    libraries=("root/usr/lib/$triplet" root/usr/lib/mysql/private)
    share=root/usr/share/mysql
    [[ -d $prefix/root/usr/share/mariadb ]] && share=root/usr/share/mariadb
    plugins=root/usr/lib/mysql/plugin
    program=$(cd "$prefix" &&
        find root/usr/sbin root/usr/bin \( -name mariadbd -o -name mysqld \) -type f | head -n 1)
    mkdir -p "$prefix/bin"
    # shellcheck disable=SC2016
    write_wrapper mysqld "$program" --basedir='"$prefix/root/usr"' --lc-messages-dir='"$prefix/'$share'"' \
        --character-sets-dir='"$prefix/'$share'/charsets"' --plugin-dir='"$prefix/'$plugins'"'
    for name in mysql mysqladmin mysqldump; do
        program=root/usr/bin/$(program_name "$name")
        # shellcheck disable=SC2016
        write_wrapper "$name" "$program" --character-sets-dir='"$prefix/'$share'/charsets"'
    done
}

# fetch_packages: downloads and unpacks into a new folder, then puts it in place in one step.
fetch_packages() {
    local apt=$CACHE/server/apt-$flavour mirror deb count=0 total version
    command -v apt-get >/dev/null || no_apt "this system has no apt"
    [[ -r $keyring ]] || no_apt "Debian's keyring is missing (package debian-archive-keyring)"
    mirror=$(debian_mirror) || no_apt "the apt sources of this machine name no Debian mirror"
    write_apt_config "$apt" "$mirror"
    step "reading the package list of Debian $suite"
    apt-get -c "$apt/apt.conf" -q update >&2
    step "downloading ${packages[*]} and what they need (about 55 MB)"
    apt-get -c "$apt/apt.conf" -q -y --download-only install "${packages[@]}" |
        grep -E "^(Get|Err|Need|E:|W:)" >&2
    rm -rf "$prefix" && mkdir -p "$prefix"/root/usr/{bin,sbin,lib,lib64}
    # Old suites have files in /lib, new ones in /usr/lib: one tree for both.
    for deb in bin sbin lib lib64; do ln -s "usr/$deb" "$prefix/root/$deb"; done
    total=$(find "$apt/cache/archives" -name '*.deb' | wc -l)
    step "unpacking $total packages"
    for deb in "$apt"/cache/archives/*.deb; do
        # Not dpkg-deb -x: before Debian 13 it replaces the links above by folders.
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$prefix/root" --keep-directory-symlink --no-same-owner
        count=$((count + 1))
        [[ $((count % 15)) -ne 0 ]] || say "   $count of $total"
    done
    # Manuals and the like are never needed.
    rm -rf "$prefix"/root/usr/share/{doc,man,locale,lintian} "$apt/cache" "$apt/state"
    write_wrappers
    version=$(server_version "$prefix/bin/mysqld") ||
        die "the fetched server does not start: run $prefix/bin/mysqld --version"
    printf '%s fetched Debian %s\n' "$version" "$suite" >"$prefix/ready"
}

# is_ready: the prefix was completed, its programs are still there, and it suits --fetch.
is_ready() {
    [[ -s $prefix/ready ]] || return 1
    [[ $fetch == no ]] || grep -q ' fetched ' "$prefix/ready" || return 1
    server_version "$prefix/bin/mysqld" >/dev/null
}

if ! is_ready; then
    mkdir -p "$CACHE/server"
    # Two at once: the second waits and then finds the work done.
    exec 9>"$CACHE/server/$flavour.lock"
    flock -n 9 || { say "another get.sh is at work, waiting for it" && flock 9; }
    is_ready || { [[ $fetch == no ]] && use_installed; } || fetch_packages
    say "$flavour $(cut -d' ' -f1 "$prefix/ready") is ready in $prefix"
fi
printf '%s\n' "$prefix"
