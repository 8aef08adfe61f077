# Adds up the runs of several test programs and prints their sum as the last line: "N passed, N failed".
# Reads their output and passes it on. The line of counts has the same form under both test providers:
# "… 12 passed, 0 ignored, 0 failed, 0 errored." Fails when a test failed, or when no program counted any.
{
    print
    fflush()
    gsub(/\033\[[0-9;]*m/, "")
    if (match($0, /[0-9,]+ passed, [0-9,]+ ignored, [0-9,]+ failed, [0-9,]+ errored/)) {
        counts = substr($0, RSTART, RLENGTH)
        split(counts, part, ", ")
        for (i = 1; i <= 4; i++) {
            number = part[i]
            gsub(/[^0-9]/, "", number)
            sum[i] += number
        }
        runs++
    }
}
END {
    printf "%d passed, %d failed", sum[1], sum[3] + sum[4]
    if (sum[2] > 0) printf ", %d skipped", sum[2]
    print ""
    exit (runs == 0 || sum[3] + sum[4] > 0) ? 1 : 0
}
