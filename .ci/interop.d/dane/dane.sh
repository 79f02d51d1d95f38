# The part of .ci/interop about DANE: zones that are really signed, a resolver that validates, mail servers with
# all kinds of certificates, and Postfix's own client to compare with. Read by .ci/interop. Takes the ports 12520 to
# 12559 of 127.0.0.1, 12525 of 127.0.52.0/24, and 53 of 127.0.52.53.

start_dane() {
    local root=$scratch/dane unneeded=${unneeded/|openssl/}
    unpack dane postfix nsd unbound ldnsutils openssl
    prepare_queue "$root"
    install -D -m 644 -t "$root/etc/dane" "$conf"/dane/{nsd,unbound,believer,resolver}.conf
    install -D -m 644 -t "$root/etc/postfix/certificates" "$conf/dane/request.cnf"
    cp "$conf"/dane/{main.cf,master.cf} "$root/etc/postfix/"
    # Without trust-ad the C library takes the resolver's word away.
    printf '%s\n' 'nameserver 127.0.52.53' 'options trust-ad' >"$root/etc/resolv.conf"
    python3 "$conf/dane/dane.py" prepare --root "$root"
    start dane /usr/sbin/nsd -d -c /etc/dane/nsd.conf
    start dane /usr/sbin/unbound -d -c /etc/dane/unbound.conf
    start dane /usr/sbin/unbound -d -c /etc/dane/believer.conf
    start dane /usr/lib/postfix/sbin/master -d -c /etc/postfix
    local number
    for number in 12520 12521 12522 12540; do await dane "$number"; done
}

deliver_dane() {
    # shellcheck disable=SC2086 # the runtimes are words
    python3 "$conf/dane/dane.py" deliver --outpost "$outpost" --root "$scratch/dane" --scratch "$scratch" \
        --runtimes ${RUNTIMES:-tokio smol blocking}
}
