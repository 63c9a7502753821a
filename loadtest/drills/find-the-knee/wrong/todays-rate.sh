# fails: state
# To be on the safe side.
"$MUSTER" drill answer --rate 1 --component host --kind saturation --cause processor-used-up
