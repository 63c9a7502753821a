//! Headers of a message: those of its producer, which never change, and those of the retry and dead-letter topics, which are replaced.

use chrono::{DateTime, SecondsFormat, Utc};
use events::header::REPLAYS;
use rdkafka::message::{Header, Headers as KafkaHeaders, OwnedHeaders};

use crate::source::Origin;

/// Names and values in their order. A name can be repeated, and a value can be missing.
pub(crate) type Headers = Vec<Pair>;

type Pair = (String, Option<Vec<u8>>);

/// The prefix of the headers of a retry topic.
const RETRY: &str = "retry-";

/// What the headers of a retry topic say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) origin: Option<Origin>,
    pub(crate) retries: usize,
    pub(crate) not_before: Option<DateTime<Utc>>,
}

/// The headers of a message.
pub(crate) fn read(headers: &impl KafkaHeaders) -> Headers {
    let pairs = headers.iter();
    pairs.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
}

/// The same as headers of a message.
pub(crate) fn write<'a>(headers: impl IntoIterator<Item = &'a Pair>) -> OwnedHeaders {
    let headers = headers.into_iter();
    headers.fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: value.as_deref() }))
}

/// The text of the first header with this name.
pub(crate) fn text<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().find(|(key, _)| key == name)?;
    std::str::from_utf8(value.as_deref()?).ok()
}

/// How often the event was replayed from the dead-letter topic.
pub(crate) fn replays(headers: &Headers) -> u32 {
    text(headers, REPLAYS).and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// Separates the headers of a retry topic from those of the producer.
pub(crate) fn take_retry(headers: Headers) -> (Headers, Retry) {
    let (added, kept): (Headers, Headers) =
        headers.into_iter().partition(|(name, _)| name.starts_with(RETRY));
    let find = |name: &str| text(&added, &format!("{RETRY}{name}"));
    let origin = || {
        Some(Origin {
            topic: find("topic")?.to_owned(),
            partition: find("partition")?.parse().ok()?,
            offset: find("offset")?.parse().ok()?,
            written_at: find("timestamp")?.parse().ok()?,
        })
    };
    let retry = Retry {
        origin: origin(),
        retries: find("number").and_then(|number| number.parse().ok()).unwrap_or_default(),
        not_before: find("not-before").and_then(|at| at.parse().ok()),
    };
    (kept, retry)
}

/// The headers of an event in a retry topic.
pub(crate) fn with_retry(
    headers: &Headers,
    origin: &Origin,
    retries: usize,
    not_before: DateTime<Utc>,
) -> OwnedHeaders {
    let Origin { topic, partition, offset, written_at } = origin;
    let added = [
        ("topic", topic.clone()),
        ("partition", partition.to_string()),
        ("offset", offset.to_string()),
        ("timestamp", time(*written_at)),
        ("number", retries.to_string()),
        ("not-before", time(not_before)),
    ];
    replaced(headers, RETRY, &added)
}

/// Replaces all headers with this prefix by these.
pub(crate) fn replaced(headers: &Headers, prefix: &str, added: &[(&str, String)]) -> OwnedHeaders {
    let kept = write(headers.iter().filter(|(name, _)| !name.starts_with(prefix)));
    added.iter().fold(kept, |all, (name, value)| {
        all.insert(Header { key: &format!("{prefix}{name}"), value: Some(value) })
    })
}

/// RFC 3339 in UTC, with milliseconds.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_a_producer_survive_any_number_of_rounds_unchanged() {
        let at = |text: &str| text.parse().unwrap();
        let mut headers: Headers = vec![
            ("event-id".to_owned(), Some(b"1".to_vec())),
            ("note".to_owned(), None),
            ("note".to_owned(), Some(vec![0xff, 0])),
        ];
        let origin = Origin {
            topic: "records".to_owned(),
            partition: 3,
            offset: 14,
            written_at: at("2026-11-30T10:00:00.123Z"),
        };
        let original = headers.clone();
        for round in 1..5 {
            let not_before = at("2026-11-30T11:00:00Z");
            let sent = read(&with_retry(&headers, &origin, round, not_before));
            assert_eq!(sent.len(), original.len() + 6, "{sent:?}");
            let (kept, retry) = take_retry(sent);
            assert_eq!(kept, original);
            assert_eq!(
                retry,
                Retry { origin: Some(origin.clone()), retries: round, not_before: Some(not_before) }
            );
            headers = kept;
        }
    }
}
