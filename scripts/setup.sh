# Sourced by scripts/up, scripts/test and scripts/down: what a fresh Debian 12 or 13 machine lacks, and nothing twice.
# Debian packages come from the host's own sources, Python packages from the index that pip is configured for.
# shellcheck shell=sh
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${ONEDALLMAIL_CACHE:-$HOME/.cache/onedallmail}
cd "$root"

die() { printf '%s\n' "$*" >&2; exit 1; }

check_host() {
    [ "$(id -u)" = 0 ] || die "This needs root: it installs packages and makes network namespaces. Run it with sudo."
    id=$(. /etc/os-release 2>/dev/null && printf '%s' "${ID:-} ${VERSION_ID:-}")
    case "$id" in
        "debian 12" | "debian 13") ;;
        *) die "This needs Debian 12 or 13, this machine says '$id'. Use a virtual machine with Debian." ;;
    esac
    [ "$(awk '/^MemTotal/ {print int($2 / 1048576)}' /proc/meminfo)" -ge "$1" ] || die "This needs $1 GB of memory."
    [ "$(df -Pk "$root" | awk 'NR == 2 {print int($4 / 1048576)}')" -ge "$2" ] || die "This needs $2 GB free below $root."
}

install_packages() {
    missing=""
    # shellcheck disable=SC2013 # names of packages are single words
    for package in $(grep -v '^#' scripts/host-packages.txt); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "      Debian packages:$missing"
    log=$(mktemp)
    # shellcheck disable=SC2086 # one argument a package
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "apt-get could not install:$missing (whole log: $log)"
    fi
    rm -f "$log"
}

install_python() {
    stamp="$(cat requirements.lock scripts/uv.lock | sha256sum | cut -c1-16) $(/usr/bin/python3 --version) $root"
    [ "$(cat .venv/onedallmail-stamp 2>/dev/null)" != "$stamp" ] || return 0
    echo "      Python packages"
    uv="$cache/uv-$(sha256sum scripts/uv.lock | cut -c1-16)"
    if [ ! -x "$uv/bin/uv" ]; then
        rm -rf "$uv.new"
        /usr/bin/python3 -m venv "$uv.new"
        "$uv.new/bin/pip" install --quiet --require-hashes -r scripts/uv.lock
        rm -rf "$uv"
        mv "$uv.new" "$uv"
    fi
    index=$("$uv/bin/python" -m pip config get global.index-url 2>/dev/null || true)
    index=${PIP_INDEX_URL:-$index}
    cert=$("$uv/bin/python" -m pip config get global.cert 2>/dev/null || true)
    cert=${PIP_CERT:-$cert}
    set -- "$uv/bin/uv" --quiet --no-config
    (
        [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
        [ -z "$cert" ] || export SSL_CERT_FILE="$cert"
        export UV_CACHE_DIR="$cache/uv-cache" UV_PYTHON_DOWNLOADS=never
        rm -rf .venv
        "$@" venv --python /usr/bin/python3 .venv
        "$@" pip sync --require-hashes --python .venv/bin/python requirements.lock
        "$@" pip install --no-deps --no-build-isolation --python .venv/bin/python --editable .
        # Each run of a stack starts four processes that load these; compiled once, a run takes half the time.
        for package in pulumi pulumi_aws google grpc botocore moto pydantic; do
            .venv/bin/python -m compileall -q -j 0 .venv/lib/python3*/site-packages/$package || true
        done
    )
    echo "$stamp" >.venv/onedallmail-stamp
}

setup() {
    install_packages
    install_python
}
