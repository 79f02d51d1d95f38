# The part of .ci/interop about installing outpost-agent: the Debian package, and the script for other systems. Read by .ci/interop.
# Both are tried in this machine's own daemon directory and taken back; its mail goes on as before. What they have installed is
# shown to work in a private Postfix.

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

try_package() {
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
}

test_package() {
    if [ -e "$daemons/outpost-agent" ] || [ -n "$(dpkg-divert --list "$daemons/smtp")" ]; then
        echo "interop: outpost-agent is installed here already; neither package nor script are tried"
        return 0
    fi
    state_before=$(installed_state)
    package_in_use=1
    try_package
    try_script
    package_in_use=
    echo "interop: package and script leave everything as it was"
}
