# One finding for each row of limits.tsv.
# Output: verdict, limit, wanted, got, depth, evidence, remedy; "-" where there is none.

BEGIN {
    OFS = "\t"
    ours = "/etc/sysctl.d/99-zz-stackctl-" name ".conf"
    apply = "on this host: `sh host/prepare.sh apply` in the rendered folder, or `stackctl host apply`"
}

FILENAME ~ /\/record$/ {
    before[$1 "\t" $2] = norm($3)
    set_to[$1 "\t" $2] = norm($4)
    next
}
FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
FILENAME ~ /\/boot$/ { boot[$1] = $2; from[$1] = $3; next }
FILENAME ~ /\/fresh$/ { fresh[$1] = norm($2); next }
FILENAME ~ /\/boot-modules$/ { early[$1] = 1; next }
FILENAME ~ /\/logins$/ { login[$1] = norm($2); decides[$1] = $3; next }
FILENAME ~ /\/trouble$/ { why[$1 "\t" $2] = $3; next }

# From here on: limits.tsv.
$1 == "sysctl" { sysctl($2, $3, norm($4), $5) }
$1 == "login" { logins($2, $3, norm($4), $6) }
$1 == "unit" { unit($2, $3, norm($4), $6) }

function out(verdict, key, wanted, got, depth, evidence, remedy) {
    print verdict, key, wanted, got == "" ? "-" : got, depth, evidence, remedy == "" ? "-" : remedy
}

# Why a thing could not be read or set; empty where nothing went wrong.
function because(kind, id) { return (kind "\t" id) in why ? why[kind "\t" id] : "" }

# Whether apply never had to set it.
function untouched(kind, id) {
    return !((kind "\t" id) in before) || before[kind "\t" id] == set_to[kind "\t" id]
}

function sysctl(key, compare, wanted, module,   cur, known, running, card) {
    cur = now["sysctl\t" key]
    known = cur != "" && cur !~ /^!/
    running = "running " (cur ~ /^!/ ? "unreadable" : cur)

    # What runs now.
    if (because("module", module) != "") {
        out("short", key, wanted, cur ~ /^!/ ? "" : cur, "applied",
            "module " module ": " because("module", module),
            "run a kernel that has " module ", or take limits." key \
            " out of the stack by giving it the value this host has")
        return
    }
    if (!known) {
        out("short", key, wanted, "", "applied",
            substr(cur, 2) (module != "-" ? "; its module " module " is not loaded" : ""), apply)
        return
    }
    if (because("sysctl", key) != "") {
        out("short", key, wanted, cur, "applied", because("sysctl", key),
            "read the reason; where the kernel has a lower ceiling, set limits." key " to what it takes")
        return
    }
    if (!holds(compare, cur, wanted)) {
        out("short", key, wanted, cur, "applied", running "; at boot " at_boot(key),
            command == "apply" ? other_wish(key) : apply)
        return
    }
    if (key == "net.core.default_qdisc") {
        card = other_qdisc(wanted)
        if (card != "") {
            qdisc_short(key, wanted, cur, card)
            return
        }
        if (cards != "") running = running ", and on " cards
    }

    # What the next boot gives.
    if (!(key in boot)) {
        if (key in fresh && holds(compare, fresh[key], wanted))
            out(kept(compare, key, cur, wanted), key, wanted, cur, "applied",
                running "; no file sets it at boot, and a new network namespace has " fresh[key] \
                ": the kernel itself gives it", "")
        else
            out("short", key, wanted, cur, "declared", running " holds now, but no file sets it at boot", apply)
        return
    }
    if (!holds(compare, boot[key], wanted)) {
        out("short", key, wanted, cur, "declared", running " holds now, but at boot " at_boot(key),
            overridden(key) ? "take " key " out of " from[key] ", which overrides " ours : apply)
        return
    }
    if (module != "-" && !(module in early)) {
        out("short", key, wanted, cur, "declared",
            running " holds now, but its module " module " is not loaded at boot before sysctl.d is applied",
            apply)
        return
    }
    out(kept(compare, key, cur, wanted), key, wanted, cur, "applied", running "; at boot " at_boot(key), "")
}

# The first card with another queueing discipline than the wanted one.
function other_qdisc(wanted,   n, i, card) {
    n = split(cards, card, " ")
    for (i = 1; i <= n; i++) if (now["qdisc\t" card[i]] != wanted) return card[i]
    return ""
}
function qdisc_short(key, wanted, cur, card,   reason) {
    reason = because("qdisc", card)
    out("short", key, wanted, cur, "effective",
        "card " card " has " now["qdisc\t" card] \
        (reason != "" ? ": " reason : ", put there before the default was set"),
        reason != "" ? "tc qdisc replace dev " card " root " wanted : apply)
}

# "kept": the host had more than is wanted before apply, and still has it.
function kept(compare, key, cur, wanted) {
    return command == "apply" && compare != "equal" && cur != wanted && untouched("sysctl", key) ? "kept" : "ok"
}
function at_boot(key) {
    return key in boot ? boot[key] " from " from[key] : "whatever the kernel gives: no file sets it"
}
function overridden(key) { return from[key] != ours && ("file\t" ours) in before }
function other_wish(key) {
    return "another stack on this host wants another value, or something set it back: look for " key \
        " in the other limits.tsv and in what runs here"
}

function logins(key, compare, wanted, item,   all, root, lower, got, remedy) {
    all = login[item "/*"]
    root = login[item "/root"]
    if (all == "" || root == "") {
        out("short", key, wanted, "", "declared",
            "no file of /etc/security sets soft and hard " item " for both * and root", apply)
        return
    }
    # The lower of the two is shown.
    lower = item "/*"
    if (holds(compare, all, wanted) && (!holds(compare, root, wanted) || holds(compare, all, root)))
        lower = item "/root"
    got = login[lower]
    if (!holds(compare, got, wanted)) {
        remedy = "take " item " out of " decides[lower] " if apply does not win over it"
        if (decides[lower] ~ /stackctl/) remedy = apply
        out("short", key, wanted, got, "declared", "decided by " decides[lower], remedy)
        return
    }
    out(command == "apply" && got != wanted ? "kept" : "ok", key, wanted, got, "declared",
        "decided by " decides[lower], "")
}

# extra: the property, then the units that get it. Docker and containerd are read in any case, and once.
function unit(key, compare, wanted, extra,   w, n, i, u, p, id, live, next_start, seen, got, problem, found, same) {
    n = split("docker.service containerd.service " extra, w, " ")
    p = w[3]
    same = 1
    for (i = 1; i <= n; i++) {
        if (i == 3 || i > 3 && (w[i] == w[1] || w[i] == w[2])) continue
        u = w[i]
        id = u "/" p
        live = p == "TasksMax" ? now["tasks\t" id] : now["limit\t" id]
        # Of soft and hard: the hard limit.
        sub(/^[^ ]* /, "", live)
        next_start = now["unit\t" id]
        if (live == "" && next_start == "") {
            if (u ~ /^telemt/) seen = seen "; " u " is not on this host, its drop-in waits for it"
            continue
        }
        found += u !~ /^telemt/
        seen = seen "; " u (live != "" ? " live " live : " does not run")
        if (next_start != "") seen = seen ", at its next start " next_start
        if (live != "" && (got == "" || !ge(live, got))) got = live
        if (live != "" && !holds(compare, live, wanted))
            problem = problem "; " u (because("limit", id) != "" ? ": " because("limit", id) : " runs with " live)
        else if (next_start != "" && !holds(compare, next_start, wanted))
            problem = problem "; " u " gets " next_start " at its next start"
        if (!untouched("limit", id) || ("unit\t" id in before && before["unit\t" id] != next_start)) same = 0
    }
    sub(/^; /, "", seen)
    sub(/^; /, "", problem)
    if (!found)
        out("short", key, wanted, "", "applied", "no Docker engine on this host" (seen != "" ? "; " seen : ""),
            "install it, then run apply again")
    else if (systemd == "no")
        out("short", key, wanted, got, "applied",
            "no systemd on this host: what starts dockerd gives it its limits; " seen,
            "give dockerd " p "=" wanted " where it is started")
    else if (problem != "")
        out("short", key, wanted, got, "applied", problem " (" seen ")", command != "apply" ? apply : \
            "systemctl cat docker.service containerd.service: a later drop-in may override; then restart the unit")
    else
        out(command == "apply" && same && got != wanted ? "kept" : "ok", key, wanted, got, "applied", seen, "")
}
