# Functions on values: every decision is made with these. Numbers are compared as text, so that 2^63-1 stays exact.

# Returns text: awk compares fields that look like numbers as numbers, and takes neighbours above 2^53 for equal.
function norm(v) { gsub(/[ \t]+/, " ", v); sub(/^ /, "", v); sub(/ $/, "", v); return v "" }
function num(v) {
    if (v ~ /^0[0-9]+$/) { sub(/^0+/, "", v); if (v == "") v = "0" }
    return v == "infinity" || v == "unlimited" || v == "max" || v == "-1" ? "9223372036854775807" : v
}
function isnum(v) { return num(v) ~ /^[0-9]+$/ }
function ge(a, b) {
    a = num(a) ""; b = num(b) ""
    return length(a) != length(b) ? length(a) > length(b) : (a "x") >= (b "x")
}
# Whether an observed value is as wanted: equal, at-least (member by member), or covers (a range that contains it).
function holds(compare, got, want,   g, w, n, i) {
    n = split(want, w, " ")
    if (split(got, g, " ") != n) return 0
    if (compare == "equal") return norm(got) == norm(want)
    for (i = 1; i <= n; i++) if (!isnum(g[i]) || !isnum(w[i])) return 0
    if (compare == "covers") return ge(w[1], g[1]) && ge(g[2], w[2])
    for (i = 1; i <= n; i++) if (!ge(g[i], w[i])) return 0
    return 1
}
# The value that satisfies both. Of two words the first stays: neither is greater.
function merge(compare, a, b,   x, y, n, i, out) {
    if (a == "") return b
    n = split(a, x, " ")
    if (split(b, y, " ") != n) return a
    for (i = 1; i <= n; i++) {
        if (!isnum(x[i]) || !isnum(y[i])) return a
        out = out (i > 1 ? " " : "") ((compare == "covers" && i == 1) == ge(x[i], y[i]) ? y[i] : x[i])
    }
    return out
}
