# fails: state
# A round number.
"$MUSTER" drill answer --rate 3000 --component host --kind saturation --cause processor-used-up
