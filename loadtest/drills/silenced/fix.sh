# End the silence, then look at what it hid.
for id in $(amtool --alertmanager.url="$ALERTMANAGER_URL" silence query --quiet); do
    amtool --alertmanager.url="$ALERTMANAGER_URL" silence expire "$id"
done
"$MUSTER" restart email-consumer
