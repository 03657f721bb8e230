# What a login gets. Input: the files that PAM reads, in its order.
# Output: item/domain, soft and hard, the file that decides.

{
    path = $0
    while ((getline < path) > 0) {
        sub(/#.*/, "")
        if (NF != 4 || $1 != "*" && $1 != "root") continue
        id = $3 "/" $1
        if ($2 != "hard") soft[id] = num($4)
        if ($2 != "soft") hard[id] = num($4)
        from[id] = substr(path, length(root) + 1)
    }
    close(path)
}
END {
    for (id in from) if (which == "others" || (id in soft) && (id in hard))
        print id "\t" (id in soft ? soft[id] : 0) " " (id in hard ? hard[id] : 0) "\t" from[id]
}
