# shellcheck shell=bash
# What operators do daily, at the servers that are up: a check as a monitoring system makes it, and a load of which each message
# that was counted has to be stored.

# The number of files below a folder.
stored() { find "$1" -type f | wc -l; }

load_and_probe() {
    local server protocol hop folder before summary try messages=60
    for server in "${servers[@]}"; do
        read -r protocol hop folder <<<"${target_of[$server]:-}"
        [ -n "$folder" ] || continue
        "$outpost" probe --nagios --protocol "$protocol" "$hop"
        before=$(stored "$folder")
        summary=$scratch/load-$server.json
        "$outpost" load --json --config "$conf/client.cf" --protocol "$protocol" --messages $messages --sessions 5 \
            --per-connection 10 --size 1KiB..16KiB --from load@interop.test --to load@interop.test "$hop" >"$summary"
        for try in {1..60}; do
            [ $(($(stored "$folder") - before)) -lt $messages ] || break
            sleep 0.5
        done
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
    done
}
