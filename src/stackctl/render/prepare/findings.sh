# --- what was found, one line for each limit this stack asks of its host --------------------------------------------

# awk program FINDINGS: findings.awk

# awk program SHOW: show.awk

# awk program CONNTRACK_FILL: conntrack_fill.awk

# Verdict, limit, wanted, got, depth, evidence, remedy; `-` where there is none.
findings() {
    fresh >"$WORK/fresh"
    boot_modules >"$WORK/boot-modules"
    logins all >"$WORK/logins"
    [ -e "$WORK/record" ] || : >"$WORK/record"
    manager=no
    ! systemd || manager=yes
    awk -F '\t' -v command="$command" -v name="$NAME" -v systemd=$manager -v cards="$(cards | tr '\n' ' ')" \
        "$VALUES$FINDINGS" "$WORK/record" "$WORK/running" "$WORK/boot" "$WORK/fresh" "$WORK/boot-modules" \
        "$WORK/logins" "$WORK/trouble" "$TABLE"
    hardware_findings
}

# One finding for each thing that rollback could not put back.
left_findings() {
    awk -F '\t' 'BEGIN { OFS = "\t" }
        {
            remedy = "set it by hand if you want another value"
            if ($1 == "module") remedy = "reboot, or run rollback again once nothing uses it"
            print "short", $2, "-", "-", "applied", "left as it is: " $3, remedy
        }' "$WORK/left"
}

# How full the conntrack table is: a full table drops every new client.
conntrack_fill() {
    awk -v root="$ROOT/proc/sys/net/netfilter/" -v porcelain=$porcelain "$CONNTRACK_FILL"
}

# Shows $WORK/findings; fails if any is not as wanted. It reads a file, because in a pipe nobody sees a writer that
# dies.
show() {
    if [ $porcelain = yes ]; then
        sed "s/^/finding$TAB/" "$WORK/findings"
    else
        # A remedy that many lines share is said once, below them.
        awk -F '\t' "$SHOW" "$WORK/findings"
    fi
    ! grep -q "^short$TAB" "$WORK/findings"
}

finish() {
    [ $porcelain = no ] || printf 'end\t%s\n' "$1"
    explained
    exit "$1"
}
