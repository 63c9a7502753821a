//! The environment variables of OpenTelemetry's specification ("Environment Variable Specification", sections "Parsing empty value", "Boolean" and
//! "Enum"): an empty one counts as unset, words are case-insensitive, and an invalid value is reported and ignored.

use std::{fmt, str::FromStr, time::Duration};

use opentelemetry_sdk::trace::Sampler;

use crate::Config;

/// How long a finished span waits for its batch. The default of the specification is five seconds, long for a person who looks for a trace.
const SCHEDULE_DELAY: Duration = Duration::from_secs(1);

/// The values of the variables.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) disabled: bool,
    pub(crate) exporter: Exporter,
    pub(crate) service_name: Option<String>,
    pub(crate) schedule_delay: Duration,
    pub(crate) sampler: Sampler,
    /// Ignored values, logged once the log exists.
    pub(crate) warnings: Vec<String>,
}

/// Where spans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exporter {
    /// To `OTEL_EXPORTER_OTLP_ENDPOINT`, as OTLP over HTTP.
    Otlp,
    /// Nowhere. Trace ids are still made, logged and propagated.
    None,
}

impl Settings {
    pub(crate) fn read(config: &Config) -> Self {
        let mut warnings = Vec::new();
        let disabled = word(config.otel_sdk_disabled.as_deref(), |word| match word {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        });
        let exporter = word(config.otel_traces_exporter.as_deref(), |word| match word {
            "otlp" => Some(Exporter::Otlp),
            "none" => Some(Exporter::None),
            _ => None,
        });
        let delay = number::<u64>(config.otel_bsp_schedule_delay.as_deref(), |delay| *delay >= 1);
        Self {
            disabled: or_warn(&mut warnings, "OTEL_SDK_DISABLED", disabled, false),
            exporter: or_warn(&mut warnings, "OTEL_TRACES_EXPORTER", exporter, Exporter::Otlp),
            service_name: given(config.otel_service_name.as_deref()).map(str::to_owned),
            schedule_delay: or_warn(
                &mut warnings,
                "OTEL_BSP_SCHEDULE_DELAY",
                delay.map(|delay| delay.map(Duration::from_millis)),
                SCHEDULE_DELAY,
            ),
            sampler: sampler(config, &mut warnings),
            warnings,
        }
    }
}

fn sampler(config: &Config, warnings: &mut Vec<String>) -> Sampler {
    let ratio = number::<f64>(config.otel_traces_sampler_arg.as_deref(), |ratio| (0.0..=1.0).contains(ratio));
    let ratio = or_warn(warnings, "OTEL_TRACES_SAMPLER_ARG", ratio, 1.0);
    let parent_based = |root| Sampler::ParentBased(Box::new(root));
    let sampler = word(config.otel_traces_sampler.as_deref(), |word| match word {
        "always_on" => Some(Sampler::AlwaysOn),
        "always_off" => Some(Sampler::AlwaysOff),
        "traceidratio" => Some(Sampler::TraceIdRatioBased(ratio)),
        "parentbased_always_on" => Some(parent_based(Sampler::AlwaysOn)),
        "parentbased_always_off" => Some(parent_based(Sampler::AlwaysOff)),
        "parentbased_traceidratio" => Some(parent_based(Sampler::TraceIdRatioBased(ratio))),
        _ => None,
    });
    or_warn(warnings, "OTEL_TRACES_SAMPLER", sampler, parent_based(Sampler::AlwaysOn))
}

/// Returns the value of a variable that is set.
fn given(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|value| !value.is_empty())
}

/// Returns `None` for an unset variable.
///
/// # Errors
/// The value is invalid; returns it.
fn word<T>(value: Option<&str>, known: impl Fn(&str) -> Option<T>) -> Result<Option<T>, String> {
    let Some(value) = given(value) else { return Ok(None) };
    known(&value.to_ascii_lowercase()).map(Some).ok_or_else(|| value.to_owned())
}

fn number<T: FromStr>(value: Option<&str>, is_valid: impl Fn(&T) -> bool) -> Result<Option<T>, String> {
    let Some(value) = given(value) else { return Ok(None) };
    value.parse().ok().filter(is_valid).map(Some).ok_or_else(|| value.to_owned())
}

fn or_warn<T: fmt::Debug>(
    warnings: &mut Vec<String>,
    name: &str,
    value: Result<Option<T>, String>,
    default: T,
) -> T {
    match value {
        Ok(value) => value.unwrap_or(default),
        Err(value) => {
            warnings.push(format!("{name}: `{value}` is not a valid value; {default:?} applies"));
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        telemetry: Config,
    }

    fn read(arguments: &[&str]) -> Settings {
        let program = Program::try_parse_from([&["program"], arguments].concat());
        Settings::read(&program.unwrap_or_else(|refusal| panic!("{arguments:?}: {refusal}")).telemetry)
    }

    fn sampler(arguments: &[&str]) -> String {
        format!("{:?}", read(arguments).sampler)
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let settings = read(&[
            "--otel-sdk-disabled=",
            "--otel-traces-exporter=",
            "--otel-service-name=",
            "--otel-bsp-schedule-delay=",
            "--otel-traces-sampler=",
            "--otel-traces-sampler-arg=",
        ]);
        assert_eq!(format!("{settings:?}"), format!("{:?}", read(&[])));
        assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    }

    #[test]
    fn words_are_case_insensitive() {
        for (value, disabled) in [("TRUE", true), ("True", true), ("false", false), ("FALSE", false)] {
            assert_eq!(read(&["--otel-sdk-disabled", value]).disabled, disabled, "{value}");
        }
        assert!(read(&["--otel-sdk-disabled"]).disabled);
        assert_eq!(read(&["--otel-traces-exporter", "None"]).exporter, Exporter::None);
        assert_eq!(sampler(&["--otel-traces-sampler", "ALWAYS_OFF"]), "AlwaysOff");
    }

    #[test]
    fn an_invalid_value_is_reported_and_ignored() {
        for (option, value) in [
            ("--otel-sdk-disabled", "yes"),
            ("--otel-traces-exporter", "zipkin"),
            ("--otel-bsp-schedule-delay", "-5"),
            ("--otel-bsp-schedule-delay", "0"),
            ("--otel-traces-sampler", "xray"),
            ("--otel-traces-sampler-arg", "NaN"),
            ("--otel-traces-sampler-arg", "1.5"),
        ] {
            let settings = read(&[&format!("{option}={value}")]);
            assert!(settings.warnings.len() == 1 && settings.warnings[0].contains(value), "{settings:?}");
            assert_eq!(
                format!("{:?}", Settings { warnings: Vec::new(), ..settings }),
                format!("{:?}", read(&[]))
            );
        }
    }

    #[test]
    fn only_a_ratio_sampler_uses_the_ratio() {
        let ratio = ["--otel-traces-sampler-arg", "0.01"];
        let of = |name| sampler(&[&["--otel-traces-sampler", name], &ratio[..]].concat());
        assert_eq!(of("traceidratio"), "TraceIdRatioBased(0.01)");
        assert_eq!(of("parentbased_traceidratio"), "ParentBased(TraceIdRatioBased(0.01))");
        assert_eq!(sampler(&ratio), "ParentBased(AlwaysOn)");
    }
}
