# The part of .ci/interop about scenarios: recordings replayed from outside, and scenarios made by chance in which a
# real Postfix shows what is right. Read by .ci/interop. Every scenario has a network of its own.

start_recordings() { :; }

replay_recordings() {
    # shellcheck disable=SC2086 # the runtimes are words
    python3 "$conf/scenarios/recordings.py" --outpost "$outpost" --runtimes ${RUNTIMES:-tokio smol blocking} \
        --jobs 8 "$top/smtp-sim/scenarios"
}

# Postfix's programs only: each scenario runs its own master with its own configuration.
start_random() {
    local root=$scratch/random
    unpack random postfix postfix-pcre libsasl2-modules
    # Names that are looked up by way of the system: each scenario brings a resolver.
    sed -i 's/^hosts:.*/hosts: files dns/' "$root/etc/nsswitch.conf"
    # The maintainer's script would say where the type of table is.
    printf 'pcre\tpostfix-pcre.so\tdict_pcre_open\n' >>"$root/etc/postfix/dynamicmaps.cf"
}

compare_random() {
    local first=${SEED:-$((RANDOM * 32768 + RANDOM))}
    echo "interop: scenarios made by chance, from seed $first"
    if ! POSTFIX_ROOT=$scratch/random python3 "$conf/scenarios/random_diff.py" --outpost "$outpost" \
        --seeds "$first..$((first + 39))" --runtime rotate --jobs 5 --out "$scratch/random-differences"; then
        echo "interop: to repeat it: SEED=$first .ci/interop random" >&2
        return 1
    fi
}
