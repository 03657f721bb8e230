# --- what is to be done, decided in one place from what is wanted, running, recorded and set by others --------------

# What all stacks on this host want together, as: kind, name, compare, value. The greater wins.
# shellcheck disable=SC2016 # $ in awk
wishes() {
    {
        for table in "$STACKS"/*/limits.tsv; do [ ! -f "$table" ] || cat "$table"; done
        hardware_wishes
    } | awk -F '\t' -v cards="$(cards | tr '\n' ' ')" -v units="$UNITS" "$VALUES"'
        function wish(kind, name, compare, value,   id) {
            id = kind "\t" name
            rule[id] = compare
            want[id] = merge(compare, want[id], value)
        }
        $1 ~ /^(sysctl|sysfs|irq|ring)$/ { wish($1, $2, $3, $4) }
        # `*` does not cover root, and root may have more than the others.
        $1 == "login" { wish("login", $6 "/*", $3, $4); wish("login", $6 "/root", $3, $4) }
        $1 == "sysctl" && $5 != "-" { wish("module", $5, "equal", "loaded") }
        $2 == "net.core.default_qdisc" { n = split(cards, c, " "); for (i = 1; i <= n; i++) wish("qdisc", c[i], "equal", $4) }
        $1 == "unit" {
            n = split($6, word, " ")
            for (i = 2; i <= n; i++) {
                wish("unit", word[i] "/" word[1], $3, $4)
                if (word[1] ~ /^Limit/) wish("limit", word[i] "/" word[1], $3, $4 " " $4)
            }
        }
        END { for (id in want) print id "\t" rule[id] "\t" want[id] }' | sort
}

# Gathers everything, once.
gather() {
    recorded >"$WORK/record"
    wishes >"$WORK/wishes"
    running >"$WORK/running"
    boot >"$WORK/boot"
    logins others >"$WORK/logins-others"
    awk -F '\t' '$1 == "module" && !seen[$2]++ { print $2 }' "$WORK/wishes" "$WORK/record" | while IFS= read -r module; do
        ! has_module "$module" || printf 'module\t%s\tloaded\n' "$module"
    done >>"$WORK/running"
}

# From the gathered facts to `targets` (what files say: kind, name, value) and `actions` (do, kind, name, to, from).
# A limit is never lowered: what runs now, and what other files give at boot, count as wishes where more is better.
# shellcheck disable=SC2016 # $ in awk
decide() {
    awk -F '\t' -v command="$command" -v work="$WORK" "$VALUES"'
        BEGIN { OFS = "\t" }
        FILENAME ~ /\/record$/ { id = $1 "\t" $2; known[id] = 1; before[id] = norm($3); set_to[id] = norm($4); next }
        FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
        FILENAME ~ /\/boot$/ { other["sysctl\t" $1] = $4; next }
        FILENAME ~ /\/logins-others$/ { now["login\t" $1] = $2; next }
        FILENAME ~ /\/wishes$/ { wish[$1 "\t" $2] = norm($4); rule[$1 "\t" $2] = $3; next }
        END {
            for (id in wish) {
                cur = now[id]; read = cur != "" && cur !~ /^!/
                base = known[id] && (cur == set_to[id] || id ~ /^unit/) ? before[id] : cur
                target = wish[id]
                if (rule[id] != "equal" && base != "" && base !~ /^!/) target = merge(rule[id], target, base)
                final = rule[id] == "equal" ? target : merge(rule[id], target, other[id])
                print id, final >(work "/targets")
                if (id ~ /^login/ || !read && id !~ /^module/) continue
                if (id ~ /^unit/) { if (!known[id]) print "note", id, cur, cur; continue }
                if (command == "rollback") {
                    if (known[id] && cur == set_to[id] && cur != target) print "lower", id, target, cur
                } else if (cur != target) print "set", id, target, cur == "" ? "absent" : cur
                else if (!known[id]) print "note", id, cur, cur
            }
            for (id in known) if (!(id in wish) && id !~ /^(file|dir|enabled)\t/) {
                cur = id ~ /^module/ && now[id] == "" ? "absent" : now[id]
                if (cur == before[id] || before[id] == set_to[id] || id ~ /^unit/) print "forget", id, "", cur
                else if (cur == set_to[id]) print "restore", id, before[id], cur
                else print "leave", id, before[id], cur
            }
        }' "$WORK/record" "$WORK/running" "$WORK/boot" "$WORK/logins-others" "$WORK/wishes" >"$WORK/actions.unsorted"
    [ -e "$WORK/targets" ] || : >"$WORK/targets"
    # Ceilings before what they cap; on the way back the other way round, and modules after their keys.
    awk -F '\t' -v command="$command" '
        { rank = index("module file ring sysctl sysfs irq limit qdisc unit", $2); if (command == "rollback") rank = index("limit irq sysctl qdisc sysfs ring unit module", $2)
          if ($3 ~ /default_qdisc/) rank = rank - 0.5; if ($3 ~ /^fs\.nr_open/) rank = rank - 0.4; if ($3 ~ /nf_conntrack_max/) rank = rank + 0.4
          printf "%06.2f\t%s\n", rank, $0 }' "$WORK/actions.unsorted" | sort -t "$TAB" -k 1,1n -k 4,4 | cut -f 2- >"$WORK/actions"
}
