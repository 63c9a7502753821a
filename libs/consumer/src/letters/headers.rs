//! Headers of a dead letter and of its replay: bookkeeping is replaced, every other header stays byte for byte.

use events::header::REPLAYS;
use rdkafka::{
    Message as _,
    message::{Header, Headers as _, OwnedHeaders, OwnedMessage},
};

/// The names of the headers that say why and where an event became a dead letter.
pub(super) const BOOKKEEPING: [&str; 10] = [
    "dead-letter-topic",
    "dead-letter-partition",
    "dead-letter-offset",
    "dead-letter-timestamp",
    "dead-letter-group",
    "dead-letter-code",
    "dead-letter-reason",
    "dead-letter-attempts",
    "dead-letter-retries",
    "dead-letter-at",
];

/// The headers of a replay: those of the event, with one more replay. A consumer handles an event that it gave up again because of the
/// count.
pub(super) fn replayed(letter: Option<&OwnedHeaders>, replays: u32) -> OwnedHeaders {
    let headers = without(letter, |name| name == REPLAYS || BOOKKEEPING.contains(&name));
    let replays = replays.saturating_add(1).to_string();
    headers.insert(Header { key: REPLAYS, value: Some(&replays) })
}

/// How often the event was replayed.
pub(super) fn replays(letter: &OwnedMessage) -> u32 {
    text(letter, REPLAYS).and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// The first header of this name, if it is text.
pub(super) fn text<'a>(message: &'a OwnedMessage, name: &str) -> Option<&'a str> {
    let header = message.headers()?.iter().find(|header| header.key == name)?;
    std::str::from_utf8(header.value?).ok()
}

fn without(headers: Option<&OwnedHeaders>, is_removed: impl Fn(&str) -> bool) -> OwnedHeaders {
    let headers = headers.into_iter().flat_map(|headers| headers.iter());
    headers
        .filter(|header| !is_removed(header.key))
        .fold(OwnedHeaders::new(), |all, header| all.insert(Header { key: header.key, value: header.value }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::headers::replaced;

    const PREFIX: &str = "dead-letter-";

    type Plain = Vec<(String, Option<Vec<u8>>)>;

    fn headers(plain: &Plain) -> OwnedHeaders {
        plain.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(Header { key, value: value.as_deref() })
        })
    }

    fn plain(headers: &OwnedHeaders) -> Plain {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    }

    fn dead(event: &OwnedHeaders, round: u32) -> OwnedHeaders {
        let added: Vec<_> = BOOKKEEPING
            .iter()
            .map(|name| (name.strip_prefix(PREFIX).unwrap(), format!("round {round}")))
            .collect();
        replaced(&plain(event), PREFIX, &added)
    }

    fn bookkeeping(round: u32) -> Plain {
        BOOKKEEPING
            .iter()
            .map(|name| ((*name).to_owned(), Some(format!("round {round}").into_bytes())))
            .collect()
    }

    proptest! {
        /// A few names, so that some occur twice; values may be null or no text.
        #[test]
        fn rounds_of_failure_and_replay_change_only_the_bookkeeping(
            event in prop::collection::vec(("[a-c]{1,2}", prop::option::of(prop::collection::vec(any::<u8>(), 0..4))), 0..8),
            rounds in 1_u32..6,
        ) {
            let mut current = headers(&event);
            for round in 0..rounds {
                let letter = dead(&current, round);
                let mut expected = plain(&current);
                expected.extend(bookkeeping(round));
                prop_assert_eq!(plain(&letter), expected);

                current = replayed(Some(&letter), round);
                let mut expected = event.clone();
                expected.push((REPLAYS.to_owned(), Some((round + 1).to_string().into_bytes())));
                prop_assert_eq!(plain(&current), expected);
            }
        }

        #[test]
        fn an_event_that_still_has_bookkeeping_gets_each_header_once(round in 0_u32..3) {
            let letter = dead(&dead(&OwnedHeaders::new(), round), round + 1);
            prop_assert_eq!(plain(&letter), bookkeeping(round + 1));
        }
    }
}
