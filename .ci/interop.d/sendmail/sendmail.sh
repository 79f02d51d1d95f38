# The part of .ci/interop about `outpost sendmail`: programs that call sendmail(1) call it. Read by .ci/interop. It needs no
# server but the program's own; git is there, mailx and mutt are tried where they are installed.

start_sendmail() { :; }

sendmail_fails() {
    echo "interop: sendmail: $*" >&2
    return 1
}

# got NUMBER WORDS…: so many messages have come, and the last ones have these words.
got() {
    local count=$1 words new=$scratch/sendmail/inbox/new
    shift
    [ "$(find "$new" -type f | wc -l)" -eq "$count" ] || sendmail_fails "there are not $count messages in $new"
    for words in "$@"; do
        grep -rqF -- "$words" "$new" || sendmail_fails "no message has: $words"
    done
}

# The accounts file of somebody who runs the commands below, and a server that takes everything.
prepare_sendmail() {
    local home=$scratch/sendmail port
    mkdir -p "$home/.config/outpost" "$home/bin"
    ln -s "$outpost" "$home/bin/sendmail"
    "$outpost" sink --listen 127.0.0.1:0 --maildir "$home/inbox" >"$home/sink.out" 2>&1 &
    children+=($!)
    for _ in $(seq 100); do
        port=$(sed -n '1s/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$home/sink.out")
        [ -z "$port" ] || break
        sleep 0.1
    done
    cat >"$home/.config/outpost/config.toml" <<-ACCOUNTS
	[accounts.test]
	host = "127.0.0.1"
	port = $port
	tls = "none"
	insecure = true
	from = "ann@client.interop.test"
	[aliases]
	root = "root@server.interop.test"
	ACCOUNTS
}

# at_home COMMAND…: runs a command with nothing but a home folder.
at_home() {
    (cd "$scratch/sendmail" && env -i PATH="$scratch/sendmail/bin:$PATH" HOME="$scratch/sendmail" "$@")
}

try_git() {
    local number
    at_home git init -q tree
    at_home git config --global user.name 'Ann Lee'
    at_home git config --global user.email ann@client.interop.test
    at_home git config --global sendemail.sendmailCmd "$outpost sendmail"
    at_home git config --global sendemail.confirm never
    for number in 1 2; do
        at_home git -C tree commit -q --allow-empty -m "Change $number: größer"
    done
    at_home git -C tree format-patch -q --root -o ../patches
    at_home git send-email --quiet --to 'List <list@server.interop.test>' --cc "$1" --bcc hidden@server.interop.test \
        "$scratch"/sendmail/patches/*.patch </dev/null >/dev/null
}

# As cron(8) of Debian calls it, by the name of the link.
try_cron() {
    printf 'From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@box> true\n\noutput\n.\nmore\n' |
        at_home sendmail -FCronDaemon -i -B8BITMIME -oem root
}

# BSD's mailx, or s-nail, which sets HOME itself.
try_mailx() {
    local mailx home=$scratch/sendmail
    mailx=$(command -v bsd-mailx || command -v s-nail || command -v mailx)
    printf 'set %s="%s/bin/sendmail"\n' sendmail "$home" mta "$home" >"$home/mailrc"
    echo body | at_home env MAILRC="$home/mailrc" OUTPOST_CONFIG="$home/.config/outpost/config.toml" \
        "$mailx" -n -s 'from mailx' bob@server.interop.test 2>/dev/null
}

try_mutt() {
    echo body | at_home mutt -n -e "set sendmail='$outpost sendmail'" -s 'from mutt' bob@server.interop.test
}

test_sendmail() {
    local count=3 called=(git cron)
    prepare_sendmail
    try_git 'Bob "B" O. <bob@server.interop.test>'
    got 2 'Subject: [PATCH 2/2]' 'To: List <list@server.interop.test>'
    if grep -rqi '^bcc:' "$scratch/sendmail/inbox/new"; then sendmail_fails "a Bcc field went out"; fi
    grep -q hidden@server.interop.test "$scratch/sendmail/sink.out" || sendmail_fails "the hidden recipient got nothing"
    try_cron
    got 3 'Cron <root@box>' 'more'
    grep -q root@server.interop.test "$scratch/sendmail/sink.out" || sendmail_fails "root's alias got nothing"
    if command -v bsd-mailx s-nail mailx >/dev/null; then
        try_mailx
        count=$((count + 1)) called+=(mailx)
        got "$count" 'Subject: from mailx'
    fi
    if command -v mutt >/dev/null; then
        try_mutt
        count=$((count + 1)) called+=(mutt)
        got "$count" 'Subject: from mutt'
    fi
    # What fails is told, and git does not go on as if nothing were.
    if at_home git send-email --quiet --to nobody "$scratch"/sendmail/patches/0001* </dev/null 2>"$scratch/sendmail/err"; then
        sendmail_fails "a recipient without a domain is taken"
    fi
    grep -q "recipient 'nobody': it has no domain" "$scratch/sendmail/err"
    echo "interop: sendmail: $count messages from ${called[*]}"
}
