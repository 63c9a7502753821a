//! `muster env`: where the parts of the running stack are, for commands that people paste.

use anyhow::Context;

use super::read_local;
use crate::console::print;
use crate::parts::postgres::SUPERUSER;
use crate::ports::{authority, url};

/// Prints assignments that any POSIX shell takes. The password is worth nothing outside this machine.
pub(super) fn run() -> anyhow::Result<()> {
    let (stack, _) = read_local()?.context("nothing was ever started here: `make up` first")?;
    let ports = stack.config.ports;
    let variables = [
        ("ORDERS_URL", url(ports.orders())),
        ("ORDERS_ADMIN_URL", url(ports.orders_admin())),
        ("URL_SHORTENER_URL", url(ports.url_shortener())),
        ("URL_SHORTENER_ADMIN_URL", url(ports.url_shortener_admin())),
        ("EMAIL_CONSUMER_ADMIN_URL", url(ports.email_consumer_admin())),
        ("PROMETHEUS_URL", url(ports.prometheus())),
        ("ALERTMANAGER_URL", url(ports.alertmanager())),
        ("MAILBOX_URL", url(ports.mailbox_api())),
        ("KAFKA_BOOTSTRAP_SERVERS", authority(ports.kafka())),
        ("PGHOST", "127.0.0.1".to_owned()),
        ("PGPORT", ports.postgres().to_string()),
        ("PGUSER", SUPERUSER.to_owned()),
        ("PGPASSWORD", stack.config.secrets.random(SUPERUSER)?),
    ];
    for (name, value) in variables {
        print(format_args!("export {name}={value}"));
    }
    Ok(())
}
