//! Where spans go: Zipkin, and the receiver that hands it what the services send as OTLP.

use std::sync::Arc;

use anyhow::Context;

use super::jvm;
use crate::part::{Part, Step};
use crate::ports::{authority, url};
use crate::process::Launch;
use crate::readiness::http_ok;
use crate::stack::StackConfig;

/// The trace store of a stack.
pub(crate) struct Zipkin {
    pub(crate) config: Arc<StackConfig>,
}

/// The address of Zipkin.
pub(crate) fn zipkin_url(config: &StackConfig) -> String {
    url(config.ports.zipkin())
}

/// The address that exporters of spans are given.
pub(crate) fn otlp_url(config: &StackConfig) -> String {
    url(config.ports.otlp())
}

impl Part for Zipkin {
    fn name(&self) -> &'static str {
        "zipkin"
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        vec![("its API and pages", self.config.ports.zipkin())]
    }

    fn address(&self) -> String {
        format!("{}/zipkin/", zipkin_url(&self.config))
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        Ok(jvm::java(128, &self.config.dir("tmp"))
            .arg("-Darmeria.ports[0].ip=127.0.0.1")
            .arg(format!("-Darmeria.ports[0].port={}", self.config.ports.zipkin()))
            .arg("-Darmeria.ports[0].protocols[0]=http")
            // Its own resolver of names would listen on every interface for answers.
            .args(["-Dcom.linecorp.armeria.useJdkDnsResolver=true", "-jar"])
            .arg(self.config.checkout.parts_dir().join("zipkin.jar"))
            .env("MEM_MAX_SPANS", "50000"))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async { http_ok(&format!("{}/health", zipkin_url(&self.config))).await })
    }
}

/// The OTLP receiver of a stack: this program itself, with another command.
pub(crate) struct OtlpReceiver {
    pub(crate) config: Arc<StackConfig>,
}

impl Part for OtlpReceiver {
    fn name(&self) -> &'static str {
        "otlp-receiver"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["zipkin"]
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        vec![("exporters of spans", self.config.ports.otlp())]
    }

    fn address(&self) -> String {
        otlp_url(&self.config)
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let this_program = std::env::current_exe().context("the path of this program")?;
        Ok(Launch::new(this_program)
            .args(["otlp-receiver", "--listen", &authority(self.config.ports.otlp())])
            .args(["--zipkin-url", &zipkin_url(&self.config)]))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async { http_ok(&format!("{}/health", otlp_url(&self.config))).await })
    }
}
