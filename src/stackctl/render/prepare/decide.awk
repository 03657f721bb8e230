# From the gathered facts to the values that files get, and to the actions. Writes targets (kind, name, value) and
# prints actions (action, kind, name, to, from).

BEGIN { OFS = "\t" }

FILENAME ~ /\/record$/ {
    id = $1 "\t" $2
    known[id] = 1
    before[id] = norm($3)
    set_to[id] = norm($4)
    next
}
FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
FILENAME ~ /\/boot$/ { other["sysctl\t" $1] = $4; next }
FILENAME ~ /\/logins-others$/ { now["login\t" $1] = $2; next }
FILENAME ~ /\/wishes$/ {
    wish[$1 "\t" $2] = norm($4)
    rule[$1 "\t" $2] = $3
    next
}

END {
    for (id in wish) {
        cur = now[id]
        # What the host has without us: where our value is still in force, the one from before it.
        base = cur
        if (known[id] && (cur == set_to[id] || id ~ /^unit/)) base = before[id]
        target = wish[id]
        if (rule[id] != "equal" && base != "" && base !~ /^!/) target = merge(rule[id], target, base)
        final = target
        if (rule[id] != "equal") final = merge(rule[id], target, other[id])
        print id, final >(work "/targets")
        wished(id, cur, target)
    }
    for (id in known) if (!(id in wish) && id !~ /^(file|dir|enabled)\t/) unwished(id)
}

# The action for a thing that a stack wants.
function wished(id, cur, target) {
    # Files alone set a login limit. What cannot be read is not set, except for a module, which is absent then.
    if (id ~ /^login/) return
    if ((cur == "" || cur ~ /^!/) && id !~ /^module/) return
    if (id ~ /^unit/) {
        if (!known[id]) print "note", id, cur, cur
    } else if (command == "rollback") {
        if (known[id] && cur == set_to[id] && cur != target) print "lower", id, target, cur
    } else if (cur != target)
        print "set", id, target, cur == "" ? "absent" : cur
    else if (!known[id])
        print "note", id, cur, cur
}

# The action for a thing that is recorded and that no stack wants any more.
function unwished(id,   cur) {
    cur = now[id]
    if (id ~ /^module/ && cur == "") cur = "absent"
    if (cur == before[id] || before[id] == set_to[id] || id ~ /^unit/) print "forget", id, "", cur
    else if (cur == set_to[id]) print "restore", id, before[id], cur
    else print "leave", id, before[id], cur
}
