# What all stacks on this host want together, from their limits.tsv. Of two wishes for one thing the greater value wins.
# Output: kind, name, compare, value.

function wish(kind, name, compare, value,   id) {
    id = kind "\t" name
    rule[id] = compare
    want[id] = merge(compare, want[id], value)
}

$1 ~ /^(sysctl|sysfs|irq|ring)$/ { wish($1, $2, $3, $4) }

# `*` does not cover root, and root may have more than the others.
$1 == "login" {
    wish("login", $6 "/*", $3, $4)
    wish("login", $6 "/root", $3, $4)
}

$1 == "sysctl" && $5 != "-" { wish("module", $5, "equal", "loaded") }

$2 == "net.core.default_qdisc" {
    n = split(cards, card, " ")
    for (i = 1; i <= n; i++) wish("qdisc", card[i], "equal", $4)
}

# The last field: the property, then the units that get it.
$1 == "unit" {
    n = split($6, word, " ")
    for (i = 2; i <= n; i++) {
        wish("unit", word[i] "/" word[1], $3, $4)
        if (word[1] ~ /^Limit/) wish("limit", word[i] "/" word[1], $3, $4 " " $4)
    }
}

END { for (id in want) print id "\t" rule[id] "\t" want[id] }
