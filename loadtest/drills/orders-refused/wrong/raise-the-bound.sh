# fails: steady
# The shop is open, and no mail leaves.
"$MUSTER" deploy orders --set ORDERS_MAX_UNPUBLISHED_AGE_S=86400 --release open-the-shop
