# --- what was found, one line for each limit this stack asks of its host ---------------------------------------------

# Verdict, limit, wanted, got, depth, evidence, remedy; `-` where there is none.
# shellcheck disable=SC2016 # $ in awk
findings() {
    fresh >"$WORK/fresh"
    boot_modules >"$WORK/boot-modules"
    logins all >"$WORK/logins"
    [ -e "$WORK/record" ] || : >"$WORK/record"
    manager=no
    ! systemd || manager=yes
    awk -F '\t' -v command="$command" -v name="$NAME" -v systemd=$manager -v cards="$(cards | tr '\n' ' ')" "$VALUES"'
        function out(verdict, key, wanted, got, depth, evidence, remedy) {
            print verdict, key, wanted, got == "" ? "-" : got, depth, evidence, remedy == "" ? "-" : remedy
        }
        function because(kind, id) { return (kind "\t" id) in why ? why[kind "\t" id] : "" }
        function untouched(kind, id) { return !((kind "\t" id) in before) || before[kind "\t" id] == set_to[kind "\t" id] }
        BEGIN { OFS = "\t"; ours = "/etc/sysctl.d/99-zz-stackctl-" name ".conf"; apply = "on this host: `sh host/prepare.sh apply` in the rendered folder, or `stackctl host apply`" }
        FILENAME ~ /\/record$/ { before[$1 "\t" $2] = norm($3); set_to[$1 "\t" $2] = norm($4); next }
        FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
        FILENAME ~ /\/boot$/ { boot[$1] = $2; from[$1] = $3; next }
        FILENAME ~ /\/fresh$/ { fresh[$1] = norm($2); next }
        FILENAME ~ /\/boot-modules$/ { early[$1] = 1; next }
        FILENAME ~ /\/logins$/ { login[$1] = norm($2); decides[$1] = $3; next }
        FILENAME ~ /\/trouble$/ { why[$1 "\t" $2] = $3; next }
        $1 == "sysctl" { sysctl($2, $3, norm($4), $5) }
        $1 == "login" { logins($2, $3, norm($4), $6) }
        $1 == "unit" { unit($2, $3, norm($4), $6) }

        function sysctl(key, compare, wanted, module,   cur, seen, n, c, i, bad) {
            cur = now["sysctl\t" key]
            seen = "running " (cur ~ /^!/ ? "unreadable" : cur)
            if (because("module", module) != "") { out("short", key, wanted, cur ~ /^!/ ? "" : cur, "applied", "module " module ": " because("module", module), "run a kernel that has " module ", or take limits." key " out of the stack by giving it the value this host has"); return }
            if (cur == "" || cur ~ /^!/) { out("short", key, wanted, "", "applied", substr(cur, 2) (module != "-" ? "; its module " module " is not loaded" : ""), apply); return }
            if (because("sysctl", key) != "") { out("short", key, wanted, cur, "applied", because("sysctl", key), "read the reason; where the kernel has a lower ceiling, set limits." key " to what it takes"); return }
            if (!holds(compare, cur, wanted)) { out("short", key, wanted, cur, "applied", seen "; at boot " at_boot(key), command == "apply" ? other_wish(key) : apply); return }
            if (key == "net.core.default_qdisc") {
                n = split(cards, c, " ")
                for (i = 1; i <= n; i++) if (now["qdisc\t" c[i]] != wanted) {
                    bad = because("qdisc", c[i])
                    out("short", key, wanted, cur, "effective", "card " c[i] " has " now["qdisc\t" c[i]] (bad != "" ? ": " bad : ", put there before the default was set"), bad != "" ? "tc qdisc replace dev " c[i] " root " wanted : apply); return
                }
                if (n) seen = seen ", and on " cards
            }
            if (!(key in boot)) {
                if (key in fresh && holds(compare, fresh[key], wanted)) out(kept(compare, key, cur, wanted), key, wanted, cur, "applied", seen "; no file sets it at boot, and a new network namespace has " fresh[key] ": the kernel itself gives it", "")
                else out("short", key, wanted, cur, "declared", seen " holds now, but no file sets it at boot", apply)
                return
            }
            if (!holds(compare, boot[key], wanted)) {
                out("short", key, wanted, cur, "declared", seen " holds now, but at boot " at_boot(key), from[key] != ours && (("file\t" ours) in before) ? "take " key " out of " from[key] ", which overrides " ours : apply); return
            }
            if (module != "-" && !(module in early)) { out("short", key, wanted, cur, "declared", seen " holds now, but its module " module " is not loaded at boot before sysctl.d is applied", apply); return }
            out(kept(compare, key, cur, wanted), key, wanted, cur, "applied", seen "; at boot " at_boot(key), "")
        }
        function kept(compare, key, cur, wanted) { return command == "apply" && compare != "equal" && cur != wanted && untouched("sysctl", key) ? "kept" : "ok" }
        function at_boot(key) { return key in boot ? boot[key] " from " from[key] : "whatever the kernel gives: no file sets it" }
        function other_wish(key) { return "another stack on this host wants another value, or something set it back: look for " key " in the other limits.tsv and in what runs here" }

        function logins(key, compare, wanted, item,   all, root, low, got) {
            all = login[item "/*"]; root = login[item "/root"]
            low = item (holds(compare, all, wanted) && (!holds(compare, root, wanted) || holds(compare, all, root)) ? "/root" : "/*")
            got = login[low]
            if (all == "" || root == "") out("short", key, wanted, "", "declared", "no file of /etc/security sets soft and hard " item " for both * and root", apply)
            else if (!holds(compare, got, wanted)) out("short", key, wanted, got, "declared", "decided by " decides[low], decides[low] ~ /stackctl/ ? apply : "take " item " out of " decides[low] " if apply does not win over it")
            else out(command == "apply" && got != wanted ? "kept" : "ok", key, wanted, got, "declared", "decided by " decides[low], "")
        }

        function unit(key, compare, wanted, extra,   w, n, i, u, p, id, live, atboot, seen, got, problem, found, same) {
            n = split("docker.service containerd.service " extra, w, " ")
            p = w[3]
            same = 1
            for (i = 1; i <= n; i++) {
                if (i == 3 || i > 3 && (w[i] == w[1] || w[i] == w[2])) continue
                u = w[i]; id = u "/" p
                live = p == "TasksMax" ? now["tasks\t" id] : now["limit\t" id]
                sub(/^[^ ]* /, "", live)
                atboot = now["unit\t" id]
                if (live == "" && atboot == "") { if (u ~ /^telemt/) seen = seen "; " u " is not on this host, its drop-in waits for it"; continue }
                found += u !~ /^telemt/
                seen = seen "; " u (live != "" ? " live " live : " does not run") (atboot != "" ? ", at its next start " atboot : "")
                if (live != "" && (got == "" || !ge(live, got))) got = live
                if (live != "" && !holds(compare, live, wanted)) problem = problem "; " u (because("limit", id) != "" ? ": " because("limit", id) : " runs with " live)
                else if (atboot != "" && !holds(compare, atboot, wanted)) problem = problem "; " u " gets " atboot " at its next start"
                if (!untouched("limit", id) || ("unit\t" id in before && before["unit\t" id] != atboot)) same = 0
            }
            sub(/^; /, "", seen); sub(/^; /, "", problem)
            if (!found) out("short", key, wanted, "", "applied", "no Docker engine on this host" (seen != "" ? "; " seen : ""), "install it, then run apply again")
            else if (systemd == "no") out("short", key, wanted, got, "applied", "no systemd on this host: what starts dockerd gives it its limits; " seen, "give dockerd " p "=" wanted " where it is started")
            else if (problem != "") out("short", key, wanted, got, "applied", problem " (" seen ")", command == "apply" ? "systemctl cat docker.service containerd.service: a later drop-in may override; then restart the unit" : apply)
            else out(command == "apply" && same && got != wanted ? "kept" : "ok", key, wanted, got, "applied", seen, "")
        }' "$WORK/record" "$WORK/running" "$WORK/boot" "$WORK/fresh" "$WORK/boot-modules" "$WORK/logins" "$WORK/trouble" "$TABLE"
    hardware_findings
}

# What rollback could not put back.
left_findings() {
    awk -F '\t' 'BEGIN { OFS = "\t" } { print "short", $2, "-", "-", "applied", "left as it is: " $3, $1 == "module" ? "reboot, or run rollback again once nothing uses it" : "set it by hand if you want another value" }' "$WORK/left"
}

# How full the table of tracked connections is: a full one drops every new client.
conntrack_fill() {
    awk -v root="$ROOT/proc/sys/net/netfilter/" -v porcelain=$porcelain 'BEGIN {
        if ((getline count < (root "nf_conntrack_count")) <= 0 || (getline most < (root "nf_conntrack_max")) <= 0 || most + 0 == 0) exit
        share = int(count * 100 / most)
        text = count " of " most " entries (" share " %)"
        if (share >= 80) text = text ": nearly full, and a full table drops new clients; raise limits.net.netfilter.nf_conntrack_max, or shorten its timeouts"
        print (porcelain == "yes" ? "advice\tconntrack\t" : "conntrack: ") text
    }'
}

# Shows $WORK/findings; fails if any is not as wanted. Not read from a pipe: there a writer that dies goes unseen.
show() {
    if [ $porcelain = yes ]; then
        sed "s/^/finding$TAB/" "$WORK/findings"
    else
        # A remedy that many lines share is said once, below them.
        awk -F '\t' '{
            printf "%-6s %-52s %s%s\n", $1, $2, $4, ($4 == $3 || $3 == "-" ? "" : "  (wanted " $3 ")")
            if ($1 != "ok" && $1 != "kept") { print "         seen: " $6; if ($7 ~ /stackctl host apply/) shared = $7; else if ($7 != "-") print "         do:   " $7 }
            n[$1]++
        }
        END { if (shared != "") print "do: " shared; line = ""; for (v in n) line = line (line == "" ? "" : ", ") n[v] " " v; if (line != "") print line }' "$WORK/findings"
    fi
    ! grep -q "^short$TAB" "$WORK/findings"
}

finish() {
    [ $porcelain = no ] || printf 'end\t%s\n' "$1"
    explained
    exit "$1"
}
