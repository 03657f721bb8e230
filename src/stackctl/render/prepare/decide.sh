# --- what is to be done, decided in one place from what is wanted, running, recorded and set by others --------------

# awk program WISHES: wishes.awk

# awk program DECIDE: decide.awk

# awk program ORDER: order.awk

# What all stacks on this host want together, as: kind, name, compare, value. The greater value wins.
wishes() {
    {
        for table in "$STACKS"/*/limits.tsv; do [ ! -f "$table" ] || cat "$table"; done
        hardware_wishes
    } | awk -F '\t' -v cards="$(cards | tr '\n' ' ')" -v units="$UNITS" "$VALUES$WISHES" | sort
}

# Gathers everything, once.
gather() {
    recorded >"$WORK/record"
    wishes >"$WORK/wishes"
    running >"$WORK/running"
    boot >"$WORK/boot"
    logins others >"$WORK/logins-others"
    awk -F '\t' '$1 == "module" && !seen[$2]++ { print $2 }' "$WORK/wishes" "$WORK/record" >"$WORK/asked-modules"
    while IFS= read -r module; do
        ! has_module "$module" || printf 'module\t%s\tloaded\n' "$module"
    done <"$WORK/asked-modules" >>"$WORK/running"
}

# From the gathered facts to `targets` (the values that files get: kind, name, value) and `actions` (action, kind, name,
# to, from). A limit is never lowered: what runs now, and what other files give at boot, count as wishes where more is
# better.
decide() {
    awk -F '\t' -v command="$command" -v work="$WORK" "$VALUES$DECIDE" \
        "$WORK/record" "$WORK/running" "$WORK/boot" "$WORK/logins-others" "$WORK/wishes" >"$WORK/actions.unsorted"
    [ -e "$WORK/targets" ] || : >"$WORK/targets"
    awk -F '\t' -v command="$command" "$ORDER" "$WORK/actions.unsorted" |
        sort -t "$TAB" -k 1,1n -k 4,4 | cut -f 2- >"$WORK/actions"
}
