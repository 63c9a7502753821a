//! `muster dead-letters`: finds, shows, replays and discards dead letters through the API of email-consumer.

pub(crate) mod client;

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use auth::TokenRequest;

use self::client::{Client, Letter};
use crate::{checkout::Checkout, config::secrets, console::print, place::Place, secrets::Secrets};

/// The lifetime of a token: longer than a replay of 10,000 letters at 10 per second.
const TOKEN_TTL: Duration = Duration::from_hours(1);

/// Arguments of `muster dead-letters`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// Base URL of the API of email-consumer; default: that of the local stack.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// File with a bearer token that has the scopes dead-letters:read and dead-letters:write; default: a token of the development key.
    #[arg(long, global = true, value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// Who decides, in a token of the development key.
    #[arg(long, global = true, env = "USER", default_value = "local-developer")]
    actor: String,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the open letters.
    List(Filters),
    /// Show one letter: its event with personal data masked, why it failed, and what was decided.
    Show {
        /// The id of the letter.
        id: String,
    },
    /// Send the events of letters to their group again. Without --yes: say what would happen.
    Replay(Decision),
    /// End letters without handling their events. Without --yes: say what would happen.
    Discard {
        #[command(flatten)]
        decision: Decision,
        /// Why; kept with the decision. It must contain no personal data.
        #[arg(long)]
        reason: String,
    },
}

/// Which letters. All conditions hold.
#[derive(Debug, clap::Args)]
struct Filters {
    /// Only letters with this code.
    #[arg(long)]
    code: Option<String>,
    /// Only events of this type, such as `muster.orders.OrderConfirmed`.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only events of this order.
    #[arg(long, value_name = "UUID")]
    key: Option<String>,
    /// Only events of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only letters of this time or later (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only letters from before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Decision {
    /// The ids of letters; all that match the filters if left out.
    ids: Vec<String>,
    #[command(flatten)]
    filters: Filters,
    /// Every open letter; needed without an id and without a filter.
    #[arg(long)]
    all: bool,
    /// Do it.
    #[arg(long)]
    yes: bool,
    /// Letters per second at most, 1 to 100.
    #[arg(long, default_value_t = 10)]
    rate: u8,
}

impl Filters {
    fn query(&self) -> Vec<(&'static str, String)> {
        let values = [
            ("code", &self.code),
            ("type", &self.event_type),
            ("key", &self.key),
            ("tenant", &self.tenant),
            ("since", &self.since),
            ("until", &self.until),
        ];
        values.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

impl Decision {
    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = self.filters.query();
        if !self.ids.is_empty() {
            query.push(("ids", self.ids.join(",")));
        }
        query.extend([
            ("all", self.all.to_string()),
            ("dry_run", (!self.yes).to_string()),
            ("rate", self.rate.to_string()),
        ]);
        query
    }
}

/// Runs the command against `url`.
pub(crate) async fn run(place: Place, args: Args, url: String) -> anyhow::Result<()> {
    let token = match &args.token_file {
        Some(path) => {
            let token = std::fs::read_to_string(path);
            token.with_context(|| format!("{} cannot be read", path.display()))?.trim().to_owned()
        }
        None => development_token(&secrets(place, &Checkout::find()?)?, args.actor)?,
    };
    let client = Client { base: url, token };
    match args.command {
        Command::List(filters) => {
            let letters = client.list(filters.query(), print_letter).await?;
            print(Summary(&letters));
        }
        Command::Show { id } => print(client.show(&id).await?),
        Command::Replay(decision) => {
            let letters = client.replay(decision.query(), print_letter).await?;
            print_decision(&letters, "replayed", decision.yes);
        }
        Command::Discard { decision, reason } => {
            let letters = client.discard(decision.query(), &reason, print_letter).await?;
            print_decision(&letters, "discarded", decision.yes);
        }
    }
    Ok(())
}

/// A token of the development key, for this person.
pub(crate) fn development_token(secrets: &Secrets, actor: String) -> anyhow::Result<String> {
    let request = TokenRequest {
        subject: actor,
        // The scopes span all tenants; a token needs one nevertheless.
        tenant: "operators".parse().context("the tenant of operators")?,
        scopes: vec!["dead-letters:read".to_owned(), "dead-letters:write".to_owned()],
        ttl: TOKEN_TTL,
    };
    secrets.client_key()?.sign(&request).context("the token cannot be signed")
}

fn print_letter(letter: &Letter) {
    print(letter);
}

/// Letters of an answer that are decided; others may be in a decision that a killed process has begun.
pub(crate) fn n_decided(letters: &[Letter]) -> usize {
    letters.iter().filter(|letter| letter.state == "decided").count()
}

fn print_decision(letters: &[Letter], action: &str, yes: bool) {
    let (n_decided, n_letters) = (n_decided(letters), letters.len());
    if letters.is_empty() {
        print("No open letter matches.");
    } else if !yes {
        print(format_args!("{n_letters} would be {action}; --yes does it"));
    } else if n_decided == n_letters {
        print(format_args!("{n_letters} {action}"));
    } else {
        let n_others = n_letters - n_decided;
        print(format_args!(
            "{n_decided} {action}; {n_others} left, because a decision about them was begun: repeat in 30 s"
        ));
    }
}

/// The number of letters, by code.
pub(crate) struct Summary<'a>(pub(crate) &'a [Letter]);

impl Display for Summary<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(letters) = self;
        if letters.is_empty() {
            return formatter.write_str("There are no dead letters.");
        }
        let mut by_code = BTreeMap::<&str, usize>::new();
        for letter in *letters {
            *by_code.entry(letter.code.as_deref().unwrap_or("no code")).or_default() += 1;
        }
        let by_code: Vec<_> = by_code.iter().map(|(code, n_letters)| format!("{n_letters} {code}")).collect();
        write!(formatter, "{} dead letters: {}", letters.len(), by_code.join(", "))
    }
}
