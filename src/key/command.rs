//! Runs the KMS hook: a shell command that prints the secret.

use super::fault::KeyFault;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const STDERR_SHOWN: usize = 400;

/// Standard output of `sh -c command`, run in its own process group and without standard input.
/// After `limit` the whole group gets SIGKILL, which nothing can ignore. The standard library
/// starts the child with no signal blocked, whatever the server has blocked.
pub fn output(command: &str, limit: Duration, max_bytes: usize) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(not_started)?;
    let group = Pid::from_raw(child.id() as i32);
    let collected = collect(&mut child, Instant::now() + limit, max_bytes);
    // The child may have left processes behind that hold the pipes or the secret.
    let _ = killpg(group, Signal::SIGKILL);
    let status = child.wait().map_err(not_started)?;
    let (stdout, stderr, ended) = collected?;
    if !ended {
        return Err(KeyFault::TimedOut { seconds: limit.as_secs() });
    }
    if stdout.len() > max_bytes {
        return Err(KeyFault::TooMuchOutput(max_bytes));
    }
    if !status.success() {
        return Err(KeyFault::CommandFailed { status: describe(status), stderr: quote(&stderr, &stdout) });
    }
    Ok(stdout)
}

fn not_started(error: std::io::Error) -> KeyFault {
    KeyFault::NotStarted { reason: error.to_string() }
}

type Collected = (Zeroizing<Vec<u8>>, Vec<u8>, bool);

/// Reads both pipes until the child closes them and ends, or the deadline passes.
fn collect(child: &mut Child, deadline: Instant, max_bytes: usize) -> Result<Collected, KeyFault> {
    let mut stdout = child.stdout.take();
    let mut stderr = child.stderr.take();
    // Reserved whole, so that no reallocation leaves a copy of the secret behind.
    let mut printed = Zeroizing::new(Vec::with_capacity(2 * max_bytes));
    let mut complained = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok((printed, complained, false));
        }
        if child.try_wait().map_err(not_started)?.is_some() {
            drain(&mut stdout, &mut stderr, &mut printed, &mut complained, max_bytes);
            return Ok((printed, complained, true));
        }
        wait_for_input(stdout.as_ref(), stderr.as_ref(), left.min(Duration::from_millis(20)));
        drain(&mut stdout, &mut stderr, &mut printed, &mut complained, max_bytes);
        if printed.len() > max_bytes {
            return Ok((printed, complained, true));
        }
    }
}

fn wait_for_input(stdout: Option<&ChildStdout>, stderr: Option<&ChildStderr>, limit: Duration) {
    let mut waited: Vec<PollFd<'_>> = [stdout.map(AsFd::as_fd), stderr.map(AsFd::as_fd)]
        .into_iter()
        .flatten()
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
        .collect();
    if waited.is_empty() {
        std::thread::sleep(limit);
        return;
    }
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
    let _ = poll(&mut waited, limit);
}

fn drain(
    stdout: &mut Option<ChildStdout>,
    stderr: &mut Option<ChildStderr>,
    printed: &mut Vec<u8>,
    complained: &mut Vec<u8>,
    max_bytes: usize,
) {
    read_available(stdout, printed, max_bytes + 1);
    read_available(stderr, complained, STDERR_SHOWN);
}

/// Takes what is there without waiting; keeps at most `keep` bytes; closes the pipe at its end.
fn read_available<P: Read + AsFd>(pipe: &mut Option<P>, into: &mut Vec<u8>, keep: usize) {
    let mut block = Zeroizing::new([0; 4096]);
    while let Some(open) = pipe {
        let mut ready = [PollFd::new(open.as_fd(), PollFlags::POLLIN)];
        if !poll(&mut ready, PollTimeout::ZERO).is_ok_and(|count| count > 0) {
            return;
        }
        match open.read(block.as_mut_slice()) {
            Ok(0) | Err(_) => *pipe = None,
            Ok(count) => {
                let room = keep.saturating_sub(into.len());
                let _ = into.write(&block[..count.min(room)]);
                if into.len() >= keep {
                    return;
                }
            }
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

/// What the command complained about. Words that could be a part of a key are masked.
fn quote(stderr: &[u8], stdout: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let secret = String::from_utf8_lossy(stdout);
    let words: Vec<String> = text.split_whitespace().map(|word| mask(word, secret.trim())).collect();
    let nothing_to_say = words.iter().all(|word| word == MASK);
    if nothing_to_say { String::new() } else { format!(": {}", words.join(" ")) }
}

/// Shortest run of digits that is masked: 8 bytes in hexadecimal.
const SHORTEST_SECRET: usize = 16;
const MASK: &str = "***";

fn mask(word: &str, secret: &str) -> String {
    let digit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=' | '-' | '_');
    let mut shown = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        let run = rest.find(|letter| !digit(letter)).unwrap_or(rest.len());
        let (digits, others) = rest.split_at(run);
        let hex = longest_hex_run(digits) >= SHORTEST_SECRET;
        let base64 = digits.len() >= 2 * SHORTEST_SECRET;
        let repeated = digits.len() >= SHORTEST_SECRET / 2 && secret.contains(digits);
        shown.push_str(if hex || base64 || repeated { MASK } else { digits });
        let next = others.find(digit).unwrap_or(others.len());
        shown.push_str(&others[..next]);
        rest = &others[next..];
    }
    shown
}

fn longest_hex_run(text: &str) -> usize {
    text.split(|letter: char| !letter.is_ascii_hexdigit()).map(str::len).max().unwrap_or(0)
}
