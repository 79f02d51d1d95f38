# The queue: the tests that need PostgreSQL, on a private server; workers and a database that are killed; a database without room; reports about TLS, whose
# signatures another program checks; its page in a browser. Read by .ci/interop.

# build_queue_tests: their program, made by whoever called. The features are those of the README's second command, whose build it is.
build_queue_tests() {
    (cd "$top" && cargo test --locked --workspace --test postgres --no-run --message-format json) | python3 -c '
import json, sys
for line in sys.stdin:
    said = json.loads(line)
    if said.get("reason") == "compiler-artifact" and said["target"]["name"] == "postgres" and said.get("executable"):
        print(said["executable"])'
}

# install_postgres: Debian's, without the cluster that it would make and start.
install_postgres() {
    if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then return 0; fi
    local settings=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$settings" ]; then
        mkdir -p "${settings%/*}"
        echo 'create_main_cluster = false' >"$settings"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
}

test_queue() {
    install_postgres
    local start=$conf/queue/start-postgres folder=$scratch/postgres url status=0
    queue_server=$folder
    url=$("$start" start "$folder" 2>/dev/null)
    OUTPOST_TEST_POSTGRES=$url "$queue_tests" --ignored || status=$?
    "$start" stop "$folder" 2>/dev/null
    queue_server=
    [ "$status" -eq 0 ] || { tail -n 40 "$folder/log" >&2; return "$status"; }
    python3 "$conf/queue/kills.py" --program "$queue" --postgres "$folder" --messages "${QUEUE_MESSAGES:-1500}" --batch 25 \
        --kill-database 0.08
    python3 "$conf/queue/kills.py" --program "$queue" --sqlite "$scratch/queue.db" --messages 1000 --workers 2 --batch 25
    "$conf/queue/full.py" --program "$queue" --postgres "$scratch/full"
    echo "interop: the queue on PostgreSQL holds"
    # The package is for the Python of Debian, whichever else there is.
    /usr/bin/python3 -c 'import dkim' 2>/dev/null ||
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-dkim >/dev/null
    "$conf/queue/reports.py" --program "$queue"
    # Without fonts there is nothing to see on a page.
    command -v chromium >/dev/null ||
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
    mkdir "$scratch/page"
    python3 "$conf/page/page.py" --program "$queue" --scratch "$scratch/page"
}
start_queue() { :; }
