# fails: state
# What a comparison of averages suggests.
"$MUSTER" drill answer --choice neither --component none --kind none --cause nothing
