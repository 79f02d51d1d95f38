# shellcheck shell=bash
# What operators do daily, at the servers that are up: a check as a monitoring system makes it, and a load of which each message
# that was counted has to be stored.

# The number of files below a folder.
stored() { find "$1" -type f | wc -l; }

# await_stored FOLDER NUMBER: waits until so many files are there, or for half a minute.
await_stored() {
    local try
    for try in {1..60}; do
        [ "$(stored "$1")" -lt "$2" ] || break
        sleep 0.5
    done
}

# A Maildir goes out, many messages at once; a second run with the same journal sends nothing again.
deliver_maildir() {
    local server=$1 protocol=$2 hop=$3 folder=$4 number before messages=40
    local maildir=$scratch/outgoing-$server journal=$scratch/journal-$server
    mkdir -p "$maildir"/{cur,new,tmp}
    for number in $(seq $messages); do
        printf 'From: ann@client.interop.test\nSubject: %s of %s\n\nHello.\n' "$number" $messages >"$maildir/new/$number.client"
    done
    before=$(stored "$folder")
    for number in first second; do
        "$outpost" deliver --config "$conf/client.cf" --protocol "$protocol" --nexthop "$hop" --jobs 8 --journal "$journal" \
            --from many@interop.test --to many@interop.test "$maildir" >"$scratch/many-$server-$number"
        await_stored "$folder" $((before + messages))
    done
    if [ $(($(stored "$folder") - before)) -ne $messages ]; then
        echo "interop: $server has stored $(($(stored "$folder") - before)) of $messages messages of a Maildir" >&2
        exit 1
    fi
    echo "interop: $server took a Maildir of $messages messages once"
}

load_and_probe() {
    local server protocol hop folder before summary messages=60
    for server in "${servers[@]}"; do
        read -r protocol hop folder <<<"${target_of[$server]:-}"
        [ -n "$folder" ] || continue
        "$outpost" probe --nagios --protocol "$protocol" "$hop"
        before=$(stored "$folder")
        summary=$scratch/load-$server.json
        "$outpost" load --json --config "$conf/client.cf" --protocol "$protocol" --messages $messages --sessions 5 \
            --per-connection 10 --size 1KiB..16KiB --from load@interop.test --to load@interop.test "$hop" >"$summary"
        await_stored "$folder" $((before + messages))
        if [ $(($(stored "$folder") - before)) -ne $messages ]; then
            echo "interop: $server has stored $(($(stored "$folder") - before)) of $messages messages of a load" >&2
            exit 1
        fi
        python3 - "$server" "$summary" $messages <<'END'
import json, sys
server, path, messages = sys.argv[1], sys.argv[2], int(sys.argv[3])
summary = json.load(open(path))
assert summary["messages"]["accepted"] == summary["latency"]["message"]["count"] == messages, summary
# Ten messages for each connection at most.
assert messages // 10 <= summary["connections"]["made"] < messages, summary
print(f"interop: {server} took {messages} messages on {summary['connections']['made']} connections")
END
        deliver_maildir "$server" "$protocol" "$hop" "$folder"
    done
}
