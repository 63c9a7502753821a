# fails: state
"$MUSTER" drill answer --rate 5000 --component host --kind saturation --cause processor-used-up
