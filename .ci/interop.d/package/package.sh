# The part of .ci/interop about installing: the Debian packages of outpost, outpost-agent and outpost-queue, and the script for other
# systems. Read by .ci/interop. All are tried on this machine, in its own daemon directory, and taken back; its mail goes on as before.
# What they have installed is shown to work, the agent in a private Postfix.

daemons=/usr/lib/postfix/sbin

start_package() { :; }

# Everything that installing the programs must not change: nothing delivers in another way, is started, or has a user or a state.
installed_state() {
    find "$daemons" -mindepth 1 ! -name outpost-agent -printf '%p %y %m %U:%G %s %T@ %i %l\n' | LC_ALL=C sort
    dpkg-divert --list "$daemons/*"
    md5sum /etc/postfix/*.cf /etc/passwd /etc/group
    { find /etc/systemd /var/lib/outpost* /var/lib/private/outpost* -printf '%p %y %l\n' 2>/dev/null || true; } | LC_ALL=C sort
}

package_fails() {
    echo "interop: package: $*" >&2
    return 1
}

# unchanged WHEN: as it was before everything.
unchanged() {
    diff <(echo "$state_before") <(installed_state) >&2 || package_fails "something has changed $1"
}

# refuses WORDS COMMAND…: the command says no, and why.
refuses() {
    local words=$1 said
    shift
    if said=$("$@" 2>&1); then package_fails "not refused: $*"; fi
    [[ $said == *"$words"* ]] || package_fails "$* says: $said"
}

private_mail() {
    python3 "$here/dropin.d/harness.py" run --agent real --against none --retries 0 "$conf/package/$1.json"
}

# The installed program finds nothing to refuse in Debian's configuration with a line for it.
check_package() {
    mkdir "$scratch/check"
    cp /usr/share/postfix/main.cf.debian "$scratch/check/main.cf"
    cp /usr/share/postfix/master.cf.dist "$scratch/check/master.cf"
    echo 'outpost unix - - y - - outpost-agent mode=shared' >>"$scratch/check/master.cf"
    "$daemons/outpost-agent" --check -c "$scratch/check" >"$scratch/check/said" || { cat "$scratch/check/said" >&2; return 1; }
    grep -q '^service outpost ' "$scratch/check/said"
    echo "interop: --check: $(tail -n 1 "$scratch/check/said")"
}

# package_of NAME: the path of a package.
package_of() {
    local path
    for path in $packages; do
        case ${path##*/} in "$1"_*) echo "$path" ;; esac
    done
}

packages_in_use=()

install_package() {
    packages_in_use+=("$1")
    dpkg -i "$(package_of "$1")" >/dev/null
    unchanged "by installing the package $1"
}

# purge_package NAME: none of its files is left, and no folder that has to do with it.
purge_package() {
    local owned path
    owned=$(dpkg -L "$1")
    dpkg -P "$1" >/dev/null
    for path in $owned; do
        [ ! -e "$path" ] || [[ -d $path && $path != *outpost* ]] || package_fails "$path is left"
    done
    unchanged "by removing the package $1"
}

lint_packages() {
    local package
    if ! command -v lintian >/dev/null; then return 0; fi
    for package in $packages; do lintian --allow-root --fail-on error "$package"; done
}

# as_nobody COMMAND…: by a user without any right, and with nothing of this environment.
as_nobody() {
    setpriv --reuid 65534 --regid 65534 --clear-groups env -i PATH="$PATH" "$@"
}

# check_program NAME: the installed program is that of its package and whole: it delivers, completions, pages and schemas are its own.
check_program() {
    local program=/usr/bin/$1 version manual=$scratch/manual-$1 file name
    version=$(dpkg-query -W -f '${Version}' "$1")
    [ "$(as_nobody "$program" --version)" = "$1 ${version%-*}" ] || package_fails "$program is not of version $version"
    as_nobody "$program" demo >"$scratch/demo" || { cat "$scratch/demo" >&2; package_fails "$1 demo fails"; }
    "$program" completions bash | cmp - "/usr/share/bash-completion/completions/$1"
    "$program" completions zsh | cmp - "/usr/share/zsh/vendor-completions/_$1"
    "$program" completions fish | cmp - "/usr/share/fish/vendor_completions.d/$1.fish"
    bash -n "/usr/share/bash-completion/completions/$1"
    mkdir "$manual"
    "$program" manual "$manual"
    for file in "$manual"/*; do gzip -dc "/usr/share/man/man1/${file##*/}.gz" | cmp - "$file"; done
    for name in $("$program" schema | cut -d' ' -f1); do
        "$program" schema "$name" | cmp - "/usr/share/$1/schema/$name.schema.json"
    done
}

try_program() {
    install_package outpost
    check_program outpost
    purge_package outpost
}

# check_unit: systemd understands the unit, and its command runs with what systemd would give it: a user without rights, a state
# directory that is that user's alone, and an empty environment but for the store. That is another /var/lib, and another network,
# where its port is free; the queue is empty, so that --drain ends it.
check_unit() {
    local unit=/usr/lib/systemd/system/outpost-queue.service man=yes line command store
    command -v man >/dev/null || man=no
    if command -v systemd-analyze >/dev/null; then systemd-analyze --man=$man --recursive-errors=no verify "$unit"; fi
    for line in DynamicUser=yes StateDirectory=outpost StateDirectoryMode=0700; do
        grep -qx "$line" "$unit" || package_fails "the unit does not say $line"
    done
    command=$(sed -n 's/^ExecStart=\(.*\) \$OPTIONS$/\1/p' "$unit")
    store=$(sed -n 's/^Environment=//p' "$unit")
    [ -n "$command" ] || package_fails "the unit has no command with \$OPTIONS"
    # shellcheck disable=SC2016,SC2086 # the inner shell's variables; the command is words
    unshare --mount --net sh -euc '
        mount -t tmpfs none /var/lib
        install -d -o 65534 -g 65534 -m 700 /var/lib/outpost
        ip link set lo up
        setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all env -i "$@" --drain
        test -s /var/lib/outpost/queue.db
    ' sh "$store" $command >"$scratch/unit" 2>&1 || { cat "$scratch/unit" >&2; package_fails "the command of the unit fails"; }
}

try_queue() {
    install_package outpost-queue
    check_program outpost-queue
    check_unit
    # Both packages go together, and one program finds the other.
    if [ ! -e /usr/bin/outpost ]; then
        install_package outpost
        [ "$(outpost queue --version)" = "$(outpost-queue --version)" ] || package_fails "outpost queue is not outpost-queue"
        purge_package outpost
    fi
    purge_package outpost-queue
}

try_package() {
    install_package outpost-agent
    dpkg -L outpost-agent | grep -q man8/outpost-agent.8.gz
    check_package
    private_mail named
    refuses "belongs to a package" "$top/packaging/install" "$agent"
    purge_package outpost-agent
}

try_script() {
    local install=$top/packaging/install way
    refuses "needs root" setpriv --reuid 65534 --clear-groups "$install" "$agent"
    refuses "there is no Postfix" unshare --mount sh -c 'mount --bind /dev/null /usr/sbin/postconf && exec "$@"' sh "$install" "$agent"
    refuses "is not outpost-agent" "$install" /bin/true
    refuses "is no program" "$install" "$scratch/none-installed"
    # Twice each: the second time there is nothing to do.
    for way in once again; do
        "$install" "$agent"
        cmp "$agent" "$daemons/outpost-agent"
        unchanged "by installing the program"
    done
    for way in once again; do "$install" --divert "$agent"; done
    private_mail diverted
    for way in once again; do "$install" --undo; done
    [ ! -e "$daemons/outpost-agent" ] || package_fails "the program is left"
    unchanged "by --undo"
}

# Whatever goes wrong: the machine is left as it was.
package_cleanup() {
    local name
    "$top/packaging/install" --undo >/dev/null || true
    for name in "${packages_in_use[@]}"; do
        if dpkg-query -s "$name" >/dev/null 2>&1; then dpkg -P "$name" >/dev/null; fi
    done
}

test_package() {
    if [ -e "$daemons/outpost-agent" ] || [ -n "$(dpkg-divert --list "$daemons/smtp")" ]; then
        echo "interop: outpost-agent is installed here already; neither package nor script are tried"
        return 0
    fi
    state_before=$(installed_state)
    package_in_use=1
    lint_packages
    if [ -e /usr/bin/outpost ]; then
        echo "interop: outpost is installed here already; its package is not tried"
    else
        try_program
    fi
    if [ -e /usr/bin/outpost-queue ]; then
        echo "interop: outpost-queue is installed here already; its package is not tried"
    else
        try_queue
    fi
    try_package
    try_script
    package_in_use=
    echo "interop: packages and script leave everything as it was"
}
