//! `traceparent` by the grammar of W3C Trace Context.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

use super::OWS;

/// Reads trace id, span id, and whether the trace is recorded; `None` when the value is malformed.
///
/// Of a version above 00 only these parts are read. Other flags are ignored.
pub(super) fn read(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let mut parts = text.trim_matches(OWS).splitn(5, '-');
    let version = hex(parts.next()?, 2)?;
    let trace = TraceId::from_hex(hex(parts.next()?, 32)?).ok()?;
    let span = SpanId::from_hex(hex(parts.next()?, 16)?).ok()?;
    let flags = u8::from_str_radix(hex(parts.next()?, 2)?, 16).ok()?;
    let is_known = version != "ff" && (version != "00" || parts.next().is_none());
    let is_valid = is_known && trace != TraceId::INVALID && span != SpanId::INVALID;
    is_valid.then(|| (trace, span, TraceFlags::new(flags) & TraceFlags::SAMPLED))
}

/// Writes version 00; `None` without a trace.
pub(super) fn write(span: &SpanContext) -> Option<String> {
    let flags = span.trace_flags().to_u8();
    span.is_valid().then(|| format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id()))
}

/// This many lower-case hexadecimal digits.
fn hex(text: &str, len: usize) -> Option<&str> {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == len && text.bytes().all(is_digit)).then_some(text)
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceState;
    use proptest::{prelude::any, prop_assert_eq, proptest};

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn written(text: &str) -> Option<String> {
        let (trace, span, flags) = read(text)?;
        write(&SpanContext::new(trace, span, flags, true, TraceState::NONE))
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        let unsampled = EXAMPLE.replace("-01", "-00");
        for text in [EXAMPLE, &unsampled] {
            assert_eq!(written(text).as_deref(), Some(text));
        }
        let later = EXAMPLE.replace("00-4", "cc-4");
        for text in [&later, &format!("{later}-what-the-future-will-be-like"), &format!(" {EXAMPLE}\t")] {
            assert_eq!(written(text).as_deref(), Some(EXAMPLE));
        }
        assert_eq!(
            written(&EXAMPLE.replace("-01", "-03")).as_deref(),
            Some(EXAMPLE),
            "the other flag is ignored"
        );
    }

    #[test]
    fn a_value_outside_the_grammar_is_not_read() {
        let zeros = |digits: &str| EXAMPLE.replace(digits, &"0".repeat(digits.len()));
        for text in [
            "",
            "junk",
            "00-1-2-01",
            &EXAMPLE.replace("00-4", "ff-4"),
            &EXAMPLE.replace("00-4", "0-4"),
            &EXAMPLE.replace("4bf9", "4BF9"),
            &EXAMPLE.replace("4bf9", "+bf9"),
            &EXAMPLE.replace("4bf9", "4bf"),
            &EXAMPLE.replace("-01", "-1"),
            &EXAMPLE.replace("-01", ""),
            &format!("{EXAMPLE}-"),
            &format!("{EXAMPLE},{EXAMPLE}"),
            &zeros("4bf92f3577b34da6a3ce929d0e0e4736"),
            &zeros("00f067aa0ba902b7"),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., is_sampled in any::<bool>()) {
            let flags = TraceFlags::default().with_sampled(is_sampled);
            let ids = (TraceId::from(trace), SpanId::from(span), flags);
            let text = write(&SpanContext::new(ids.0, ids.1, flags, false, TraceState::NONE)).unwrap();
            prop_assert_eq!(read(&text), Some(ids));
        }

        #[test]
        fn no_text_ends_the_process(text in ".*") {
            read(&text);
        }
    }
}
