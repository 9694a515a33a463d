//! What a file wants to be told of a run that has ended: metrics in a file, and webhooks.

use super::config::Config;
use super::notify;
use super::report::Report;
use super::stop::Stop;

/// Writes the metrics that a configuration wants, and tells whom it names. Gives a warning for each
/// thing that did not work out: the run itself is not the worse for it. When the run was stopped from
/// outside nobody is told, for whoever stopped it knows, and does not want to wait.
pub async fn announce(config: &Config, report: &Report, stop: &Stop) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(path) = &config.metrics.textfile
        && let Err(error) = report.write_textfile(path)
    {
        warnings.push(error.in_one_line());
    }
    match stop.cuts(None, notify::all(&config.notify, report)).await {
        Ok(failed) => warnings.extend(failed),
        Err(_) if config.notify.is_empty() => {}
        Err(why) => warnings.push(format!("`notify` was left out: {why}")),
    }
    warnings
}
