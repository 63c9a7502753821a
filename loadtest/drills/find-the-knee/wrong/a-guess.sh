# fails: state
# A round number.
"$MUSTER" drill answer --rate 300 --component host --kind saturation --cause processor-used-up
