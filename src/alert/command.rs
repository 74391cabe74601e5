//! `pgseal.alert_command`: gets the text of an alarm on standard input.

use super::deliver::{Delivered, Undelivered};
use crate::command::{CommandError, ShellCommand};
use crate::settings;
use std::time::Duration;

const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How much the command may print.
const MAX_OUTPUT: usize = 64 * 1024;

pub fn run(text: &str, stop: &dyn Fn() -> bool) -> Result<Delivered, Undelivered> {
    let Some(line) = settings::alert::command() else {
        return Err(Undelivered::Failed("pgseal.alert_command is not set any more".to_owned()));
    };
    let command =
        ShellCommand { line: &line, input: Some(text.as_bytes()), time_limit: TIME_LIMIT, max_output: MAX_OUTPUT };
    match command.run(stop) {
        Ok(_) => Ok(Delivered { answer: "exit status 0".to_owned(), remark: None }),
        Err(CommandError::Stopped) => Err(Undelivered::Stopped),
        Err(error) => Err(Undelivered::Failed(format!("pgseal.alert_command {error}"))),
    }
}
