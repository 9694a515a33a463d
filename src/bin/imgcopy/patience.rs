//! How often a registry is asked again, and how long it is waited for: the options for it.

use std::time::Duration;

use clap::Args;

use imgcopy::store::registry::{Limits, Options, RetryPolicy};

/// How often to try, and how long to wait.
#[derive(Debug, Args)]
pub(crate) struct Patience {
    /// How often a request is repeated that may yet succeed
    #[arg(long, value_name = "N", default_value_t = 4, hide_short_help = true)]
    retry_times: u32,

    /// How long to wait before the first repetition; doubles each time
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration, hide_short_help = true)]
    retry_delay: Duration,

    /// How long to wait at most when a registry asks for it
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, hide_short_help = true)]
    max_retry_wait: Duration,

    /// How long nothing may move before a transfer counts as stalled
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, hide_short_help = true)]
    timeout: Duration,

    /// A token server of another site that may have the credentials
    #[arg(long, value_name = "HOST", hide_short_help = true)]
    trusted_realm: Vec<String>,
}

impl Patience {
    /// At least so many repetitions, and everything else as it is by default. What skopeo calls none still
    /// takes up downloads that broke off, and repeats what a registry put off.
    pub(crate) fn of_times(retry_times: u32) -> Self {
        let retry = RetryPolicy::default();
        Self {
            retry_times: retry_times.max(retry.times),
            retry_delay: retry.delay,
            max_retry_wait: retry.max_wait,
            timeout: Limits::default().idle,
            trusted_realm: Vec::new(),
        }
    }

    /// With what files and the environment say, and nothing else.
    pub(crate) fn options(&self) -> imgcopy::error::Result<Options> {
        let mut options = Options::of_process()?;
        self.set(&mut options);
        Ok(options)
    }

    /// As registries are asked.
    pub(crate) fn set(&self, options: &mut Options) {
        options.retry.times = self.retry_times;
        options.retry.delay = self.retry_delay;
        options.retry.max_wait = self.max_retry_wait;
        options.limits.idle = self.timeout;
        options.limits.source = self.timeout * 3 / 4;
        options.limits.answer = self.timeout;
        options.trusted_realms.clone_from(&self.trusted_realm);
    }
}

/// `500ms`, `60s`, `5m`, `1h`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> std::result::Result<Duration, String> {
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("write it as 500ms, 60s, 5m or 1h".to_string()),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "a number comes first, as in 60s".to_string())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| "it is too long".to_string())
}
