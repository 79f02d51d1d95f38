# The part of .ci/interop about installing: the Debian packages of outpost and outpost-agent, and the script for other systems.
# Read by .ci/interop. All are tried on this machine, in its own daemon directory, and taken back; its mail goes on as before.
# What they have installed is shown to work, the agent in a private Postfix.

daemons=/usr/lib/postfix/sbin

start_package() { :; }

# Everything that installing the program must not change.
installed_state() {
    find "$daemons" -mindepth 1 ! -name outpost-agent -printf '%p %y %m %U:%G %s %T@ %i %l\n' | LC_ALL=C sort
    dpkg-divert --list "$daemons/*"
    md5sum /etc/postfix/*.cf
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

# The installed program is whole: it delivers, and completions, pages and schemas are its own.
try_program() {
    local package name file
    package=$(package_of outpost)
    if command -v lintian >/dev/null; then lintian --allow-root --fail-on error "$package"; fi
    dpkg -i "$package" >/dev/null
    program_in_use=1
    unchanged "by installing the program's package"
    setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/outpost demo >"$scratch/demo" ||
        { cat "$scratch/demo" >&2; package_fails "outpost demo fails"; }
    for name in $(outpost schema | cut -d' ' -f1); do
        outpost schema "$name" | cmp - "/usr/share/outpost/schema/$name.schema.json"
    done
    outpost completions bash | cmp - /usr/share/bash-completion/completions/outpost
    bash -n /usr/share/bash-completion/completions/outpost
    mkdir "$scratch/manual"
    outpost manual "$scratch/manual"
    for file in "$scratch"/manual/*; do gzip -dc "/usr/share/man/man1/${file##*/}.gz" | cmp - "$file"; done
    dpkg -P outpost >/dev/null
    program_in_use=
    for file in /usr/bin/outpost /usr/share/outpost /usr/share/man/man1/outpost.1.gz /usr/share/doc/outpost; do
        [ ! -e "$file" ] || package_fails "$file is left"
    done
    unchanged "by removing the program's package"
}

try_package() {
    local package
    package=$(package_of outpost-agent)
    if command -v lintian >/dev/null; then lintian --allow-root --fail-on error "$package"; fi
    dpkg -i "$package" >/dev/null
    unchanged "by installing the package"
    dpkg -L outpost-agent | grep -q man8/outpost-agent.8.gz
    check_package
    private_mail named
    refuses "belongs to a package" "$top/packaging/install" "$agent"
    dpkg -P outpost-agent >/dev/null
    [ ! -e "$daemons/outpost-agent" ] || package_fails "the program is left"
    unchanged "by removing the package"
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
    "$top/packaging/install" --undo >/dev/null || true
    if dpkg-query -s outpost-agent >/dev/null 2>&1; then dpkg -P outpost-agent >/dev/null; fi
    if [ -n "${program_in_use:-}" ]; then dpkg -P outpost >/dev/null; fi
}

test_package() {
    if [ -e "$daemons/outpost-agent" ] || [ -n "$(dpkg-divert --list "$daemons/smtp")" ]; then
        echo "interop: outpost-agent is installed here already; neither package nor script are tried"
        return 0
    fi
    state_before=$(installed_state)
    package_in_use=1
    if [ -e /usr/bin/outpost ]; then
        echo "interop: outpost is installed here already; its package is not tried"
    else
        try_program
    fi
    try_package
    try_script
    package_in_use=
    echo "interop: packages and script leave everything as it was"
}
