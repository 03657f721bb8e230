# Lists of CPUs, and their masks. A mask is compared without leading zeros: 00000000,00000003 is 3.

function members(list, into,   part, n, i, ends, c, count) {
    n = split(list, part, /[, ]/)
    for (i = 1; i <= n; i++) {
        if (part[i] !~ /^[0-9]+(-[0-9]+)?$/) continue
        if (split(part[i], ends, "-") == 1) ends[2] = ends[1]
        for (c = ends[1] + 0; c <= ends[2] + 0; c++) into[++count] = c
    }
    return count + 0
}
function grouped(hex,   out) {
    while (length(hex) > 8) {
        out = "," substr(hex, length(hex) - 7) out
        hex = substr(hex, 1, length(hex) - 8)
    }
    return hex out
}
function canonical(mask) {
    gsub(/,/, "", mask)
    sub(/^0+/, "", mask)
    return grouped(mask == "" ? "0" : tolower(mask))
}
# The mask of every step-th CPU of cpu[1..n], from the first-th on.
function mask_of(cpu, n, first, step,   i, nibble, top, hex) {
    for (i = first; i <= n; i += step) {
        # Not 2 ^ n: an awk of busybox may come without powers.
        nibble[int(cpu[i] / 4)] += substr("1248", cpu[i] % 4 + 1, 1)
        if (int(cpu[i] / 4) > top) top = int(cpu[i] / 4)
    }
    for (i = top + 0; i >= 0; i--) hex = hex sprintf("%x", nibble[i] + 0)
    return canonical(hex)
}
