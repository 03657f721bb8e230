# --- doing it -------------------------------------------------------------------------------------------------------

: >"$WORK/changes"
: >"$WORK/left"
change() {
    echo x >>"$WORK/changes"
    if [ $porcelain = yes ]; then
        printf 'change\t%s\n' "$1"
    elif [ $dry = yes ]; then
        echo "would $1"
    else
        echo "$1"
    fi
}
left() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$WORK/left"; }

# put KIND NAME VALUE: sets one thing. A failure becomes the reason shown with its row, and the others go on.
put() {
    if why=$("put_$1" "$2" "$3" 2>&1); then return 0; fi
    why=$(printf %s "$why" | tail -n 1)
    trouble "$1" "$2" "${why:-the kernel refused it}"
    return 1
}
# Whether another module needs it.
module_is_held() {
    holders=$ROOT/sys/module/$1/holders
    [ -n "$(cat "$holders/"* 2>/dev/null; ls "$holders" 2>/dev/null)" ]
}
put_module() {
    if [ "$2" = loaded ]; then
        have modprobe || { echo "modprobe is not installed (kmod)"; return 1; }
        modprobe "$1"
    elif module_is_held "$1" || ! rmmod "$1"; then
        echo "the module is in use: reboot, or run rollback again once nothing uses it"
        return 1
    fi
}
put_sysctl() {
    path_of "$1"
    [ -e "$SYSCTL" ] || { echo "this kernel has no such key"; return 1; }
    into "$SYSCTL" "$2"
}
# Writes a value into a file of the kernel, or prints the kernel's refusal in a few words.
into() {
    if ! (printf '%s\n' "$2" >"$1") 2>"$WORK/why"; then
        sed 's/^[^:]*: *[0-9]*: *//; s/^.*: //' "$WORK/why" | tail -n 1 | sed "s/^/the kernel refused it: /"
        return 1
    fi
}
put_limit() {
    have prlimit || { echo "prlimit is not installed (util-linux)"; return 1; }
    case ${1#*/} in LimitNOFILE) flag=--nofile ;; *) flag=--nproc ;; esac
    pid=$(pid_of "${1%/*}")
    prlimit --pid "$pid" "$flag=$(printf %s "$2" | tr ' ' :)"
}
put_qdisc() {
    # Replaces the qdisc by one with a handle and deletes that: the kernel then puts its default on every queue.
    tc qdisc replace dev "$1" root pfifo && tc qdisc del dev "$1" root
    got=$(qdisc "$1")
    [ "$got" = "$2" ] || { echo "the card has $got"; return 1; }
}
put_unit() { :; }

# The kernel may round a value (nf_conntrack_buckets to whole pages): the rounded value is recorded as what we set.
rounded() {
    [ "$1" = sysctl ] || return 0
    value=$(echo "$2" | awk -v root="$ROOT" "$SYSCTLS" | cut -f 2)
    case $value in '!'* | "$3" | "$4") ;; *) record sysctl "$2" "$3" "$value" ;; esac
}

# Records each action of decide. A value that is as wanted already is recorded too, before our files can be the reason
# for it.
record_actions() {
    [ $dry = no ] || return 0
    while IFS="$TAB" read -r deed kind name to from <&3; do
        case $deed in
            note) record "$kind" "$name" "$from" "$from" ;;
            set | lower) case $from in hand:*) ;; *) record "$kind" "$name" "$from" "$to" ;; esac ;;
        esac
    done 3<"$WORK/actions"
    settled
}

# Carries out the recorded actions.
act() {
    while IFS="$TAB" read -r deed kind name to from <&3; do
        case $deed in
            set)
                case $from in
                    hand:*)
                        trouble "$kind" "$name" "somebody set ${from#hand:} by hand; it is left alone"
                        continue
                        ;;
                esac
                change "set $kind $name: $from -> $to"
                [ $dry = no ] || continue
                if put "$kind" "$name" "$to"; then rounded "$kind" "$name" "$from" "$to"; fi
                ;;
            lower)
                change "set $kind $name: $from -> $to, which the other stacks on this host want"
                [ $dry = no ] || continue
                if put "$kind" "$name" "$to"; then rounded "$kind" "$name" "$from" "$to"; fi
                ;;
            restore)
                change "put back $kind $name: $from -> $to"
                [ $dry = no ] || continue
                if put "$kind" "$name" "$to"; then
                    forget "$kind" "$name"
                else
                    left "$kind" "$name" "$(tail -n 1 "$WORK/trouble" | cut -f 3)"
                fi
                ;;
            forget) [ $dry = yes ] || forget "$kind" "$name" ;;
            leave)
                if [ -z "$from" ] || [ "$from" != "${from#!}" ]; then from="not there any more"; fi
                left "$kind" "$name" "it is $from, which apply did not set; before apply it was $to"
                [ $dry = yes ] || forget "$kind" "$name"
                ;;
        esac
    done 3<"$WORK/actions"
}

reload_systemd() {
    [ -e "$WORK/reload" ] && systemd || return 0
    systemctl daemon-reload 2>"$WORK/why" || say "systemctl daemon-reload failed: $(tail -n 1 "$WORK/why")"
}

# The unit of each stack on this host is enabled; the symlink is recorded like a file.
enable_units() {
    systemd || return 0
    for file in "$STACKS"/*/unit/*.service; do
        [ -f "$file" ] || continue
        unit=${file##*/}
        [ "$(systemctl is-enabled "$unit" 2>/dev/null)" != enabled ] || continue
        change "enable $unit"
        [ $dry = no ] || continue
        record enabled "$unit" disabled enabled
        systemctl --quiet enable "$unit" 2>"$WORK/why" || trouble enabled "$unit" "$(tail -n 1 "$WORK/why")"
    done
}
disable_units() {
    awk -F '\t' '$1 == "enabled" { print $2 }' "$WORK/record" >"$WORK/enabled"
    while IFS= read -r unit <&3; do
        stack=${unit#stackctl-} stack=${stack%.service}
        [ ! -d "$STACKS/$stack" ] || continue
        change "disable $unit"
        [ $dry = no ] || continue
        ! systemd || systemctl --quiet disable "$unit" 2>"$WORK/why" ||
            left enabled "$unit" "$(tail -n 1 "$WORK/why")"
        forget enabled "$unit"
    done 3<"$WORK/enabled"
}
