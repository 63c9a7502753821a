# fails: steady
# The ticket is gone, and the objective is still not measured.
amtool --alertmanager.url="$ALERTMANAGER_URL" silence add alertname=SliVanished --duration=10m --author=on-call --comment='users are not affected' >/dev/null
